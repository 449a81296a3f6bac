"""The roles that come with Chandlery are there after the first start, and kept at every further one."""

import asyncio
from typing import Any

import pytest

from chandlery.model.objects.kinds import NAMESPACE
from chandlery.store.database import UnitOfWork
from chandlery_gateway.identity.default_roles.coming_roles import BOOTSTRAPPING, DEFAULT_BINDINGS, DEFAULT_ROLES
from chandlery_gateway.identity.default_roles.role_keeping import keep_default_roles
from chandlery_gateway.platforms.standalone_gateway import ensure_default_namespace
from tests.integration.gateway.api_client import RBAC, Document, names
from tests.integration.gateway.conftest import Running

pytestmark = pytest.mark.asyncio(loop_scope="session")

ROLES, BINDINGS = f"{RBAC}/clusterroles", f"{RBAC}/clusterrolebindings"


async def changes(gateway: Running) -> int:
    return len(await gateway.rows("changes"))


async def made_at_start(gateway: Running, place: str) -> list[str]:
    return names((await gateway.api.get(place, labelSelector=BOOTSTRAPPING)).document)


def verbs_on(role: Document, resource: str) -> set[str]:
    return {verb for rule in role["rules"] if resource in rule.get("resources", ()) for verb in rule["verbs"]}


async def test_first_start_makes_the_roles_and_what_they_gather(own_gateway: Running) -> None:
    api = own_gateway.api
    assert await made_at_start(own_gateway, ROLES) == sorted(role.metadata.name for role in DEFAULT_ROLES)
    assert await made_at_start(own_gateway, BINDINGS) == sorted(binding.metadata.name for binding in DEFAULT_BINDINGS)
    admin, edit, view = [await api.read(f"{ROLES}/{name}") for name in ("admin", "edit", "view")]
    assert verbs_on(view, "serviceinstances") == {"get", "list", "watch"}
    assert verbs_on(view, "secrets") == set()
    assert {"create", "get"} <= verbs_on(edit, "secrets")
    assert "create" in verbs_on(admin, "rolebindings")
    assert verbs_on(edit, "rolebindings") == set()
    assert {"create", "get"} <= verbs_on(admin, "serviceinstances")


async def test_a_further_start_writes_nothing(own_gateway: Running) -> None:
    before = await changes(own_gateway)
    await keep_default_roles(own_gateway.resources.database)
    assert await changes(own_gateway) == before


async def test_the_first_namespace_has_the_label_that_others_have(own_gateway: Running) -> None:
    place, label = "/api/v1/namespaces/default", {"kubernetes.io/metadata.name": "default"}
    database = own_gateway.resources.database

    async def take_label_off(unit: UnitOfWork) -> None:
        found = await unit.objects.get(NAMESPACE, "", "default")
        assert found is not None
        metadata = found.metadata.model_copy(update={"labels": None})
        await unit.objects.update(found, found.model_copy(update={"metadata": metadata}))

    assert (await own_gateway.api.read(place))["metadata"]["labels"] == label
    await database.run(take_label_off)
    await database.run(ensure_default_namespace)
    assert (await own_gateway.api.read(place))["metadata"]["labels"] == label
    before = await changes(own_gateway)
    await database.run(ensure_default_namespace)
    assert await changes(own_gateway) == before


async def test_what_went_comes_back_and_what_was_added_stays(own_gateway: Running) -> None:
    api = own_gateway.api
    await api.delete(f"{ROLES}/view")
    await api.delete(f"{BINDINGS}/cluster-admin")
    own: dict[str, Any] = {"apiGroups": ["example.com"], "resources": ["things"], "verbs": ["get"]}
    await api.patch(f"{ROLES}/chandlery:broker-admin", {"rules": [own]})
    await keep_default_roles(own_gateway.resources.database)
    assert verbs_on(await api.read(f"{ROLES}/view"), "serviceinstances") == {"get", "list", "watch"}
    assert (await api.read(f"{BINDINGS}/cluster-admin"))["subjects"][0]["name"] == "system:masters"
    kept = await api.read(f"{ROLES}/chandlery:broker-admin")
    assert own in kept["rules"]
    assert "create" in verbs_on(kept, "clusterservicebrokers")


async def test_a_binding_that_gives_another_role_is_mended(own_gateway: Running) -> None:
    api = own_gateway.api
    found = await api.read(f"{BINDINGS}/system:discovery")
    await api.delete(f"{BINDINGS}/system:discovery")
    meta = {"name": "system:discovery"}
    await api.made(BINDINGS, {**found, "metadata": meta, "roleRef": {**found["roleRef"], "name": "view"}})
    await keep_default_roles(own_gateway.resources.database)
    assert (await api.read(f"{BINDINGS}/system:discovery"))["roleRef"]["name"] == "system:discovery"


async def test_gateways_that_start_at_once_agree(own_gateway: Running) -> None:
    for place in (ROLES, BINDINGS):
        for name in await made_at_start(own_gateway, place):
            assert (await own_gateway.api.delete(f"{place}/{name}")).status == 200
    before = await changes(own_gateway)
    database = own_gateway.resources.database
    await asyncio.gather(*(keep_default_roles(database) for _ in range(4)))
    gathered = [role for role in DEFAULT_ROLES if role.aggregation_rule is not None]
    assert await changes(own_gateway) - before == len(DEFAULT_ROLES) + len(DEFAULT_BINDINGS) + len(gathered)
    assert await made_at_start(own_gateway, ROLES) == sorted(role.metadata.name for role in DEFAULT_ROLES)
