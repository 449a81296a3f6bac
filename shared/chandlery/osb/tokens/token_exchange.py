"""One request to a token endpoint, and what its answer means. Pure.

Source: RFC 6749, sections 2.3.1 (client authentication), 4.4 (client credentials) and 5 (answers); `audience` as most
authorization servers take it.

Nothing of an answer is ever shown but the error codes that the RFC has: everything else may hold what nobody may see.
"""

import base64
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote_plus, urlencode

from chandlery.osb.answers.json_bodies import SMALL, read_object
from chandlery.osb.client_credentials import OAuth2Client
from chandlery.osb.faults import Misconfigured, NothingSent, TooManyValues, Unreached, UnreadableText
from chandlery.osb.transport.http_call import HttpCall, HttpReply
from chandlery.reconcile.answers import Verb

ANSWER_LIMIT: Final = SMALL
"""Bytes that the answer of a token endpoint may have."""
DEFAULT_SECONDS: Final = 300.0
"""How long a token counts whose endpoint does not say (RFC 6749 recommends to say it)."""
LONGEST_SECONDS: Final = 24 * 3600.0
_LONGEST_TOKEN: Final = 16 << 10
_OK, _REFUSED = 200, (400, 401, 403)
_CODES: Final = frozenset(
    {
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
        "invalid_target",
        "access_denied",
        "temporarily_unavailable",
        "server_error",
    }
)


@dataclass(frozen=True)
class AccessToken:
    """A token, and for how many seconds from now it may be used."""

    header: str = field(repr=False)
    """Value of `Authorization`."""
    seconds: float

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no word of the broker may repeat."""
        return (self.header.partition(" ")[2],)


def token_call(client: OAuth2Client) -> tuple[HttpCall, dict[str, str]]:
    """The request, and its headers."""
    form = {"grant_type": "client_credentials"}
    if client.scopes:
        form["scope"] = " ".join(client.scopes)
    if client.audience:
        form["audience"] = client.audience
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    if client.in_body:
        form |= {"client_id": client.client_id, "client_secret": client.client_secret}
    else:
        # Each of them is form-encoded before they are put together (section 2.3.1).
        pair = f"{quote_plus(client.client_id)}:{quote_plus(client.client_secret)}"
        headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode("ascii")
    call = HttpCall(
        # It is no request of OSB; whatever is made of its answer is made here.
        verb=Verb.GET_CATALOG,
        method="POST",
        target="/" if client.token_url.endswith("/") else "",
        body=urlencode(form).encode("ascii"),
        answer_limit=ANSWER_LIMIT,
    )
    return call, headers


def read_token(reply: HttpReply, *, place: str) -> AccessToken:
    """The token.

    Raises:
        Misconfigured: the endpoint refuses the client.
        Unreached: it has no token now, or its answer is not one of OAuth 2.0.
    """
    where = f"cannot reach the broker: the token endpoint at {place}"
    document = _document(reply.body)
    if reply.status != _OK:
        code = document.get("error")
        shown = f" ({code})" if isinstance(code, str) and code in _CODES else ""
        fault: type[NothingSent] = Misconfigured if reply.status in _REFUSED else Unreached
        hint = ". Check the Secret of spec.authInfo.oauth2" if fault is Misconfigured else ""
        raise fault(f"{where} answered {reply.status}{shown}{hint}")
    token, kind = document.get("access_token"), document.get("token_type", "Bearer")
    if not isinstance(token, str) or not token or len(token) > _LONGEST_TOKEN:
        raise Unreached(f"{where} gave no access_token")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise Unreached(f"{where} gave a token that is not a bearer token")
    if not (token.isascii() and token.isprintable() and " " not in token):
        raise Unreached(f"{where} gave a token with characters that no header can carry")
    return AccessToken(f"Bearer {token}", _seconds(document.get("expires_in")))


def _document(body: bytes | None) -> dict[str, object]:
    try:
        return read_object(body or b"")
    except (UnreadableText, TooManyValues):
        return {}


def _seconds(value: object) -> float:
    """Until the token is got anew: a tenth of its time, and at most a minute, before it expires."""
    try:
        given = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else None
    except (ValueError, OverflowError):
        given = None
    if given is None or not given > 0:
        given = DEFAULT_SECONDS
    lasts = min(given, LONGEST_SECONDS)
    return lasts - min(60.0, lasts / 10)
