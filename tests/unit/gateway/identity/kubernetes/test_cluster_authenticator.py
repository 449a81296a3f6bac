"""Who is known behind a cluster's kube-apiserver: by the headers of its front proxy, a certificate, a token."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from chandlery.model.faults import Unavailable
from chandlery.model.objects.instances import UserInfo
from chandlery.process.http.presented_certificates import CLIENT_CERTIFICATE, PresentedCertificate
from chandlery_gateway.identity.authentication import FAILED_LOGIN, LoginFailure, LoginRefused, forwarded_for
from chandlery_gateway.identity.kubernetes.cluster_authenticator import ClusterAuthenticator
from chandlery_gateway.identity.kubernetes.trust_config import TrustConfig, read_trust_config
from tests.support.client_authority import Authority

PROXY, CLIENTS, STRANGERS = Authority("front-proxy"), Authority("kubernetes"), Authority("front-proxy")
ANN = ((b"x-remote-user", b"ann"), (b"x-remote-group", b"dev"))
FIRST, SECOND, TOO_LONG = b"ann", b"root", b"a" * 9_000


def config_of(**other: str) -> TrustConfig:
    return read_trust_config(
        {
            "requestheader-client-ca-file": PROXY.pem,
            "requestheader-allowed-names": '["front-proxy-client"]',
            "requestheader-username-headers": '["X-Remote-User"]',
            "requestheader-uid-headers": '["X-Remote-Uid"]',
            "requestheader-group-headers": '["X-Remote-Group"]',
            "requestheader-extra-headers-prefix": '["X-Remote-Extra-"]',
            "client-ca-file": CLIENTS.pem,
            **other,
        }
    )


class Fixed:
    """The trust that a test gives."""

    def __init__(self, config: TrustConfig) -> None:
        self.config = config


class Tokens:
    async def verify(self, token: str) -> UserInfo | None:
        if token == "away":
            raise Unavailable
        if token != "good":
            raise LoginRefused(LoginFailure.UNKNOWN_TOKEN)
        return UserInfo(username="robot")


def scope_of(shown: PresentedCertificate | None, *headers: tuple[bytes, bytes]) -> dict[str, Any]:
    scope: dict[str, Any] = {"type": "http", "method": "GET", "path": "/", "headers": list(headers)}
    if shown is not None:
        scope[CLIENT_CERTIFICATE] = shown
    return scope


async def known(scope: dict[str, Any], config: TrustConfig | None = None) -> UserInfo | None:
    return await ClusterAuthenticator(Fixed(config or config_of()), tokens=Tokens()).authenticate(scope)


FRONT_PROXY = PROXY.vouched("front-proxy-client")


async def test_front_proxy_speaks_for_a_user_with_groups_uid_and_extra() -> None:
    scope = scope_of(
        FRONT_PROXY,
        (b"x-remote-user", "zoë".encode()),
        (b"x-remote-group", b"dev"),
        (b"x-remote-group", b"ops"),
        (b"x-remote-group", b""),
        (b"x-remote-uid", b"7"),
        (b"x-remote-extra-acme.com%2fproject", b"one"),
        (b"x-remote-extra-acme.com%2fproject", b"two"),
        (b"x-remote-extra-bad%zz", b"three"),
    )
    assert await known(scope) == UserInfo(
        username="zoë",
        uid="7",
        groups=("dev", "ops", "system:authenticated"),
        extra={"acme.com/project": ("one", "two"), "bad%zz": ("three",)},
    )


_LAST: Final = tuple(f"10.0.0.{number}" for number in range(184, 200))
WAYS: Final = {
    "one": ((b"203.0.113.7",), ("203.0.113.7",)),
    "several, and what is none": (
        (b"10.0.0.1, evil, 2001:DB8::7,203.0.113.7",),
        ("10.0.0.1", "2001:db8::7", "203.0.113.7"),
    ),
    "in several lines": ((b"10.0.0.1", b"203.0.113.7"), ("10.0.0.1", "203.0.113.7")),
    "mapped": ((b"::ffff:203.0.113.7",), ("203.0.113.7",)),
    "with a zone, or text that is no address": ((b"fe80::1%<b>, \xff, 1.2.3.4:80, ,",), ()),
    "more than anybody needs": ((b",".join(b"10.0.0.%d" % number for number in range(200)),), _LAST),
}


@pytest.mark.parametrize("case", WAYS)
async def test_way_that_the_front_proxy_tells_is_read_as_kubernetes_does(case: str) -> None:
    given, read = WAYS[case]
    scope = scope_of(FRONT_PROXY, (b"x-remote-user", b"ann"), *((b"x-forwarded-for", value) for value in given))
    assert await known(scope)
    assert forwarded_for(scope) == read


async def test_way_that_anybody_else_tells_is_nothing() -> None:
    told = ((b"x-remote-user", b"ann"), (b"x-forwarded-for", b"10.0.0.1"), (b"authorization", b"Bearer good"))
    for shown in (None, CLIENTS.vouched("ann"), CLIENTS.vouched("front-proxy-client"), PROXY.vouched("ann")):
        scope = scope_of(shown, *told)
        await known(scope)
        assert forwarded_for(scope) == ()


async def test_anonymous_user_stays_anonymous() -> None:
    scope = scope_of(
        FRONT_PROXY, (b"x-remote-user", b"system:anonymous"), (b"x-remote-group", b"system:unauthenticated")
    )
    assert await known(scope) == UserInfo(username="system:anonymous", groups=("system:unauthenticated",))


NOT_A_FRONT_PROXY = {
    "no certificate": (None, None),
    "a user's certificate": (CLIENTS.vouched("front-proxy-client"), None),
    "an authority of the same name": (STRANGERS.vouched("front-proxy-client"), LoginFailure.CERTIFICATE),
    "a wrong name": (PROXY.vouched("somebody"), LoginFailure.CERTIFICATE),
    "a name in other letters": (PROXY.vouched("Front-Proxy-Client"), LoginFailure.CERTIFICATE),
    "no name": (PROXY.vouched("", "front-proxy-client"), LoginFailure.CERTIFICATE),
    "an expired one": (
        PROXY.vouched("front-proxy-client", valid_for=timedelta(seconds=-1)),
        LoginFailure.CERTIFICATE,
    ),
    "one for servers": (
        PROXY.vouched("front-proxy-client", usages=[ExtendedKeyUsageOID.SERVER_AUTH]),
        LoginFailure.CERTIFICATE,
    ),
    "one whose chain nobody has seen": (replace(FRONT_PROXY, chain=()), LoginFailure.CERTIFICATE),
}


@pytest.mark.parametrize("case", NOT_A_FRONT_PROXY)
async def test_headers_are_nothing_without_the_certificate_of_a_front_proxy(case: str) -> None:
    shown, failure = NOT_A_FRONT_PROXY[case]
    scope = scope_of(shown, *ANN)
    user = await known(scope)
    assert user is None or user.username == "front-proxy-client"
    assert scope.get(FAILED_LOGIN) is failure


async def test_any_name_is_a_front_proxy_if_the_cluster_names_none() -> None:
    config = config_of(**{"requestheader-allowed-names": "[]"})
    found = await known(scope_of(PROXY.vouched("somebody"), *ANN), config)
    assert found is not None and found.username == "ann"


BAD_HEADERS: dict[str, Sequence[tuple[bytes, bytes]]] = {
    "no user": [(b"x-remote-user", b"")],
    "two users": [(b"x-remote-user", FIRST), (b"x-remote-user", SECOND)],
    "a user twice": [(b"x-remote-user", FIRST), (b"x-remote-user", FIRST)],
    "two uids": [(b"x-remote-user", FIRST), (b"x-remote-uid", b"1"), (b"x-remote-uid", b"2")],
    "a user that is no text": [(b"x-remote-user", b"\xff\xfe")],
    "a user that steers": [(b"x-remote-user", b"ann\x1b[2J")],
    "a group that steers": [(b"x-remote-user", FIRST), (b"x-remote-group", b"dev\x07")],
    "a group that is no text": [(b"x-remote-user", FIRST), (b"x-remote-group", b"\xff")],
    "a long user": [(b"x-remote-user", TOO_LONG)],
    "a long group": [(b"x-remote-user", FIRST), (b"x-remote-group", TOO_LONG)],
    "a long extra value": [(b"x-remote-user", FIRST), (b"x-remote-extra-a", TOO_LONG)],
    "an extra key that is no text": [(b"x-remote-user", FIRST), (b"x-remote-extra-%ff", b"a")],
}


@pytest.mark.parametrize("case", BAD_HEADERS)
async def test_front_proxy_that_says_what_cannot_be_is_refused(case: str) -> None:
    scope = scope_of(FRONT_PROXY, *BAD_HEADERS[case], (b"authorization", b"Bearer good"))
    assert await known(scope) is None
    assert scope[FAILED_LOGIN] is LoginFailure.PROXY_HEADERS


@pytest.mark.parametrize("name", [b"x_remote_user", b"x-remote-user ", b"x-remote-users", b"x-remote-extra-user"])
async def test_header_that_is_only_like_it_is_none(name: bytes) -> None:
    assert await known(scope_of(FRONT_PROXY, (name, b"root"))) is None


async def test_names_of_headers_are_those_of_the_cluster() -> None:
    config = config_of(**{"requestheader-username-headers": '["X-First", " X-Second "]'})
    assert await known(scope_of(FRONT_PROXY, *ANN), config) is None
    for name in (b"x-first", b"x-second"):
        found = await known(scope_of(FRONT_PROXY, (name, b"bob")), config)
        assert found is not None and found.username == "bob"


SEVERAL = {
    "requestheader-username-headers": '["X-Remote-User", "X-Other-User"]',
    "requestheader-group-headers": '["X-Remote-Group", "X-Other-Group"]',
    "requestheader-extra-headers-prefix": '["X-Remote-Extra-", "X-Other-Extra-"]',
}


@pytest.mark.parametrize("name", [b"x-other-user", b"x-other-group", b"x-other-extra-a"])
async def test_headers_of_two_kinds_at_once_are_refused(name: bytes) -> None:
    """The aggregator takes away from its users the kind that it sends itself, and no other."""
    sent = (*ANN, (b"x-remote-extra-a", b"1"))
    found = await known(scope_of(FRONT_PROXY, *sent), config_of(**SEVERAL))
    assert found is not None and found.username == "ann"
    scope = scope_of(FRONT_PROXY, *sent, (name, b"system:masters"))
    assert await known(scope, config_of(**SEVERAL)) is None
    assert scope[FAILED_LOGIN] is LoginFailure.PROXY_HEADERS


async def test_user_is_known_by_a_certificate_of_the_cluster() -> None:
    shown = CLIENTS.vouched("ann", "dev")
    found = await known(scope_of(shown, (b"x-remote-user", b"root"), (b"x-remote-group", b"system:masters")))
    assert found is not None
    assert (found.username, found.groups) == ("ann", ("dev", "system:authenticated"))


async def test_front_proxy_that_names_nobody_is_nobody() -> None:
    assert await known(scope_of(FRONT_PROXY)) is None


async def test_token_is_asked_for_where_no_certificate_tells() -> None:
    found = await known(scope_of(None, (b"authorization", b"Bearer good")))
    assert found == UserInfo(username="robot", groups=("system:authenticated",))
    scope = scope_of(None, (b"authorization", b"Bearer bad"))
    assert await known(scope) is None
    assert scope[FAILED_LOGIN] is LoginFailure.UNKNOWN_TOKEN
    with pytest.raises(Unavailable):
        await known(scope_of(None, (b"authorization", b"Bearer away")))


async def test_certificate_that_has_ended_since_the_connection_began_is_nothing() -> None:
    authenticator = ClusterAuthenticator(
        Fixed(config_of()), tokens=Tokens(), now=lambda: datetime.now(UTC) + timedelta(hours=2)
    )
    for shown in (FRONT_PROXY, CLIENTS.vouched("ann")):
        assert await authenticator.authenticate(scope_of(shown, *ANN)) is None


async def test_authority_that_was_taken_away_vouches_no_more() -> None:
    trust = Fixed(config_of())
    authenticator = ClusterAuthenticator(trust, tokens=Tokens())
    assert await authenticator.authenticate(scope_of(FRONT_PROXY, *ANN)) is not None
    trust.config = config_of(**{"requestheader-client-ca-file": STRANGERS.pem})
    assert await authenticator.authenticate(scope_of(FRONT_PROXY, *ANN)) is None
    renewed = STRANGERS.vouched("front-proxy-client")
    assert await authenticator.authenticate(scope_of(renewed, *ANN)) is not None
