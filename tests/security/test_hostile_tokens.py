"""Bearer tokens that are made to cost: deep, long, full of values. They are refused, and nothing holds the loop."""

import base64
from typing import Final

import pytest

from chandlery.model.objects.instances import UserInfo
from chandlery_gateway.identity.authentication import FAILED_LOGIN, LoginFailure
from chandlery_gateway.identity.authenticators.oidc.issuers import Issuer
from chandlery_gateway.identity.authenticators.oidc.oidc_authenticator import OidcAuthenticator
from chandlery_gateway.identity.authenticators.token_authenticator import TokenAuthenticator
from chandlery_gateway.identity.authenticators.union_authenticator import UnionAuthenticator

_URL: Final = "https://id.example"
_HEAD: Final = b'{"alg":"ES256","kid":"1"}'
_CLAIMS: Final = b'{"iss":"https://id.example"}'


def joined(*parts: bytes) -> str:
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("..", LoginFailure.MALFORMED),
        ("a.b.c", LoginFailure.MALFORMED),
        ("ü.ü.ü", LoginFailure.MALFORMED),
        ("x" * 100_000, LoginFailure.UNKNOWN_TOKEN),
        (joined(_HEAD, _CLAIMS, b"x" * 100_000), LoginFailure.TOO_LONG),
        (joined(_HEAD, b"[" * 11_000, b"x"), LoginFailure.MALFORMED),
        (joined(_HEAD, b'{"a":' * 2_000, b"x"), LoginFailure.MALFORMED),
        (joined(b'{"a":' * 900 + b"1" + b"}" * 900, _CLAIMS, b"x"), LoginFailure.MALFORMED),
        (joined(_HEAD, b"[" + b"1," * 5_000 + b"1]", b"x"), LoginFailure.MALFORMED),
        (joined(_HEAD, b'{"iss":"https://id.example","exp":1e999}', b"x"), LoginFailure.MALFORMED),
        (joined(_HEAD, b'{"iss":"https://id.example","exp":NaN}', b"x"), LoginFailure.MALFORMED),
        (joined(_HEAD, b'{"iss":"https://id.example","exp":' + b"9" * 5_000 + b"}", b"x"), LoginFailure.MALFORMED),
        (joined(b'{"alg":["ES256"]}', _CLAIMS, b"x"), LoginFailure.MALFORMED),
        (joined(b'{"alg":"ES256","kid":{}}', _CLAIMS, b"x"), LoginFailure.MALFORMED),
        (joined(b'{"alg":"none"}', _CLAIMS, b""), LoginFailure.ALGORITHM),
        (joined(b'{"alg":"HS256"}', _CLAIMS, b"x"), LoginFailure.ALGORITHM),
        (joined(b'{"alg":"ES256K"}', _CLAIMS, b"x"), LoginFailure.ALGORITHM),
    ],
    ids=lambda it: str(it)[:24],
)
async def test_hostile_token_is_refused_with_a_reason(token: str, reason: LoginFailure) -> None:
    oidc = OidcAuthenticator([Issuer(url=_URL, audiences=frozenset({"chandlery"}))], leeway=0.0)
    static = TokenAuthenticator({"t" * 32: UserInfo(username="ann")})
    union = UnionAuthenticator(certificates=None, verifiers=[static, oidc])
    scope = {"headers": [(b"authorization", b"Bearer " + token.encode("latin-1"))]}
    assert await union.authenticate(scope) is None
    assert scope.get(FAILED_LOGIN, LoginFailure.UNKNOWN_TOKEN) is reason
