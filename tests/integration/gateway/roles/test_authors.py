"""What the author of a manifest must be allowed beside the write itself, however they send it."""

from typing import Any

import pytest

from tests.integration.gateway.api_client import (
    CATALOG,
    JSON_PATCH,
    MERGE,
    RBAC,
    SECRETS,
    TEAM,
    Answer,
    Api,
    Document,
    binding,
    broker,
    instance,
    namespace,
    role,
    role_binding,
    secret,
)

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.both_backends]

APPLY = "application/apply-patch+yaml"
BROKERS = f"{CATALOG}/clusterservicebrokers"
ELSEWHERE = {"bearer": {"secretRef": {"namespace": "other", "name": "token"}}}
FROM_SECRET = [{"secretKeyRef": {"name": "key", "key": "k"}}]
NO_SECRETS = [
    {
        "apiGroups": ["servicecatalog.k8s.io"],
        "resources": ["serviceinstances", "servicebindings", "servicebrokers", "serviceinstances/status"],
        "verbs": ["get", "list", "create", "update", "patch", "delete"],
    }
]


async def is_let(
    api: Api, user: str, *, rules: list[Document] | None = None, gives: str = "", everywhere: bool = False
) -> Api:
    """A user who has a role of their own in the namespace, or one that comes with it."""
    if rules is not None:
        await api.made(f"{RBAC}/namespaces/team/roles", role(f"of-{user}", rules=rules))
        gives = f"Role/of-{user}"
    kind, place = ("ClusterRoleBinding", "") if everywhere else ("RoleBinding", "namespaces/team/")
    path = f"{RBAC}/{place}{kind.lower()}s"
    await api.made(path, role_binding(f"for-{user}", kind, to=user, gives=gives))
    return api.acting_as(user)


def refused_for(answer: Answer, place: str) -> bool:
    return answer.status == 403 and f'may not read the Secret "{place}"' in answer.message


def plain_instance(**more: Any) -> Document:
    return instance(clusterServiceClassName="c", clusterServicePlanName="p", **more)


@pytest.mark.parametrize("is_there", [True, False], ids=["there", "missing"])
async def test_a_manifest_names_no_secret_that_its_author_may_not_read(api: Api, is_there: bool) -> None:
    bob = await is_let(api, "bob", rules=NO_SECRETS)
    if is_there:
        await api.made(SECRETS, secret("key", k="v"))
    path, place = f"{TEAM}/serviceinstances", "team/key"
    assert refused_for(await bob.post(path, plain_instance(parametersFrom=FROM_SECRET)), place)
    assert refused_for(await bob.post(path, plain_instance(parametersFrom=FROM_SECRET), dryRun="All"), place)
    applied = await bob.patch(f"{path}/db", plain_instance(parametersFrom=FROM_SECRET), APPLY, fieldManager="x")
    assert refused_for(applied, place)

    made = await bob.made(path, plain_instance())
    changed = {**made, "spec": {**made["spec"], "parametersFrom": FROM_SECRET}}
    assert refused_for(await bob.put(f"{path}/db", changed), place)
    assert refused_for(await bob.patch(f"{path}/db", {"spec": {"parametersFrom": FROM_SECRET}}, MERGE), place)
    added = [{"op": "add", "path": "/spec/parametersFrom", "value": FROM_SECRET}]
    assert refused_for(await bob.patch(f"{path}/db", added, JSON_PATCH), place)
    assert refused_for(
        await bob.patch(
            f"{path}/db", plain_instance(parametersFrom=FROM_SECRET), APPLY, fieldManager="x", force="true"
        ),
        place,
    )
    status = await bob.patch(f"{path}/db/status", {"spec": {"parametersFrom": FROM_SECRET}, "status": {}})
    assert status.status == 200
    assert "parametersFrom" not in status.document["spec"], "a status has no specification"
    assert "parametersFrom" not in (await api.read(f"{path}/db"))["spec"]

    bindings = f"{TEAM}/servicebindings"
    assert refused_for(await bob.post(bindings, binding(parametersFrom=FROM_SECRET)), place)
    transforms = [{"addKeysFrom": {"secretRef": {"namespace": "team", "name": "key"}}}]
    assert refused_for(await bob.post(bindings, binding(secretTransforms=transforms)), place)
    auth = {"basic": {"secretRef": {"name": "key"}}}
    assert refused_for(await bob.post(f"{TEAM}/servicebrokers", broker("mine", "ServiceBroker", authInfo=auth)), place)


async def test_who_may_read_the_secret_may_name_it(api: Api) -> None:
    bob = await is_let(api, "bob", gives="ClusterRole/edit")
    made = await bob.made(f"{TEAM}/serviceinstances", plain_instance(parametersFrom=FROM_SECRET))
    assert made["spec"]["parametersFrom"] == FROM_SECRET


async def test_nobody_has_the_credentials_of_a_broker_sent_to_an_address_of_theirs(api: Api) -> None:
    await api.made("/api/v1/namespaces", namespace("other"))
    carla = await is_let(api, "carla", gives="ClusterRole/chandlery:broker-admin", everywhere=True)
    assert refused_for(await carla.post(BROKERS, broker("hers", authInfo=ELSEWHERE)), "other/token")
    await api.made(BROKERS, broker(authInfo=ELSEWHERE))
    path = f"{BROKERS}/broker"
    moved = {"spec": {"url": "https://thief.example.com"}}
    assert refused_for(await carla.patch(path, moved), "other/token")
    assert refused_for(await carla.patch(path, {"spec": {"insecureSkipTLSVerify": True}}), "other/token")
    applied = broker()
    applied["spec"] |= moved["spec"]
    assert refused_for(await carla.patch(path, applied, APPLY, fieldManager="x", force="true"), "other/token")
    whole = await api.read(path)
    assert refused_for(await carla.put(path, {**whole, "spec": {**whole["spec"], **moved["spec"]}}), "other/token")
    assert (await api.read(path))["spec"]["url"] == "https://broker.example.com"
    # Without the credentials it is hers to move.
    assert (await carla.patch(path, {"spec": {**moved["spec"], "authInfo": None}})).status == 200
    assert (await carla.patch(path, {"metadata": {"labels": {"a": "b"}}})).status == 200


async def test_to_register_a_broker_for_all_is_a_right_of_its_own(api: Api) -> None:
    lea = await is_let(api, "lea", gives="ClusterRole/admin")
    assert (await lea.post(BROKERS, broker())).status == 403
    assert (await lea.post(f"{TEAM}/servicebrokers", broker("mine", "ServiceBroker"))).status == 201


async def test_to_apply_what_is_not_there_takes_the_right_to_create(api: Api) -> None:
    only_patch = [{**NO_SECRETS[0], "verbs": ["get", "patch"]}]
    bob = await is_let(api, "bob", rules=only_patch)
    path = f"{TEAM}/serviceinstances/db"
    answer = await bob.patch(path, plain_instance(), APPLY, fieldManager="x")
    assert (answer.status, 'cannot create resource "serviceinstances"' in answer.message) == (403, True)
    await api.made(f"{TEAM}/serviceinstances", plain_instance())
    assert (await bob.patch(path, plain_instance(), APPLY, fieldManager="x", force="true")).status == 200


async def test_no_role_of_a_namespace_lets_choose_an_external_id(api: Api) -> None:
    lea = await is_let(api, "lea", gives="ClusterRole/admin")
    chosen = plain_instance(externalID="theirs")
    path = f"{TEAM}/serviceinstances"
    for answer in (
        await lea.post(path, chosen),
        await lea.patch(f"{path}/db", chosen, APPLY, fieldManager="x"),
    ):
        assert (answer.status, list(answer.causes)) == (403, ["spec.externalID"])
    adopts = [{**NO_SECRETS[0], "verbs": ["adopt"]}]
    await api.made(f"{RBAC}/namespaces/team/roles", role("adopts", rules=adopts))
    await api.made(f"{RBAC}/namespaces/team/rolebindings", role_binding("lea-adopts", to="lea", gives="Role/adopts"))
    assert (await lea.post(path, chosen)).status == 201


async def test_whoever_acts_as_somebody_needs_the_verb_for_each_part(api: Api) -> None:
    sam = await is_let(api, "sam", gives="ClusterRole/view")
    support = [
        {"apiGroups": [""], "resources": ["users"], "verbs": ["impersonate"], "resourceNames": ["bob"]},
        {"apiGroups": [""], "resources": ["groups"], "verbs": ["impersonate"], "resourceNames": ["shop"]},
    ]
    await api.made(f"{RBAC}/clusterroles", role("support", "ClusterRole", rules=support))
    binding_of_sam = role_binding("sam-supports", "ClusterRoleBinding", to="sam", gives="ClusterRole/support")
    await api.made(f"{RBAC}/clusterrolebindings", binding_of_sam)
    assert (await sam.get("/api")).status == 200
    decide = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    asked = (("users", "bob", True), ("users", "admin", False), ("groups", "system:masters", False))
    for resource, name, allowed in asked:
        attributes = {"verb": "impersonate", "resource": resource, "name": name}
        review = await api.made(decide, {"spec": {"user": "sam", "resourceAttributes": attributes}})
        assert review["status"]["allowed"] is allowed
