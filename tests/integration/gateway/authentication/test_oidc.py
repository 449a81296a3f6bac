"""Tokens of a real identity provider in a process of its own: which are taken, and what happens when it is away."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest
from structlog.testing import capture_logs

from chandlery.model.objects.instances import UserInfo
from chandlery_gateway.identity.authentication import LoginFailure, LoginRefused
from chandlery_gateway.identity.authenticators.oidc import (
    issuer_documents,
    issuer_keys,
    oidc_authenticator,
    oidc_tokens,
)
from chandlery_gateway.identity.authenticators.oidc.issuers import ClaimMappings, Issuer
from chandlery_gateway.identity.authenticators.oidc.oidc_authenticator import OidcAuthenticator
from tests.support.oidc_issuer import AUDIENCE, LocalIssuer
from tests.support.waiting import eventually

_LEEWAY: Final = 60.0


@pytest.fixture(autouse=True)
def well(issuer: LocalIssuer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test begins with an issuer that answers, and need not wait until it may be asked again."""
    issuer.become("ok")
    monkeypatch.setattr(issuer_keys, "_LEAST_PAUSE_SECONDS", 0.0)


def configured(issuer: LocalIssuer, **changes: Any) -> Issuer:
    mappings = ClaimMappings(username_prefix="corp:", groups_claim="groups", groups_prefix="corp:", uid_claim="")
    given = {"url": issuer.url, "audiences": frozenset({AUDIENCE}), "authorities": issuer.ca_file.read_text()}
    return Issuer(**{"mappings": mappings, **given, **changes})


@asynccontextmanager
async def keeping(authenticator: OidcAuthenticator) -> AsyncIterator[OidcAuthenticator]:
    """Its keys are kept as in a gateway."""
    keeper = asyncio.create_task(authenticator.keep_keys())
    try:
        yield authenticator
    finally:
        keeper.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await keeper


async def refusal(authenticator: OidcAuthenticator, token: str) -> LoginFailure:
    with pytest.raises(LoginRefused) as raised:
        await authenticator.verify(token)
    assert token not in str(raised.value)
    return raised.value.reason


async def test_user_of_a_sound_token_is_whom_its_claims_name(issuer: LocalIssuer) -> None:
    authenticator = OidcAuthenticator([configured(issuer)], leeway=_LEEWAY)
    for by in ("current", "rsa"):
        user = await authenticator.verify(issuer.token(by=by, sub="ann", groups=["dev", "ops"], jti="7"))
        extra = {"authentication.kubernetes.io/credential-id": ("JTI=7",)}
        expected = {"username": "corp:ann", "groups": ("corp:dev", "corp:ops"), "extra": extra}
        assert user == UserInfo.model_validate(expected)
    assert await authenticator.verify("no-jwt-at-all") is None


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"exp": -90}, LoginFailure.EXPIRED),
        ({"nbf": +90}, LoginFailure.NOT_YET_VALID),
        ({"aud": "another"}, LoginFailure.AUDIENCE),
        ({"aud": ["another", "a third"]}, LoginFailure.AUDIENCE),
        ({"aud": None}, LoginFailure.CLAIMS),
        ({"exp": None}, LoginFailure.CLAIMS),
        ({"sub": None}, LoginFailure.CLAIMS),
        ({"iss": "https://another.example"}, LoginFailure.UNKNOWN_ISSUER),
        ({"iss": None}, LoginFailure.MALFORMED),
        ({"by": "stranger"}, LoginFailure.BAD_SIGNATURE),
        ({"by": "none"}, LoginFailure.ALGORITHM),
        ({"by": "public key as secret"}, LoginFailure.ALGORITHM),
        ({"header": {"kid": "nobody's"}}, LoginFailure.UNKNOWN_KEY),
        ({"header": {"kid": "rsa"}}, LoginFailure.UNKNOWN_KEY),
        ({"header": {"kid": None}, "by": "stranger"}, LoginFailure.BAD_SIGNATURE),
        ({"header": {"crit": ["b64"], "b64": True}}, LoginFailure.MALFORMED),
    ],
    ids=str,
)
async def test_token_that_is_not_sound_is_refused_with_its_reason(
    issuer: LocalIssuer, asked: dict[str, Any], reason: LoginFailure
) -> None:
    authenticator = OidcAuthenticator([configured(issuer)], leeway=_LEEWAY)
    given = dict(asked)
    for name in ("exp", "nbf"):
        if given.get(name):
            given[name] += int(time.time())
    assert await refusal(authenticator, issuer.token(**given)) is reason


async def test_clocks_may_differ_by_the_leeway(issuer: LocalIssuer) -> None:
    authenticator = OidcAuthenticator([configured(issuer)], leeway=_LEEWAY)
    now = int(time.time())
    for token in (issuer.token(exp=now - 30), issuer.token(nbf=now + 30, iat=now + 30)):
        assert await authenticator.verify(token) is not None


async def test_token_that_names_no_key_may_be_of_any_that_fits(issuer: LocalIssuer) -> None:
    authenticator = OidcAuthenticator([configured(issuer)], leeway=_LEEWAY)
    assert await authenticator.verify(issuer.token(header={"kid": None})) is not None


async def test_new_key_is_fetched_when_a_token_names_it_and_a_withdrawn_one_is_trusted_no_more(
    issuer: LocalIssuer,
) -> None:
    authenticator = OidcAuthenticator([configured(issuer)], leeway=_LEEWAY)
    old = issuer.token()
    assert await authenticator.verify(old) is not None
    issuer.rotate(keeps_old=True)
    assert await authenticator.verify(issuer.token()) is not None
    assert await authenticator.verify(old) is not None
    issuer.rotate(keeps_old=False)
    assert await authenticator.verify(issuer.token()) is not None
    # It has been verified before; but other keys are known since.
    assert await refusal(authenticator, old) is LoginFailure.UNKNOWN_KEY


async def test_token_that_names_no_key_leads_to_the_new_one_too(issuer: LocalIssuer) -> None:
    authenticator = OidcAuthenticator([configured(issuer)], leeway=_LEEWAY)
    assert await authenticator.verify(issuer.token(header={"kid": None})) is not None
    issuer.rotate(keeps_old=False)
    assert await authenticator.verify(issuer.token(header={"kid": None})) is not None


async def test_issuer_that_goes_away_is_not_needed_for_known_keys(issuer: LocalIssuer) -> None:
    authenticator = OidcAuthenticator([configured(issuer)], leeway=_LEEWAY)
    assert await authenticator.verify(issuer.token()) is not None
    issuer.become("down")
    assert await authenticator.verify(issuer.token(sub="bob")) is not None
    with capture_logs() as logged:
        assert await refusal(authenticator, issuer.token(header={"kid": "new"})) is LoginFailure.ISSUER_AWAY
    assert "cannot be fetched: https://127.0.0.1" in logged[0]["event"]
    assert "answered 503; its known keys stay in use" in logged[0]["event"]
    assert await authenticator.verify(issuer.token(sub="carol")) is not None


async def test_issuer_that_has_withdrawn_all_its_keys_is_trusted_no_more(
    issuer: LocalIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(issuer_keys, "_LEAST_PAUSE_SECONDS", 0.0)
    authenticator = OidcAuthenticator([configured(issuer)], leeway=_LEEWAY)
    token = issuer.token()
    assert await authenticator.verify(token) is not None
    issuer.become("no keys")
    assert await refusal(authenticator, issuer.token(header={"kid": "new"})) is LoginFailure.ISSUER_AWAY
    assert await refusal(authenticator, token) is LoginFailure.ISSUER_AWAY
    issuer.become("ok")
    assert await authenticator.verify(token) is not None


@pytest.mark.parametrize(
    ("mode", "why"),
    [
        ("down", "answered 503"),
        ("garbage", "answered with something that is not JSON"),
        ("huge", "answered with more than 262144 bytes"),
        ("redirect", "answered 302"),
        ("another", "is the OpenID configuration of another issuer"),
        ("plain keys", "is not an https URL"),
        ("no keys", "has no key that can be used"),
        ("hang", "did not answer within 0 s"),
    ],
)
async def test_issuer_that_is_away_at_the_start_is_asked_again_and_delays_no_other_one(
    issuer: LocalIssuer, monkeypatch: pytest.MonkeyPatch, mode: str, why: str
) -> None:
    monkeypatch.setattr(issuer_documents, "_SECONDS", 0.2 if mode == "hang" else 10.0)
    monkeypatch.setattr(issuer_keys, "_FIRST_RETRY_SECONDS", 0.05)
    issuer.become(mode)
    with capture_logs() as logged:
        async with keeping(OidcAuthenticator([configured(issuer)], leeway=_LEEWAY)) as authenticator:
            await eventually(lambda: any(why in line["event"] for line in logged), what=f"{why} in {logged}")
            assert await refusal(authenticator, issuer.token()) is LoginFailure.ISSUER_AWAY
            issuer.become("ok")
            source = authenticator._sources[issuer.url]
            await eventually(lambda: not source.is_away, what="the keys")
            assert await authenticator.verify(issuer.token()) is not None
    assert len([line for line in logged if why in line["event"]]) == 1


async def test_certificate_of_an_issuer_is_verified(issuer: LocalIssuer) -> None:
    authenticator = OidcAuthenticator([configured(issuer, authorities="")], leeway=_LEEWAY)
    with capture_logs() as logged:
        assert await refusal(authenticator, issuer.token()) is LoginFailure.ISSUER_AWAY
    assert "has a certificate that is not trusted" in logged[0]["event"]


async def test_crowd_of_unknown_keys_asks_the_issuer_once(issuer: LocalIssuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(issuer_keys, "_LEAST_PAUSE_SECONDS", 3600.0)
    monkeypatch.setattr(issuer_keys, "_MOST_WAITING", 20)
    authenticator = OidcAuthenticator([configured(issuer)], leeway=_LEEWAY)
    sample = issuer.token(header={"kid": "x"})
    before = issuer.hits
    reasons = await asyncio.gather(*(refusal(authenticator, sample + str(number)) for number in range(300)))
    assert set(reasons) <= {LoginFailure.ISSUER_AWAY, LoginFailure.UNKNOWN_KEY}
    assert issuer.hits == before + 1
    assert await authenticator.verify(issuer.token()) is not None


async def test_verified_token_is_remembered_until_it_expires_and_only_so_many_are(
    issuer: LocalIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oidc_authenticator, "_MOST_REMEMBERED", 3)
    authenticator = OidcAuthenticator([configured(issuer)], leeway=0.0)
    token = issuer.token(exp=int(time.time()) + 600)
    verified = 0
    verify = oidc_tokens.verified_claims

    def counted(*arguments: Any, **options: Any) -> Any:
        nonlocal verified
        verified += 1
        return verify(*arguments, **options)

    monkeypatch.setattr(oidc_authenticator, "verified_claims", counted)
    for _ in range(5):
        assert await authenticator.verify(token) is not None
    assert verified == 1
    for number in range(5):
        assert await authenticator.verify(issuer.token(sub=f"user-{number}")) is not None
    assert len(authenticator._remembered) == 3
    monkeypatch.setattr(time, "time", lambda: 2.0**40)
    assert authenticator._known(next(iter(authenticator._remembered))) is None


async def test_issuer_that_is_taken_out_while_its_keys_are_fetched_lets_nobody_in(
    issuer: LocalIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    authenticator = OidcAuthenticator([configured(issuer)], leeway=_LEEWAY)
    fetch = issuer_documents.fetch_keys

    async def taken_out(*args: Any, **options: Any) -> Any:
        authenticator.replace([])
        return await fetch(*args, **options)

    monkeypatch.setattr(issuer_keys, "fetch_keys", taken_out)
    token = issuer.token()
    assert [await refusal(authenticator, token) for _ in range(2)] == [LoginFailure.UNKNOWN_ISSUER] * 2


async def test_reloaded_configuration_counts_at_once_and_keeps_known_keys(issuer: LocalIssuer) -> None:
    authenticator = OidcAuthenticator([configured(issuer)], leeway=_LEEWAY)
    token = issuer.token()
    assert await authenticator.verify(token) is not None
    before = issuer.hits
    authenticator.replace([configured(issuer)])
    assert await authenticator.verify(token) is not None
    assert issuer.hits == before
    authenticator.replace([configured(issuer, audiences=frozenset({"another"}))])
    assert await refusal(authenticator, token) is LoginFailure.AUDIENCE
    authenticator.replace([])
    assert await refusal(authenticator, token) is LoginFailure.UNKNOWN_ISSUER
