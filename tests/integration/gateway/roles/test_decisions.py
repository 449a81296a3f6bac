"""Roles decide on every gateway: at once where they are written, within a second elsewhere, never by what is old."""

import asyncio
from contextlib import suppress
from typing import Self

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from chandlery.model.faults import Unavailable
from chandlery.model.objects.instances import UserInfo
from chandlery_gateway.identity.authorization import Access
from chandlery_gateway.identity.rbac.rbac_authorizer import RbacAuthorizer
from chandlery_gateway.identity.rbac.rule_keeper import RuleKeeper
from chandlery_gateway.watch.watch_hub import WatchHub
from tests.integration.gateway.api_client import (
    CATALOG,
    RBAC,
    SECRETS,
    Api,
    Document,
    namespace,
    role,
    role_binding,
    secret,
)
from tests.integration.gateway.conftest import Running
from tests.support.selection import on_servers
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

BINDINGS = f"{RBAC}/namespaces/team/rolebindings"
ROLES = f"{RBAC}/namespaces/team/roles"
READS_SECRETS = [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list", "watch"]}]
BOB = UserInfo(username="bob", groups=("system:authenticated",))
READING = Access(user=BOB, verb="list", resource="secrets", namespace="team")


async def lets_bob_read(api: Api, *, rules: list[Document] = READS_SECRETS) -> None:
    await api.made(ROLES, role("reader", rules=rules))
    await api.made(BINDINGS, role_binding("bob-reads", to="bob", gives="Role/reader"))


async def stored_as(gateway: Running, body: str) -> None:
    """Put this into its row, behind everybody's back."""
    async with gateway.resources.database._engine.begin() as connection:
        await connection.execute(text("UPDATE roles SET spec = :body WHERE name = 'reader'"), {"body": body})


class Neighbour:
    """Another gateway on the same database, as far as it decides."""

    def __init__(self, gateway: Running, *, trusted_seconds: float = 60) -> None:
        self.rules = RuleKeeper(gateway.resources.database, trusted_seconds=trusted_seconds)
        self.hub = WatchHub(gateway.resources.database, rules=self.rules)
        self.authorizer = RbacAuthorizer(self.rules)

    async def __aenter__(self) -> Self:
        await self.hub.begin()
        self._following = asyncio.create_task(self.hub.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._following.cancel()
        with suppress(asyncio.CancelledError):
            await self._following

    async def lets_bob(self) -> bool:
        return (await self.authorizer.decide(READING)).allowed


async def test_a_rule_counts_for_the_very_next_request(api: Api) -> None:
    bob = api.acting_as("bob")
    for _ in range(3):
        assert (await bob.get(SECRETS)).status == 403
        await lets_bob_read(api)
        assert (await bob.get(SECRETS)).status == 200
        assert (await bob.get("/api/v1/secrets")).status == 403
        await api.delete(f"{BINDINGS}/bob-reads")
        assert (await bob.get(SECRETS)).status == 403
        await api.delete(f"{ROLES}/reader")


async def test_another_gateway_follows(gateway: Running, api: Api) -> None:
    async with Neighbour(gateway) as neighbour:
        assert not await neighbour.lets_bob()
        await lets_bob_read(api)
        await eventually(neighbour.lets_bob, what="the binding")
        await api.patch(f"{ROLES}/reader", {"rules": []})
        await eventually(neighbour.lets_bob, lambda allowed: not allowed, what="the changed role")
        await api.patch(f"{ROLES}/reader", {"rules": READS_SECRETS})
        await eventually(neighbour.lets_bob, what="the role that was changed back")
        await api.delete(f"{ROLES}/reader")
        await eventually(neighbour.lets_bob, lambda allowed: not allowed, what="the removed role")


async def test_a_gateway_that_starts_later_knows_everything(gateway: Running, api: Api) -> None:
    await lets_bob_read(api)
    await api.made(BINDINGS, role_binding("to-nobody", to="bob", gives="Role/missing"))
    async with Neighbour(gateway) as neighbour:
        assert await neighbour.lets_bob()


@pytest.mark.parametrize("store", [on_servers("postgresql")], indirect=True)
async def test_nobody_holds_up_a_revocation_by_a_long_transaction(gateway: Running, api: Api) -> None:
    await lets_bob_read(api)
    async with Neighbour(gateway) as neighbour, gateway.resources.database._engine.begin() as others:
        # It has a number, so the horizon stays below it for as long as it is open.
        await others.execute(text("SELECT pg_current_xact_id()"))
        assert await neighbour.lets_bob()
        await api.delete(f"{BINDINGS}/bob-reads")
        assert (await api.acting_as("bob").get(SECRETS)).status == 403
        await eventually(neighbour.lets_bob, lambda allowed: not allowed, what="the revocation")
        await api.made(BINDINGS, role_binding("bob-reads", to="bob", gives="Role/reader"))
        await eventually(neighbour.lets_bob, what="the binding")
        assert neighbour.rules.applied, "they are beyond the horizon"
    async with Neighbour(gateway) as neighbour:
        assert await neighbour.lets_bob()


SPOILT = {
    "no object": '"x"',
    "no rules": '{"rules": 7}',
    "no rule": '{"rules": [null]}',
    "no words": '{"rules": [{"verbs": "get", "apiGroups": [""], "resources": ["secrets"]}]}',
    "no strings": '{"rules": [{"verbs": [1], "apiGroups": [""], "resources": ["secrets"]}]}',
}


@pytest.mark.parametrize("body", SPOILT.values(), ids=SPOILT)
async def test_a_role_that_cannot_be_read_allows_nothing_and_is_told_of(gateway: Running, api: Api, body: str) -> None:
    await lets_bob_read(api)
    await api.made(BINDINGS, role_binding("bob-reads-too", to="bob", gives="Role/other"))
    await api.made(ROLES, role("other", rules=[{"apiGroups": [""], "resources": ["events"], "verbs": ["list"]}]))
    await stored_as(gateway, body)
    with capture_logs() as logged:
        async with Neighbour(gateway) as neighbour:
            assert not await neighbour.lets_bob()
            events = Access(user=BOB, verb="list", resource="events", namespace="team")
            assert (await neighbour.authorizer.decide(events)).allowed, "the others count"
    await stored_as(gateway, '{"rules": []}')
    [line] = [line for line in logged if line["log_level"] == "error"]
    assert "Role cannot be read and allows nothing" in line["event"]
    assert (line["namespace"], line["name"]) == ("team", "reader")


async def test_rules_that_are_old_decide_nothing_but_masters_go_on(
    gateway: Running, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    await lets_bob_read(api)
    async with Neighbour(gateway, trusted_seconds=0.2) as neighbour:
        assert await neighbour.lets_bob()
        await neighbour.rules.check()

        async def away(*_args: object) -> None:
            raise Unavailable("the database is away")

        monkeypatch.setattr(neighbour.hub, "_database", type("Away", (), {"run": away}))
        monkeypatch.setattr(neighbour.rules, "_database", type("Away", (), {"run": away}))

        async def is_out() -> bool:
            with suppress(Unavailable):
                return not await neighbour.lets_bob()
            return True

        neighbour.hub.wake()
        await eventually(is_out, what="the end of the trust")
        with pytest.raises(Unavailable, match=r"have not been read for \d+ s"):
            await neighbour.rules.check()
        master = UserInfo(username="root", groups=("system:masters",))
        assert (await neighbour.authorizer.decide(Access(user=master, verb="get", resource="secrets"))).allowed
        monkeypatch.undo()
        # What has changed meanwhile is known as soon as anything is.
        await api.delete(f"{BINDINGS}/bob-reads")
        neighbour.hub.wake()
        await eventually(neighbour.rules._failure, lambda failure: failure is None, what="the database to be back")
        assert not await neighbour.lets_bob()


async def test_a_gateway_without_rules_lets_nobody_in(gateway: Running) -> None:
    rules = RuleKeeper(gateway.resources.database)
    with pytest.raises(Unavailable, match="have not been read yet"):
        await RbacAuthorizer(rules).decide(READING)
    with pytest.raises(Unavailable):
        await rules.check()


async def test_a_namespace_counts_as_being_in_itself(api: Api) -> None:
    await api.made("/api/v1/namespaces", namespace("other"))
    rules = [{"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get"]}]
    await lets_bob_read(api, rules=rules)
    bob = api.acting_as("bob")
    assert (await bob.get("/api/v1/namespaces/team")).status == 200
    refused, missing = await bob.get("/api/v1/namespaces/other"), await bob.get("/api/v1/namespaces/missing")
    assert refused.message.replace("other", "missing") == missing.message
    assert refused.message.endswith('cannot get resource "namespaces" in API group "" in the namespace "other"')
    listed = [{"apiGroups": [""], "resources": ["namespaces"], "verbs": ["list"]}]
    await api.made(f"{RBAC}/clusterroles", role("lists", "ClusterRole", rules=listed))
    await api.made(
        f"{RBAC}/clusterrolebindings",
        role_binding("bob-lists", "ClusterRoleBinding", to="bob", gives="ClusterRole/lists"),
    )
    items = (await bob.read("/api/v1/namespaces"))["items"]
    assert [item["metadata"]["name"] for item in items] == ["team"], "what he may not get he is not shown"


async def test_status_is_a_subresource(api: Api) -> None:
    await api.made(
        f"{CATALOG}/clusterservicebrokers",
        {
            "metadata": {"name": "broker"},
            "kind": "ClusterServiceBroker",
            "spec": {"url": "https://broker.example.com"},
            "apiVersion": "servicecatalog.k8s.io/v1beta1",
        },
    )
    rules = [{"apiGroups": ["servicecatalog.k8s.io"], "resources": ["clusterservicebrokers/status"], "verbs": ["get"]}]
    await api.made(f"{RBAC}/clusterroles", role("status", "ClusterRole", rules=rules))
    await api.made(
        f"{RBAC}/clusterrolebindings",
        role_binding("bob-sees", "ClusterRoleBinding", to="bob", gives="ClusterRole/status"),
    )
    bob, path = api.acting_as("bob"), f"{CATALOG}/clusterservicebrokers/broker"
    assert ((await bob.get(path)).status, (await bob.get(f"{path}/status")).status) == (403, 200)


async def test_a_list_for_one_name_is_asked_with_that_name(api: Api) -> None:
    await api.made(SECRETS, secret("mine", a="b"))
    await api.made(SECRETS, secret("other", a="b"))
    await lets_bob_read(api, rules=[{**READS_SECRETS[0], "resourceNames": ["mine"]}])
    bob = api.acting_as("bob")
    assert (await bob.get(SECRETS)).status == 403
    listed = await bob.get(SECRETS, fieldSelector="metadata.name=mine")
    assert [item["metadata"]["name"] for item in listed.document["items"]] == ["mine"]
    for selector in ("metadata.name=other", "metadata.name!=other", "metadata.name=mine,nonsense", "metadata.name=.."):
        assert (await bob.get(SECRETS, fieldSelector=selector)).status == 403, selector
    assert (await bob.get(f"{SECRETS}/%6dine")).status == 200, "the path is decoded before anybody is asked"
