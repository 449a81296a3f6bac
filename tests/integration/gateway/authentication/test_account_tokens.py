"""Tokens of service accounts over HTTP, on both databases: made, used, expired, revoked, gone with their account."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from chandlery.model.faults import Unavailable
from chandlery.store.access import account_tokens
from chandlery.store.access.account_tokens import new_token
from chandlery_gateway.identity.authentication import LoginFailure, LoginRefused
from chandlery_gateway.identity.authenticators import account_authenticator
from chandlery_gateway.identity.authenticators.account_authenticator import AccountAuthenticator
from chandlery_gateway.write import token_requests
from tests.integration.gateway.api_client import Answer, Api, Document
from tests.integration.gateway.conftest import Running
from tests.support.waiting import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.both_backends]

ACCOUNTS: Final = "/api/v1/namespaces/team/serviceaccounts"
REVIEWS: Final = "/apis/authentication.k8s.io/v1"
SELF: Final = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}


def account(name: str = "robot") -> Document:
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}


async def asked(api: Api, name: str = "robot", *, query: dict[str, str] | None = None, **spec: Any) -> Answer:
    """A request for a token, as `kubectl create token` sends it."""
    body = {"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "metadata": {}, "spec": spec}
    return await api.post(f"{ACCOUNTS}/{name}/token", body, **(query or {}))


async def token_of(api: Api, name: str = "robot", **spec: Any) -> str:
    answer = await asked(api, name, **spec)
    assert answer.status == 201, answer.payload
    token: str = answer.document["status"]["token"]
    return token


async def status_of(gateway: Running, token: str) -> int:
    return (await gateway.as_user(token).post(f"{REVIEWS}/selfsubjectreviews", SELF)).status


async def test_account_is_known_by_its_token_and_only_a_digest_is_stored(gateway: Running) -> None:
    made = await gateway.api.made(ACCOUNTS, account())
    answer = await asked(gateway.api, expirationSeconds=3600)
    token = answer.document["status"]["token"]
    assert token.startswith("chsa_")
    until = datetime.fromisoformat(answer.document["status"]["expirationTimestamp"])
    assert timedelta(minutes=58) < until - datetime.now(UTC) <= timedelta(hours=1)
    assert answer.document["metadata"]["name"] == "robot"
    seen = await gateway.as_user(token).made(f"{REVIEWS}/selfsubjectreviews", SELF)
    id_ = account_tokens.id_of(token)
    assert seen["status"]["userInfo"] == {
        "username": "system:serviceaccount:team:robot",
        "uid": made["metadata"]["uid"],
        "groups": ["system:serviceaccounts", "system:serviceaccounts:team", "system:authenticated"],
        "extra": {"authentication.kubernetes.io/credential-id": [f"JTI={id_}"]},
    }
    [row] = [row for row in await gateway.rows("account_tokens") if row["id"] == id_]
    assert token not in str(row)
    secret = token.partition(f"{id_}_")[2]
    assert len(secret) > 20
    assert secret not in str(row)


@pytest.mark.parametrize(
    ("spec", "field", "words"),
    [
        ({"expirationSeconds": 599}, "spec.expirationSeconds", "less than 10 minutes"),
        ({"expirationSeconds": 2**32 + 1}, "spec.expirationSeconds", "larger than 2^32 seconds"),
        ({"audiences": ["vault"]}, "spec.audiences", "leave audiences out"),
        ({"boundObjectRef": {"kind": "Pod"}}, "spec.boundObjectRef", "leave boundObjectRef out"),
    ],
    ids=str,
)
async def test_token_that_there_is_not_is_refused_with_its_field(
    gateway: Running, spec: dict[str, Any], field: str, words: str
) -> None:
    await gateway.api.made(ACCOUNTS, account())
    answer = await asked(gateway.api, **spec)
    assert answer.status == 422
    assert words in answer.causes[field]


async def test_operator_says_how_long_a_token_may_be_valid(gateway: Running) -> None:
    await gateway.api.made(ACCOUNTS, account())
    answer = await asked(gateway.api, expirationSeconds=100 * 24 * 3600)
    assert answer.document["spec"]["expirationSeconds"] == 720 * 3600
    assert "requested expiration of 8640000 seconds shortened to 2592000 seconds" in answer.warnings[0]


async def test_only_an_account_that_is_there_gets_a_token_and_a_dry_run_makes_none(
    gateway: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = await asked(gateway.api, "nobody")
    assert (missing.status, missing.message) == (404, 'serviceaccounts "nobody" not found')
    await gateway.api.made(ACCOUNTS, account())
    before = len(await gateway.rows("account_tokens"))
    answer = await asked(gateway.api, query={"dryRun": "All"})
    assert (answer.status, answer.document["status"].get("token", "")) == (201, "")
    assert len(await gateway.rows("account_tokens")) == before
    monkeypatch.setattr(token_requests, "MOST_TOKENS", 1)
    await token_of(gateway.api)
    assert (await asked(gateway.api)).status == 403
    assert (await gateway.as_user(None).post(f"{ACCOUNTS}/robot/token", {})).status == 401
    other = {"metadata": {"name": "other"}, "spec": {}}
    assert (await gateway.api.post(f"{ACCOUNTS}/robot/token", other)).status == 400


async def test_token_ends_when_it_is_revoked_and_others_do_not(gateway: Running) -> None:
    await gateway.api.made(ACCOUNTS, account())
    first, second = await token_of(gateway.api), await token_of(gateway.api)
    assert [await status_of(gateway, token) for token in (first, second)] == [201, 201]
    await gateway.resources.database.run(lambda unit: unit.account_tokens.revoke([account_tokens.id_of(first) or ""]))
    await eventually(lambda: status_of(gateway, first), lambda status: status == 401, what="the end of the token")
    assert await status_of(gateway, second) == 201


async def test_token_ends_with_its_account_and_is_not_that_of_the_next_one_of_the_name(gateway: Running) -> None:
    await gateway.api.made(ACCOUNTS, account())
    token = await token_of(gateway.api)
    assert await status_of(gateway, token) == 201
    assert (await gateway.api.delete(f"{ACCOUNTS}/robot")).status == 200
    await eventually(lambda: status_of(gateway, token), lambda status: status == 401, what="the end of the token")
    await gateway.api.made(ACCOUNTS, account())
    assert await status_of(gateway, token) == 401


async def test_token_that_is_not_whole_lets_nobody_in(gateway: Running) -> None:
    await gateway.api.made(ACCOUNTS, account())
    token = await token_of(gateway.api)
    id_ = account_tokens.id_of(token)
    for wrong in (token[:-1], token + "x", f"chsa_{id_}_", f"chsa_{id_}", "chsa_", "chsa_" + "x" * 5000, token.upper()):
        assert await status_of(gateway, wrong) == 401


async def reason_of(authenticator: AccountAuthenticator, token: str) -> LoginFailure:
    with pytest.raises(LoginRefused) as raised:
        await authenticator.verify(token)
    return raised.value.reason


async def test_token_expires_while_it_is_remembered(gateway: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account_authenticator, "FRESH_SECONDS", 3600.0)
    await gateway.api.made(ACCOUNTS, account())
    token = await token_of(gateway.api)
    database = gateway.resources.database
    authenticator = AccountAuthenticator(database)
    assert await authenticator.verify(token) is not None
    later = datetime.now(UTC) + timedelta(hours=2)
    monkeypatch.setattr(database, "_clock", lambda: later)
    assert await reason_of(authenticator, token) is LoginFailure.EXPIRED


async def test_crowd_of_made_up_tokens_shares_a_look_and_a_token_in_use_costs_one_in_a_second(
    gateway: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    await gateway.api.made(ACCOUNTS, account())
    token = await token_of(gateway.api)
    database = gateway.resources.database
    authenticator, looks, run = AccountAuthenticator(database), 0, database.run

    async def counted(work: Any, **options: Any) -> Any:
        nonlocal looks
        looks += 1
        return await run(work, **options)

    monkeypatch.setattr(database, "run", counted)
    made_up = [f"chsa_{number:012x}_secret" for number in range(400)]
    reasons = await asyncio.gather(*(reason_of(authenticator, each) for each in made_up))
    assert set(reasons) == {LoginFailure.REVOKED}
    assert looks <= 3
    looks = 0
    monkeypatch.setattr(account_authenticator, "FRESH_SECONDS", 3600.0)
    for _ in range(50):
        assert await authenticator.verify(token) is not None
    assert looks == 1


async def test_database_that_is_away_is_no_reason_to_refuse_a_token(
    gateway: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(_work: Any, **_options: Any) -> Any:
        raise Unavailable("the database is away")

    monkeypatch.setattr(gateway.resources.database, "run", away)
    with pytest.raises(Unavailable):
        await AccountAuthenticator(gateway.resources.database).verify("chsa_0123456789ab_secret")


async def test_when_a_token_was_used_last_is_written_down_now_and_then(gateway: Running) -> None:
    await gateway.api.made(ACCOUNTS, account())
    token = await token_of(gateway.api)
    authenticator = AccountAuthenticator(gateway.resources.database)
    assert await authenticator.verify(token) is not None
    await authenticator.tidy(expired_hours=24)
    find = gateway.resources.database.run
    id_ = account_tokens.id_of(token) or ""
    found = await find(lambda unit: unit.account_tokens.find([id_]))
    assert found[id_].used_at is not None
    assert not authenticator._uses


async def test_expired_tokens_and_those_without_account_are_forgotten(gateway: Running) -> None:
    made = await gateway.api.made(ACCOUNTS, account())
    now, uid = datetime.now(UTC), made["metadata"]["uid"]
    ages = {"new": timedelta(), "shown": timedelta(hours=20), "old": timedelta(hours=30)}
    stored = {}
    for name, age in ages.items():
        for owner in (uid, f"gone-{name}"):
            _, token = new_token(
                account_uid=owner, namespace="team", account="robot", now=now - age, lifetime=timedelta(hours=1)
            )
            stored[name, owner] = token.id
            await gateway.resources.database.run(lambda unit, token=token: unit.account_tokens.add(token))  # type: ignore[misc]
    await AccountAuthenticator(gateway.resources.database).tidy(expired_hours=24)
    left = {row["id"] for row in await gateway.rows("account_tokens")}
    assert left & set(stored.values()) == {stored["new", uid], stored["shown", uid]}


async def reviewed(api: Api, token: str, **spec: Any) -> Answer:
    body = {"kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1", "spec": {"token": token, **spec}}
    return await api.post(f"{REVIEWS}/tokenreviews", body)


async def test_token_review_says_whose_a_token_is_and_does_not_repeat_it(gateway: Running) -> None:
    await gateway.api.made(ACCOUNTS, account())
    token = await token_of(gateway.api)
    answer = await reviewed(gateway.api, token)
    assert answer.status == 201
    status = answer.document["status"]
    assert (status["authenticated"], status["user"]["username"]) == (True, "system:serviceaccount:team:robot")
    assert status["audiences"] == ["chandlery"]
    assert token not in answer.payload.decode()
    static = (await reviewed(gateway.api, "token-of-ann-the-developer", audiences=["chandlery"])).document["status"]
    assert static["user"]["username"] == "ann"
    for wrong in (token + "x", "nobody's", "a.b.c"):
        assert (await reviewed(gateway.api, wrong)).document["status"] == {"authenticated": False}
    elsewhere = (await reviewed(gateway.api, token, audiences=["vault"])).document["status"]
    assert elsewhere["authenticated"] is False
    assert "audience" in elsewhere["error"]
    assert (await reviewed(gateway.api, "")).status == 400
    assert (await reviewed(gateway.as_user(None), token)).status == 401
