"""The ways in that settings name: which of them there are, what is warned of, and what happens when files change."""

from pathlib import Path
from typing import Any, Final

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from chandlery.model.faults import ConfigurationFault, Unavailable
from chandlery.model.objects.instances import UserInfo
from chandlery.process.http.tls_files import self_signed
from chandlery.settings.settings import Settings
from chandlery_gateway.identity.authentication import FAILED_LOGIN, LoginFailure, LoginRefused, login_failure
from chandlery_gateway.identity.authenticators.configured_authenticators import (
    ConfiguredAuthenticators,
    warn_of_static_tokens,
)
from chandlery_gateway.identity.authenticators.union_authenticator import UnionAuthenticator
from chandlery_gateway.platforms.standalone_gateway import check_standalone

ANN: Final = "token-of-ann-the-developer"
BOB: Final = "token-of-bob-the-developer"
OIDC: Final = {"oidc_issuer_url": "https://id.example", "oidc_client_id": "chandlery"}


def token_file(folder: Path, *tokens: str) -> Path:
    path = folder / "tokens.csv"
    path.write_text("".join(f"{token},{token[9:12]},uid\n" for token in tokens))
    return path


async def names(union: UnionAuthenticator, *tokens: str) -> list[str | None]:
    found = [await union.verify(token) for token in tokens]
    return [user.username if user else None for user in found]


async def test_token_file_that_has_changed_counts_at_once(tmp_path: Path) -> None:
    authenticators = ConfiguredAuthenticators(Settings(token_file=token_file(tmp_path, ANN)))
    union = authenticators.union()
    assert await names(union, ANN, BOB) == ["ann", None]
    token_file(tmp_path, BOB)
    authenticators._reload_users()
    assert await names(union, ANN, BOB) == [None, "bob"]


async def test_last_static_token_may_go_only_where_there_is_another_way_in(tmp_path: Path) -> None:
    alone = ConfiguredAuthenticators(Settings(token_file=token_file(tmp_path, ANN)))
    settings = Settings.model_validate({"token_file": tmp_path / "tokens.csv", **OIDC})
    beside = ConfiguredAuthenticators(settings)
    token_file(tmp_path)
    with pytest.raises(ConfigurationFault, match="no way to authenticate users"):
        alone._reload_users()
    assert await names(alone.union(), ANN) == ["ann"]
    beside._reload_users()
    assert await names(beside.union(), ANN) == [None]


def test_any_way_in_is_enough_and_none_is_not(tmp_path: Path) -> None:
    certificate, key = self_signed("127.0.0.1")
    (tmp_path / "tls.crt").write_text(certificate)
    (tmp_path / "tls.key").write_text(key)
    tls = {"tls_cert_file": tmp_path / "tls.crt", "tls_key_file": tmp_path / "tls.key"}
    for given in (OIDC, {**tls, "client_ca_file": tmp_path / "tls.crt"}, {"token": "t" * 32}):
        check_standalone(Settings.model_validate(given))
    with pytest.raises(ConfigurationFault, match="no way to authenticate users: set CHANDLERY_TOKEN"):
        check_standalone(Settings())
    with pytest.raises(ConfigurationFault, match="CHANDLERY_CLIENT_CA_FILE needs CHANDLERY_TLS_CERT_FILE"):
        check_standalone(Settings(client_ca_file=tmp_path / "tls.crt"))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"token": SecretStr("t" * 32)}, ""),
        (OIDC, ""),
        ({"token": SecretStr("t" * 32), "host": "0.0.0.0"}, "the static token of CHANDLERY_TOKEN does not expire"),
        (
            {"token_file": Path("tokens.csv")},
            "the static tokens of CHANDLERY_TOKEN_FILE do not expire: use an",
        ),
        (
            {"token": SecretStr("t" * 32), "token_file": Path("tokens.csv"), "host": "::"},
            "the static tokens of CHANDLERY_TOKEN_FILE and CHANDLERY_TOKEN do not expire",
        ),
    ],
    ids=["first start", "no static token", "token", "file", "both"],
)
def test_tokens_that_never_expire_are_warned_of(given: dict[str, Any], words: str) -> None:
    with capture_logs() as logged:
        warn_of_static_tokens(Settings.model_validate(given))
    assert len(logged) == bool(words)
    assert not words or words in logged[0]["event"]


class Knows:
    """A verifier of one kind of tokens."""

    def __init__(self, token: str, outcome: UserInfo | Exception) -> None:
        self._token = token
        self._outcome = outcome

    async def verify(self, token: str) -> UserInfo | None:
        if token != self._token:
            return None
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome


async def test_first_verifier_that_knows_a_token_decides_and_why_it_was_refused_is_noted() -> None:
    verifiers = [
        Knows("good", UserInfo(username="ann", groups=("system:authenticated",))),
        Knows("old", LoginRefused(LoginFailure.EXPIRED)),
        Knows("away", Unavailable("the database is away")),
        Knows("old", UserInfo(username="never asked")),
        Knows("late", UserInfo(username="bob")),
    ]
    union = UnionAuthenticator(certificates=None, verifiers=verifiers)

    def scope(*headers: tuple[bytes, bytes]) -> dict[str, Any]:
        return {"headers": list(headers)}

    good, late = scope((b"authorization", b"Bearer good")), scope((b"authorization", b"bearer  late "))
    assert await union.authenticate(good) == UserInfo(username="ann", groups=("system:authenticated",))
    assert await union.authenticate(late) == UserInfo(username="bob", groups=("system:authenticated",))
    old = scope((b"authorization", b"Bearer old"))
    assert await union.authenticate(old) is None
    assert old[FAILED_LOGIN] is LoginFailure.EXPIRED
    with pytest.raises(Unavailable):
        await union.authenticate(scope((b"authorization", b"Bearer away")))
    for header in (b"Bearer nobody's", b"Basic Z29vZDo=", b"good"):
        wrong = scope((b"authorization", header))
        assert await union.authenticate(wrong) is None
        assert login_failure(wrong) is LoginFailure.UNKNOWN_TOKEN
    assert await union.authenticate(scope()) is None
    assert login_failure(scope()) is None
