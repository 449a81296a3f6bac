"""A token as it comes: bounded, read far enough to know whose it is, and then verified with one key. Pure.

What is read before the signature is verified chooses the issuer and the key, and nothing else. All that is believed of
a token is what PyJWT returns.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import jwt
from jwt.algorithms import AllowedPublicKeys
from jwt.utils import base64url_decode

from chandlery.model.json.json_text import NotJson, has_more_values, read_json
from chandlery_gateway.identity.authentication import LoginFailure, LoginRefused
from chandlery_gateway.identity.authenticators.oidc.issuers import Issuer

MOST_BYTES: Final = 16 * 1024
_MOST_VALUES: Final = 5_000
_PARTS: Final = 3
_FAILURES: Final[tuple[tuple[type[jwt.PyJWTError], LoginFailure], ...]] = (
    (jwt.InvalidSignatureError, LoginFailure.BAD_SIGNATURE),
    (jwt.ExpiredSignatureError, LoginFailure.EXPIRED),
    (jwt.ImmatureSignatureError, LoginFailure.NOT_YET_VALID),
    (jwt.InvalidAudienceError, LoginFailure.AUDIENCE),
    (jwt.InvalidIssuerError, LoginFailure.UNKNOWN_ISSUER),
    (jwt.InvalidAlgorithmError, LoginFailure.ALGORITHM),
    (jwt.MissingRequiredClaimError, LoginFailure.CLAIMS),
)


@dataclass(frozen=True)
class UnverifiedToken:
    """What a token says of itself."""

    issuer: str
    algorithm: str
    key_id: str | None


def looks_like_one(token: str) -> bool:
    """Whether it is a JWT by its outer form."""
    return token.count(".") == _PARTS - 1


def read_token(token: str) -> UnverifiedToken:
    """Read what it says of itself. Raises LoginRefused for what is no token, or too much of one."""
    if len(token) > MOST_BYTES:
        raise LoginRefused(LoginFailure.TOO_LONG)
    head, body, _ = token.split(".")
    header, claims = _segment(head), _segment(body)
    issuer, algorithm, key_id = claims.get("iss"), header.get("alg"), header.get("kid")
    # What `crit` names has to be understood, and nothing is.
    if not (isinstance(issuer, str) and isinstance(algorithm, str)) or "crit" in header:
        raise LoginRefused(LoginFailure.MALFORMED)
    if not (key_id is None or isinstance(key_id, str)):
        raise LoginRefused(LoginFailure.MALFORMED)
    return UnverifiedToken(issuer, algorithm, key_id)


def verified_claims(
    token: str, key: AllowedPublicKeys, *, algorithm: str, issuer: Issuer, leeway: float
) -> Mapping[str, Any]:
    """Its claims, if the key has signed it and it is for us, now. Raises LoginRefused.

    `leeway` are the seconds by which the issuer's clock may differ from ours.
    """
    reason = LoginFailure.MALFORMED
    try:
        claims: Mapping[str, Any] = jwt.decode(
            token,
            key=key,
            algorithms=[algorithm],
            audience=sorted(issuer.audiences),
            issuer=issuer.url,
            leeway=leeway,
            options={"require": ["exp", "iss", "aud"]},
        )
    except jwt.PyJWTError as error:
        reason = next((reason for type_, reason in _FAILURES if isinstance(error, type_)), reason)
    except (ValueError, TypeError, OverflowError, RecursionError):
        # Claims of a form that the library does not expect.
        pass
    else:
        return claims
    # Out here, so that the foreign error, which may quote the token, is not carried along.
    raise LoginRefused(reason)


def _segment(text: str) -> Mapping[str, Any]:
    try:
        raw = base64url_decode(text)
        found = {} if has_more_values(raw, _MOST_VALUES) else read_json(raw)
    except (ValueError, NotJson):
        found = None
    if not isinstance(found, dict):
        raise LoginRefused(LoginFailure.MALFORMED)
    return found
