"""Cluster roles that gather the rules of others are in step with them, whoever changes which, on both databases."""

import asyncio
from typing import Any

import pytest

from chandlery.engine.deletions import delete
from chandlery.model.objects import kinds
from tests.integration.gateway.api_client import RBAC, Api, Document, role
from tests.integration.gateway.conftest import Running

pytestmark = pytest.mark.asyncio(loop_scope="session")

ROLES = f"{RBAC}/clusterroles"


def gathering(name: str = "all", *, label: str = "to-all", **body: Any) -> Document:
    selectors = {"clusterRoleSelectors": [{"matchLabels": {label: "true"}}]}
    return role(name, "ClusterRole", **{"rules": [], "aggregationRule": selectors, **body})


def giving(name: str, resource: str, *, label: str = "to-all") -> Document:
    rules = [{"apiGroups": [""], "resources": [resource], "verbs": ["get"]}]
    made = role(name, "ClusterRole", rules=rules)
    return {**made, "metadata": {"name": name, "labels": {label: "true"}}}


async def gathered(api: Api, name: str = "all") -> list[str]:
    return resources_of(await api.read(f"{ROLES}/{name}"))


def resources_of(document: Document) -> list[str]:
    return [resource for rule in document["rules"] for resource in rule["resources"]]


async def test_rules_follow_the_roles_that_match(api: Api) -> None:
    await api.made(ROLES, giving("b", "secrets"))
    made = await api.made(ROLES, gathering())
    assert resources_of(made) == ["secrets"], "the answer has what is stored"
    await api.made(ROLES, giving("a", "events"))
    assert await gathered(api) == ["events", "secrets"]

    await api.patch(f"{ROLES}/a", {"rules": [{"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get"]}]})
    assert await gathered(api) == ["namespaces", "secrets"]
    await api.patch(f"{ROLES}/b", {"metadata": {"labels": {"to-all": None}}})
    assert await gathered(api) == ["namespaces"]
    await api.delete(f"{ROLES}/a")
    assert await gathered(api) == []


async def test_what_is_written_into_the_rules_is_replaced(api: Api) -> None:
    await api.made(ROLES, giving("a", "secrets"))
    mine = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]
    assert resources_of(await api.made(ROLES, gathering(rules=mine))) == ["secrets"]
    before = await api.read(f"{ROLES}/all")
    assert (await api.patch(f"{ROLES}/all", {"rules": mine})).document["rules"] == before["rules"]
    freed = await api.patch(f"{ROLES}/all", {"aggregationRule": None, "rules": mine})
    assert freed.document["rules"] == mine, "a role that gathers no more says what it is told to"


async def test_roles_that_gather_from_roles_that_gather_are_in_step_at_once(api: Api) -> None:
    await api.made(ROLES, gathering("outer", label="to-outer"))
    inner = gathering("inner", label="to-inner")
    await api.made(ROLES, {**inner, "metadata": {"name": "inner", "labels": {"to-outer": "true"}}})
    await api.made(ROLES, giving("a", "secrets", label="to-inner"))
    assert await gathered(api, "outer") == await gathered(api, "inner") == ["secrets"]


async def test_a_watch_sees_what_was_gathered(api: Api) -> None:
    made = await api.made(ROLES, gathering())
    async with api.watch(ROLES, resourceVersion=made["metadata"]["resourceVersion"]) as watch:
        await api.made(ROLES, giving("a", "secrets"))
        await watch.until("all", "MODIFIED")
        assert resources_of(watch.seen[-1]["object"]) == ["secrets"]


async def test_a_change_that_nobody_gathers_writes_no_other_role(api: Api) -> None:
    await api.made(ROLES, giving("a", "secrets"))
    before = await api.made(ROLES, gathering())
    await api.patch(f"{ROLES}/a", {"metadata": {"annotations": {"note": "x"}}})
    await api.made(ROLES, role("b", "ClusterRole"))
    assert await api.read(f"{ROLES}/all") == before


async def test_roles_that_come_and_go_at_the_same_moment_are_all_seen(api: Api) -> None:
    await api.made(ROLES, gathering())
    names = [f"r{number:02}" for number in range(12)]
    await asyncio.gather(*(api.made(ROLES, giving(name, f"{name}s")) for name in names))
    assert await gathered(api) == [f"{name}s" for name in names]
    answers = await asyncio.gather(
        *(api.delete(f"{ROLES}/{name}") for name in names[::2]),
        *(api.patch(f"{ROLES}/{name}", {"metadata": {"labels": {"to-all": None}}}) for name in names[1::2]),
        *(api.patch(f"{ROLES}/all", {"metadata": {"labels": {"round": name}}}) for name in names),
    )
    assert {answer.status for answer in answers} == {200}
    assert await gathered(api) == []


async def test_a_role_that_the_garbage_collector_takes_is_missed(gateway: Running) -> None:
    api = gateway.api
    await api.made(ROLES, gathering())
    await api.made(ROLES, giving("a", "secrets"))
    database = gateway.resources.database

    async def collect(unit: Any) -> None:
        found = await unit.objects.get(kinds.CLUSTER_ROLE, "", "a")
        await delete(unit, found)

    await database.run(collect)
    assert await gathered(api) == []


async def test_a_dry_run_gathers_and_leaves_nothing(api: Api) -> None:
    await api.made(ROLES, gathering())
    answer = await api.post(ROLES, giving("a", "secrets"), dryRun="All")
    assert answer.status == 201
    assert await gathered(api) == []
    await api.made(ROLES, giving("a", "secrets"))
    dry = await api.post(ROLES, gathering("other"), dryRun="All")
    assert resources_of(dry.document) == ["secrets"]
