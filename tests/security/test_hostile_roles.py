"""Roles as large as may be: written, compared with what their writer holds, gathered. Nothing holds the event loop."""

import asyncio
from typing import Any

import pytest

from tests.integration.gateway.api_client import RBAC, Api, Document, role, role_binding
from tests.integration.gateway.conftest import Running
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

ROLES, CLUSTER_ROLES = f"{RBAC}/namespaces/team/roles", f"{RBAC}/clusterroles"
ALL_OF_ANN = f"{RBAC}/clusterrolebindings/ann-may-do-everything"


def words(prefix: str, count: int = 2_200) -> list[str]:
    return [f"{prefix}{number}" for number in range(count)]


VAST: list[Document] = [
    {"verbs": words("v"), "apiGroups": words("g"), "resources": words("r"), "resourceNames": words("n")}
]
"""One rule with 23 million millions of combinations."""
MANY: list[Document] = [{"verbs": ["get"], "apiGroups": [""], "resources": [each]} for each in words("r", 1_300)]
PATHS: list[Document] = [{"verbs": ["get"], "nonResourceURLs": [f"/{each}*" for each in words("p", 9_000)]}]
GATHERS = {"clusterRoleSelectors": [{"matchLabels": {"gathered": "yes"}}]}


@pytest.mark.parametrize("rules", [VAST, MANY, PATHS], ids=["vast", "many", "paths"])
async def test_a_role_as_large_as_may_be_lives_without_a_hold(api: Api, rules: list[Document]) -> None:
    made = await api.post(CLUSTER_ROLES, role("large", "ClusterRole", rules=rules))
    assert made.status == 201, made.payload[:300]
    assert len(made.warnings) <= 6
    assert (await api.patch(f"{CLUSTER_ROLES}/large", {"metadata": {"labels": {"a": "b"}}})).status == 200
    assert (await api.patch(f"{CLUSTER_ROLES}/large", {"rules": rules[::-1]})).status == 200
    assert (await api.get(CLUSTER_ROLES)).status == 200
    assert (await api.delete(f"{CLUSTER_ROLES}/large")).status == 200


@pytest.mark.parametrize("held", [VAST, MANY], ids=["vast", "many"])
@pytest.mark.parametrize("granted", [VAST, MANY], ids=["vast", "many"])
async def test_what_is_handed_out_is_compared_with_what_is_held_without_a_hold(
    gateway: Running, held: list[Document], granted: list[Document]
) -> None:
    admin, ann = gateway.api, gateway.as_user("token-of-ann-the-developer")
    everything = (await admin.get(ALL_OF_ANN)).document
    await admin.delete(ALL_OF_ANN)
    writes = {"verbs": ["create"], "apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles"]}
    await admin.made(ROLES, role("writes", rules=[writes]))
    await admin.made(ROLES, role("held", rules=held))
    for name in ("writes", "held"):
        await admin.made(f"{RBAC}/namespaces/team/rolebindings", role_binding(name, gives=f"Role/{name}"))
    body = role("hers", rules=granted)

    async def asked() -> Any:
        return await ann.post(ROLES, body)

    if held is granted:
        await eventually(asked, lambda answer: answer.status == 201, what="a role that she holds")
    else:
        answer = await eventually(asked, lambda answer: "cannot create resource" not in answer.message, what="her role")
        assert answer.status == 403
        assert len(answer.payload) < 20_000, "an answer is not larger than what it answers"
    metadata = {key: everything["metadata"][key] for key in ("name", "labels")}
    await admin.made(ALL_OF_ANN.rpartition("/")[0], {**everything, "metadata": metadata})


async def test_roles_are_gathered_without_a_hold_and_without_an_end(api: Api) -> None:
    await api.made(CLUSTER_ROLES, role("all", "ClusterRole", rules=[], aggregationRule=GATHERS))
    made = []
    for number in range(6):
        document = role(f"part-{number}", "ClusterRole", rules=[{**rule, "verbs": [f"v{number}"]} for rule in MANY])
        made.append({**document, "metadata": {"name": f"part-{number}", "labels": {"gathered": "yes"}}})
    answers = await asyncio.gather(*(api.post(CLUSTER_ROLES, document) for document in made))
    assert {answer.status for answer in answers} == {201}
    rules = (await api.read(f"{CLUSTER_ROLES}/all"))["rules"]
    assert len(rules) == 2_500
