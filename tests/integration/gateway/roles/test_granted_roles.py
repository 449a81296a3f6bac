"""Nobody hands out what they do not hold: roles and bindings of somebody who is no administrator, on both databases."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.integration.gateway.api_client import RBAC, RBAC_GROUP, Answer, Api, Document, namespace, role, role_binding
from tests.integration.gateway.conftest import Running
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

CATALOG = "servicecatalog.k8s.io"
ROLES, CLUSTER_ROLES = f"{RBAC}/namespaces/team/roles", f"{RBAC}/clusterroles"
BINDINGS, CLUSTER_BINDINGS = f"{RBAC}/namespaces/team/rolebindings", f"{RBAC}/clusterrolebindings"
REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
WRITES = {"apiGroups": [RBAC_GROUP], "resources": ["*"], "verbs": ["create", "update", "patch", "delete", "get"]}
READS_INSTANCES = {"apiGroups": [CATALOG], "resources": ["serviceinstances"], "verbs": ["get", "list"]}


def rule(resource: str, *verbs: str, group: str = "", **more: Any) -> Document:
    return {"apiGroups": [group], "resources": [resource], "verbs": list(verbs), **more}


def refused(answer: Answer) -> str:
    assert answer.status == 403, answer.payload
    assert answer.document["reason"] == "Forbidden"
    return answer.message


class Ann:
    """A user who holds what she is given in the namespace `team`, or everywhere."""

    def __init__(self, gateway: Running) -> None:
        self.admin = gateway.api
        self.api = gateway.as_user("token-of-ann-the-developer")
        self._given = 0

    async def holds(self, *rules: Document, everywhere: bool = False) -> None:
        """Give it to her, and wait until she has it."""
        self._given += 1
        name = f"anns-{self._given}"
        asked = {"verb": "get", "group": "test", "resource": name}
        marker = rule(name, "get", group="test")
        await self.admin.made(CLUSTER_ROLES, role(name, "ClusterRole", rules=[*rules, marker]))
        gives = f"ClusterRole/{name}"
        if everywhere:
            await self.admin.made(CLUSTER_BINDINGS, role_binding(name, "ClusterRoleBinding", gives=gives))
        else:
            await self.admin.made(BINDINGS, role_binding(name, gives=gives))
            asked["namespace"] = "team"
        await eventually(lambda: self._may(asked), bool, what="her role")

    async def _may(self, attributes: Document) -> bool:
        review = await self.api.post(REVIEWS, {"spec": {"resourceAttributes": attributes}})
        return bool(review.document["status"]["allowed"])


@pytest_asyncio.fixture(loop_scope="session")
async def ann(gateway: Running) -> AsyncIterator[Ann]:
    # Other tests let her do everything.
    path = f"{CLUSTER_BINDINGS}/ann-may-do-everything"
    binding = (await gateway.api.get(path)).document
    assert (await gateway.api.delete(path)).status == 200
    yield Ann(gateway)
    kept = {**binding, "metadata": {"name": binding["metadata"]["name"], "labels": binding["metadata"]["labels"]}}
    await gateway.api.made(CLUSTER_BINDINGS, kept)


async def test_a_role_may_have_rules_that_its_writer_holds_and_no_others(ann: Ann) -> None:
    await ann.holds(WRITES, READS_INSTANCES)
    await ann.api.made(ROLES, role(rules=[rule("serviceinstances", "get", group=CATALOG)]))
    message = refused(await ann.api.post(ROLES, role("more", rules=[rule("secrets", "get", "list"), READS_INSTANCES])))
    assert message == (
        'roles.rbac.authorization.k8s.io "more" is forbidden: user "ann" '
        '(groups=["developers" "dba" "system:authenticated"]) is attempting to grant RBAC permissions not currently '
        'held:\n{APIGroups:[""], Resources:["secrets"], Verbs:["get" "list"]}'
    )
    assert (await ann.admin.get(f"{ROLES}/more")).status == 404


@pytest.mark.parametrize("method", ["put", "patch", "apply"])
async def test_no_form_of_a_change_adds_what_its_writer_does_not_hold(ann: Ann, method: str) -> None:
    await ann.holds(WRITES, READS_INSTANCES)
    made = await ann.api.made(ROLES, role())
    wanted = [rule("secrets", "get")]
    path = f"{ROLES}/reader"
    match method:
        case "put":
            answer = await ann.api.put(path, {**made, "rules": wanted})
        case "patch":
            answer = await ann.api.patch(path, {"rules": wanted})
        case _:
            answer = await ann.api.patch(
                path, role(rules=wanted), kind="application/apply-patch+yaml", fieldManager="t", force="true"
            )
    assert 'Resources:["secrets"]' in refused(answer)
    assert (await ann.admin.read(path))["rules"] == made["rules"]
    assert (await ann.api.patch(path, {"rules": [READS_INSTANCES]})).status == 200


async def test_a_role_with_more_than_one_holds_may_not_be_touched_but_for_its_finalizers(ann: Ann) -> None:
    await ann.holds(WRITES)
    made = {**role(), "metadata": {"name": "reader", "finalizers": ["example.com/held"]}}
    await ann.admin.made(ROLES, made)
    refused(await ann.api.patch(f"{ROLES}/reader", {"metadata": {"labels": {"a": "b"}}}))
    assert (await ann.api.patch(f"{ROLES}/reader", {"metadata": {"finalizers": None}})).status == 200


async def test_what_is_held_in_one_namespace_is_not_handed_out_everywhere(ann: Ann) -> None:
    await ann.holds(WRITES, everywhere=True)
    await ann.holds(READS_INSTANCES)
    await ann.admin.made("/api/v1/namespaces", namespace("other"))
    await ann.api.made(ROLES, role())
    refused(await ann.api.post(f"{RBAC}/namespaces/other/roles", role()))
    refused(await ann.api.post(CLUSTER_ROLES, role("hers", "ClusterRole")))
    await ann.admin.made(CLUSTER_ROLES, role("reader", "ClusterRole"))
    await ann.api.made(BINDINGS, role_binding(to="bob", gives="ClusterRole/reader"))
    refused(await ann.api.post(CLUSTER_BINDINGS, role_binding("b", "ClusterRoleBinding", gives="ClusterRole/reader")))


async def test_who_may_escalate_may_write_any_rules(ann: Ann) -> None:
    await ann.holds(WRITES, rule("roles", "escalate", group=RBAC_GROUP, resourceNames=["strong"]))
    everything = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]
    await ann.api.made(ROLES, role("strong", rules=everything))
    refused(await ann.api.post(ROLES, role("other", rules=everything)))


async def test_who_may_bind_a_role_may_give_it_without_holding_it(ann: Ann) -> None:
    await ann.holds(WRITES, rule("clusterroles", "bind", group=RBAC_GROUP, resourceNames=["view"]))
    await ann.api.made(BINDINGS, role_binding("one", to="bob", gives="ClusterRole/view"))
    assert "edit" in refused(await ann.api.post(BINDINGS, role_binding("two", to="bob", gives="ClusterRole/edit")))


async def test_a_binding_gives_a_role_of_the_namespace_that_its_writer_holds(ann: Ann) -> None:
    await ann.holds(WRITES, READS_INSTANCES)
    await ann.api.made(ROLES, role())
    await ann.api.made(BINDINGS, role_binding(to="bob", gives="Role/reader"))
    await ann.admin.made(ROLES, role("strong", rules=[rule("secrets", "get")]))
    message = refused(await ann.api.post(BINDINGS, role_binding("strong", to="ann", gives="Role/strong")))
    assert 'Resources:["secrets"]' in message
    # Nor does a binding get further subjects that somebody else has made.
    await ann.admin.made(BINDINGS, role_binding("strong", to="bob", gives="Role/strong"))
    subjects = [{"kind": "User", "apiGroup": RBAC_GROUP, "name": "ann"}]
    refused(await ann.api.patch(f"{BINDINGS}/strong", {"subjects": subjects}))


async def test_of_a_role_that_may_not_be_read_nothing_is_told(ann: Ann) -> None:
    writes_bindings = rule("rolebindings", "create", group=RBAC_GROUP)
    await ann.holds(writes_bindings)
    missing = refused(await ann.api.post(BINDINGS, role_binding("x", gives="ClusterRole/does-not-exist")))
    there = refused(await ann.api.post(BINDINGS, role_binding("x", gives="ClusterRole/cluster-admin")))
    assert there.replace("cluster-admin", "does-not-exist") == missing
    assert "APIGroups" not in there
    await ann.holds(rule("clusterroles", "get", group=RBAC_GROUP), everywhere=True)
    answer = await ann.api.post(BINDINGS, role_binding("x", gives="ClusterRole/does-not-exist"))
    assert answer.status == 404
    assert answer.message == 'clusterroles.rbac.authorization.k8s.io "does-not-exist" not found'


async def test_only_who_may_do_everything_writes_roles_that_gather_others(ann: Ann) -> None:
    await ann.holds(WRITES, READS_INSTANCES, everywhere=True)
    gathers = {"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]}
    answer = await ann.api.post(CLUSTER_ROLES, role("all", "ClusterRole", rules=[], aggregationRule=gathers))
    assert "must have cluster-admin privileges to use the aggregationRule" in refused(answer)
    await ann.admin.made(CLUSTER_ROLES, role("all", "ClusterRole", rules=[], aggregationRule=gathers))
    refused(await ann.api.patch(f"{CLUSTER_ROLES}/all", {"metadata": {"labels": {"a": "b"}}}))
    refused(await ann.api.patch(f"{CLUSTER_ROLES}/all", {"aggregationRule": None}))


async def test_who_is_admin_of_a_namespace_gives_others_their_share_of_it(ann: Ann) -> None:
    await ann.admin.made(BINDINGS, role_binding("anns", gives="ClusterRole/admin"))

    async def gives(name: str) -> Answer:
        return await ann.api.post(BINDINGS, role_binding(name, to="bob", gives=f"ClusterRole/{name}"))

    await eventually(lambda: gives("edit"), lambda answer: answer.status == 201, what="her role")
    assert (await gives("view")).status == 201
    assert (await gives("admin")).status == 201
    await ann.api.made(ROLES, role("keys", rules=[rule("secrets", "get", resourceNames=["key"])]))
    refused(await gives("cluster-admin"))
    refused(await gives("chandlery:broker-admin"))
    refused(await ann.api.post(ROLES, role("ids", rules=[rule("serviceinstances", "adopt", group=CATALOG)])))


async def test_a_dry_run_is_asked_for_as_much_as_the_write_itself(ann: Ann) -> None:
    await ann.holds(WRITES)
    refused(await ann.api.post(ROLES, role(), dryRun="All"))


async def test_a_role_that_names_what_nothing_serves_is_stored_with_a_warning(api: Api) -> None:
    rules = [rule("pods", "get"), rule("serviceinstance", "get", group=CATALOG), rule("secrets", "get", group="apps")]
    answer = await api.post(ROLES, role(rules=rules))
    assert answer.status == 201
    meant = '"serviceinstances" or "serviceinstances/status" or "serviceinstanceoperations"'
    assert [warning.replace("\\", "").partition("serves the resource ")[2][:-1] for warning in answer.warnings] == [
        "'pods' in API group ''",
        f"'serviceinstance' in API group '{CATALOG}'; did you mean {meant}?",
        "'secrets' in API group 'apps'; it is in API group ''",
    ]
    assert (await api.patch(f"{ROLES}/reader", {"metadata": {"labels": {"a": "b"}}})).warnings == ()
    assert len((await api.patch(f"{ROLES}/reader", {"rules": rules[:1]})).warnings) == 1
