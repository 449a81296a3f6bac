"""A watch lasts no longer than the credentials that it began with, whatever they are and whoever its user acts as."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest

from chandlery.store.access.account_tokens import id_of, new_token
from tests.integration.gateway.api_client import RBAC, RBAC_GROUP, TEAM, Api, Document, Watch, instance, role
from tests.integration.gateway.conftest import Running

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.both_backends]

ACCOUNTS: Final = "/api/v1/namespaces/team/serviceaccounts"
INSTANCES: Final = f"{TEAM}/serviceinstances"
ROBOT: Final = {"kind": "ServiceAccount", "name": "robot", "namespace": "team"}


async def give(api: Api, name: str, rule: Document, to: Document) -> None:
    await api.made(f"{RBAC}/clusterroles", role(name, "ClusterRole", rules=[rule]))
    ref = {"apiGroup": RBAC_GROUP, "kind": "ClusterRole", "name": name}
    binding = {"metadata": {"name": name}, "subjects": [to], "roleRef": ref}
    await api.made(f"{RBAC}/clusterrolebindings", binding)


async def robot(gateway: Running, *, lifetime: timedelta = timedelta(hours=1)) -> tuple[str, Api]:
    """A service account that may watch instances: its token, and who comes by it."""
    made = await gateway.api.made(ACCOUNTS, {"metadata": {"name": "robot"}})
    rule = {"apiGroups": ["servicecatalog.k8s.io"], "resources": ["serviceinstances"], "verbs": ["get", "watch"]}
    await give(gateway.api, "watches", rule, ROBOT)
    token, stored = new_token(
        account_uid=made["metadata"]["uid"],
        namespace="team",
        account="robot",
        now=datetime.now(UTC),
        lifetime=lifetime,
    )
    await gateway.resources.database.run(lambda unit: unit.account_tokens.add(stored))
    return token, gateway.as_user(token)


async def ended(watch: Watch) -> int:
    """With which code it tells that it is over, and nothing else."""
    (error,) = await watch.rest()
    assert error["type"] == "ERROR", error
    code: int = error["object"]["code"]
    return code


async def test_a_watch_ends_when_its_token_is_revoked(gateway: Running) -> None:
    token, user = await robot(gateway)
    async with user.watch(INSTANCES) as watch:
        await gateway.api.made(INSTANCES, instance())
        await watch.until("db")
        await gateway.resources.database.run(lambda unit: unit.account_tokens.revoke([id_of(token) or ""]))
        assert await ended(watch) == 401


async def test_a_watch_ends_when_its_account_is_deleted(gateway: Running) -> None:
    _, user = await robot(gateway)
    async with user.watch(INSTANCES) as watch:
        assert (await gateway.api.delete(f"{ACCOUNTS}/robot")).status == 200
        assert await ended(watch) == 401


async def test_a_watch_ends_when_its_token_expires(gateway: Running) -> None:
    _, user = await robot(gateway, lifetime=timedelta(seconds=2))
    async with user.watch(INSTANCES) as watch:
        assert await ended(watch) == 401


async def test_a_watch_as_somebody_else_ends_with_the_right_to_act_as_them(gateway: Running) -> None:
    acts = {"apiGroups": [""], "resources": ["users"], "verbs": ["impersonate"], "resourceNames": ["ann"]}
    await give(gateway.api, "acts-as-ann", acts, ROBOT)
    _, user = await robot(gateway)
    async with user.acting_as("ann").watch(INSTANCES) as watch:
        await gateway.api.made(INSTANCES, instance())
        await watch.until("db")
        assert (await gateway.api.delete(f"{RBAC}/clusterrolebindings/acts-as-ann")).status == 200
        assert await ended(watch) == 403


async def test_a_watch_of_good_credentials_goes_on(gateway: Running) -> None:
    _, user = await robot(gateway)
    async with user.watch(INSTANCES, timeoutSeconds="3") as watch, asyncio.TaskGroup() as group:
        group.create_task(gateway.api.made(INSTANCES, instance()))
        assert [notice["type"] for notice in await watch.rest()] == ["ADDED"]
