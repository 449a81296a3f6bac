"""From the claims of a verified token to a user. Pure; the rules are those of Kubernetes' OIDC authenticator.

What a claim says is somebody else's word: a name or a group that begins with `system:` is refused, whatever prefix
there is or is not, so that no identity provider makes anybody `system:masters`.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from chandlery.model.objects.instances import UserInfo
from chandlery_gateway.identity.authentication import CREDENTIAL_ID, LoginFailure, LoginRefused
from chandlery_gateway.identity.authenticators.oidc.issuers import EMAIL, RESERVED, ClaimMappings, Issuer

_LONGEST: Final = 1024
"""Characters of one name."""
_MOST_GROUPS: Final = 1000


def user_of(claims: Mapping[str, Any], issuer: Issuer) -> UserInfo:
    """Who the token speaks of. Raises LoginRefused if a claim is missing, or says what is not accepted."""
    for claim, value in issuer.required.items():
        if claims.get(claim) != value:
            raise LoginRefused(LoginFailure.CLAIMS)
    mappings = issuer.mappings
    if mappings.username_claim == EMAIL and claims.get("email_verified", True) is not True:
        raise LoginRefused(LoginFailure.CLAIMS)
    name = _text(claims.get(mappings.username_claim))
    if not name:
        raise LoginRefused(LoginFailure.CLAIMS)
    return UserInfo(
        username=_ours(mappings.username_prefix + name),
        uid=_uid(claims, mappings),
        groups=tuple(_ours(mappings.groups_prefix + group) for group in _groups(claims, mappings)),
        extra=_extra(claims),
    )


def _groups(claims: Mapping[str, Any], mappings: ClaimMappings) -> Iterator[str]:
    found = claims.get(mappings.groups_claim) if mappings.groups_claim else None
    if found is None:
        return
    groups = found if isinstance(found, list) else [found]
    if len(groups) > _MOST_GROUPS:
        raise LoginRefused(LoginFailure.CLAIMS)
    for group in groups:
        if text := _text(group):
            yield text


def _uid(claims: Mapping[str, Any], mappings: ClaimMappings) -> str:
    if not mappings.uid_claim:
        return ""
    uid = _text(claims.get(mappings.uid_claim))
    if not uid:
        raise LoginRefused(LoginFailure.CLAIMS)
    return uid


def _extra(claims: Mapping[str, Any]) -> dict[str, tuple[str, ...]] | None:
    id_ = claims.get("jti")
    return {CREDENTIAL_ID: (f"JTI={_text(id_)}",)} if id_ else None


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST or not value.isprintable():
        raise LoginRefused(LoginFailure.CLAIMS)
    return value


def _ours(name: str) -> str:
    if name.startswith(RESERVED):
        raise LoginRefused(LoginFailure.RESERVED_NAME)
    return name
