"""Access reviews over HTTP, and Secrets that a user may not read: they are not sent to a service broker for them."""

from dataclasses import dataclass
from typing import Any

import pytest

from chandlery.model.faults import Forbidden
from chandlery.model.objects import kinds
from chandlery.model.objects.instances import UserInfo
from chandlery.model.objects.kinds import AnyObject
from chandlery_gateway.identity.authorization import Access, Decision
from chandlery_gateway.kube.printing.status_objects import status_of
from chandlery_gateway.write.object_writer import ObjectWriter
from chandlery_gateway.write.write_requests import WriteRequest
from tests.integration.gateway.api_client import SECRETS, TEAM, Api, Document, broker, instance
from tests.integration.gateway.conftest import Running
from tests.support.allow_everything import AllowEverything
from tests.support.broker_places import PLACES_OF_TESTS

pytestmark = pytest.mark.asyncio(loop_scope="session")

REVIEWS = "/apis/authorization.k8s.io/v1"
ANN = UserInfo(username="ann", groups=("system:authenticated",))
OPEN = {"secretKeyRef": {"name": "open", "key": "k"}}
CLOSED = {"secretKeyRef": {"name": "closed", "key": "k"}}


@dataclass
class AllButClosed(AllowEverything):
    """Lets everybody read every Secret but one, and counts the questions."""

    asked: int = 0

    async def decide(self, access: Access) -> Decision:
        self.asked += 1
        assert (access.verb, access.resource, access.namespace) == ("get", "secrets", "team")
        return Decision(allowed=access.name != "closed")


def request(kind: str, name: str = "db", *, dry_run: bool = False) -> WriteRequest:
    return WriteRequest(kind=kinds.KINDS[kind], namespace="team", name=name, user=ANN, dry_run=dry_run)


def read(document: Document) -> AnyObject:
    found: AnyObject = kinds.KINDS[document["kind"]].model.model_validate(document)
    return found


def setting(**spec: Any) -> Any:
    """A change of these fields of the specification, by their Python names."""
    return lambda old: (old.model_copy(update={"spec": old.spec.model_copy(update=spec)}), ())


async def test_the_user_is_told_who_they_are_and_what_they_may_do(gateway: Running) -> None:
    ann = gateway.as_user("token-of-ann-the-developer")
    for version in ("v1", "v1beta1"):
        api_version = f"authentication.k8s.io/{version}"
        review = await ann.made(f"/apis/{api_version}/selfsubjectreviews", {"kind": "SelfSubjectReview"})
        assert review["apiVersion"] == api_version
        assert review["status"]["userInfo"]["username"] == "ann"
    asked = {"resourceAttributes": {"verb": "create", "group": "servicecatalog.k8s.io", "resource": "serviceinstances"}}
    review = await ann.made(f"{REVIEWS}/selfsubjectaccessreviews", {"spec": asked})
    assert review["status"]["allowed"] is True
    review = await ann.made(f"{REVIEWS}/subjectaccessreviews", {"spec": {**asked, "user": "system:anonymous"}})
    assert review["status"]["allowed"] is False
    local = {"spec": {"user": "ann", "resourceAttributes": {"namespace": "team", "verb": "get", "resource": "secrets"}}}
    review = await ann.made(f"{REVIEWS}/namespaces/team/localsubjectaccessreviews", local)
    assert review["status"]["allowed"] is True
    review = await ann.made(f"{REVIEWS}/selfsubjectrulesreviews", {"spec": {"namespace": "team"}})
    assert {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]} in review["status"]["resourceRules"]


@pytest.mark.parametrize(
    "acting",
    [
        {"Impersonate-User": "system:anonymous"},
        {"Impersonate-User": "bob", "Impersonate-Group": "system:unauthenticated"},
    ],
    ids=["anonymous", "unauthenticated"],
)
@pytest.mark.parametrize(
    ("method", "path", "message"),
    [
        ("GET", SECRETS, 'secrets is forbidden: User "{}" cannot list resource "secrets" in API group "" in the '),
        ("GET", f"{SECRETS}?watch=1", '"{}" cannot watch resource "secrets"'),
        ("GET", "/api/v1/secrets", '"{}" cannot list resource "secrets" in API group "" at the cluster scope'),
        ("GET", f"{SECRETS}/s", 'secrets "s" is forbidden: User "{}" cannot get resource "secrets"'),
        ("POST", SECRETS, '"{}" cannot create resource "secrets"'),
        ("PUT", f"{SECRETS}/s", '"{}" cannot update resource "secrets"'),
        ("PATCH", f"{SECRETS}/s", '"{}" cannot patch resource "secrets"'),
        ("DELETE", f"{SECRETS}/s", '"{}" cannot delete resource "secrets"'),
        ("DELETE", SECRETS, '"{}" cannot deletecollection resource "secrets"'),
        ("PATCH", f"{TEAM}/serviceinstances/db/status", '"{}" cannot patch resource "serviceinstances/status" in API'),
        ("PUT", f"{TEAM}/serviceinstances/db/status", '"{}" cannot update resource "serviceinstances/status" in API'),
        ("GET", "/api", 'User "{}" cannot get path "/api"'),
        ("GET", "/apis", 'User "{}" cannot get path "/apis"'),
        ("GET", "/openapi/v3", 'User "{}" cannot get path "/openapi/v3"'),
        ("POST", f"{REVIEWS}/subjectaccessreviews", '"{}" cannot create resource "subjectaccessreviews"'),
    ],
)
async def test_whoever_may_do_nothing_is_refused_what_can_i_denies(
    api: Api, acting: dict[str, str], method: str, path: str, message: str
) -> None:
    answer = await api.call(method, path, {} if method in ("POST", "PUT", "PATCH") else None, headers=acting)
    assert (answer.status, answer.document["reason"]) == (403, "Forbidden"), answer.payload
    assert message.format(acting["Impersonate-User"]) in answer.message


async def test_whoever_may_do_nothing_may_not_ask_either(api: Api) -> None:
    anonymous = {"Impersonate-User": "system:anonymous"}
    asked = {"spec": {"resourceAttributes": {"verb": "list", "resource": "secrets"}}}
    for path in (f"{REVIEWS}/selfsubjectaccessreviews", "/apis/authentication.k8s.io/v1/selfsubjectreviews"):
        answer = await api.call("POST", path, asked if "access" in path else {}, headers=anonymous)
        assert (answer.status, answer.document["reason"]) == (403, "Forbidden")


@pytest.mark.parametrize(
    ("asked", "allowed"),
    [
        ({"resourceAttributes": {"verb": "list", "resource": "secrets"}}, False),
        ({"nonResourceAttributes": {"verb": "get", "path": "/apis"}}, False),
        # Which is as true: these are open to everybody.
        ({"nonResourceAttributes": {"verb": "get", "path": "/readyz"}}, True),
        ({"nonResourceAttributes": {"verb": "get", "path": "/readyz/database"}}, True),
        ({"nonResourceAttributes": {"verb": "get", "path": "/version"}}, True),
        ({"nonResourceAttributes": {"verb": "get", "path": "/versions"}}, False),
    ],
)
async def test_what_nobody_may_and_everybody_can_be_asked(api: Api, asked: Document, allowed: bool) -> None:
    stranger = {"user": "system:anonymous", "groups": ["system:unauthenticated"]}
    review = await api.made(f"{REVIEWS}/subjectaccessreviews", {"spec": {**asked, **stranger}})
    assert review["status"]["allowed"] is allowed


async def test_a_review_is_refused_like_any_other_object(api: Api, gateway: Running) -> None:
    path = f"{REVIEWS}/selfsubjectaccessreviews"
    answer = await api.post(path, {"spec": {}})
    assert (answer.status, list(answer.causes)) == (422, ["spec.resourceAttributes"])
    assert (await api.post(path, {"kind": "SubjectAccessReview"})).status == 400
    assert (await api.post(path, {"spec": {"nonResourceAttributes": {"path": 7}}})).status == 422
    assert (await gateway.as_user(None).post(path, {})).status == 401
    assert (await api.get(path)).status == 405


@pytest.mark.parametrize("dry_run", [False, True])
async def test_a_new_object_is_refused_with_the_fields_that_name_a_secret_of_others(
    gateway: Running, dry_run: bool
) -> None:
    object_writer = ObjectWriter(
        gateway.resources.database, on_write=lambda _request: None, places=PLACES_OF_TESTS, authorizer=AllButClosed()
    )
    write = request("ServiceInstance", dry_run=dry_run)
    document = instance(clusterServiceClassName="c", clusterServicePlanName="p", parametersFrom=[OPEN, CLOSED])
    with pytest.raises(Forbidden) as raised:
        await object_writer.create(write, read(document))
    code, status = status_of(raised.value, kind=write.kind, name="db")
    assert (code, status["reason"]) == (403, "Forbidden")
    (cause,) = status["details"]["causes"]
    assert (cause["reason"], cause["field"]) == ("FieldValueForbidden", "spec.parametersFrom[1].secretKeyRef")
    assert "team/closed" in status["message"]
    assert "may not read" in cause["message"]
    document["spec"]["parametersFrom"] = [OPEN]
    assert (await object_writer.create(write, read(document))).object.metadata.name == "db"


async def test_a_change_is_refused_if_it_has_a_secret_of_others_sent_or_sent_elsewhere(
    gateway: Running, api: Api
) -> None:
    authorizer = AllButClosed()
    object_writer = ObjectWriter(
        gateway.resources.database, on_write=lambda _request: None, places=PLACES_OF_TESTS, authorizer=authorizer
    )
    # Made by somebody who may read both.
    await api.made("/apis/servicecatalog.k8s.io/v1beta1/namespaces/team/serviceinstances", instance())
    auth = {"bearer": {"secretRef": {"name": "closed"}}}
    path = "/apis/servicecatalog.k8s.io/v1beta1/namespaces/team/servicebrokers"
    await api.made(path, broker("mine", "ServiceBroker", authInfo=auth))

    sources = kinds.SERVICE_INSTANCE.model.model_validate(instance(parametersFrom=[CLOSED])).spec.parameters_from
    with pytest.raises(Forbidden, match="secretKeyRef"):
        await object_writer.change(request("ServiceInstance"), setting(parameters_from=sources))
    with pytest.raises(Forbidden, match=r"spec\.authInfo\.bearer\.secretRef"):
        await object_writer.patch(request("ServiceBroker", "mine"), setting(url="https://thief.example.com"))
    assert (await api.read(f"{path}/mine"))["spec"]["url"] == "https://broker.example.com"

    authorizer.asked = 0
    labels = {"labels": {"a": "b"}}
    relabelled = await object_writer.patch(
        request("ServiceBroker", "mine"),
        lambda old: (old.model_copy(update={"metadata": old.metadata.model_copy(update=labels)}), ()),
    )
    assert relabelled.object.metadata.labels == {"a": "b"}
    assert authorizer.asked == 0, "a label sends nothing anywhere"


async def test_a_change_that_is_allowed_is_made_once(gateway: Running, api: Api) -> None:
    authorizer = AllButClosed()
    object_writer = ObjectWriter(
        gateway.resources.database, on_write=lambda _request: None, places=PLACES_OF_TESTS, authorizer=authorizer
    )
    made = instance(clusterServiceClassName="c", clusterServicePlanName="p", parametersFrom=[OPEN])
    await object_writer.create(request("ServiceInstance"), read(made))
    before = len(await gateway.rows("outbox"))
    stored = await object_writer.change(request("ServiceInstance"), setting(update_requests=1))
    assert stored.object.metadata.generation == 2
    assert authorizer.asked == 2
    assert len(await gateway.rows("outbox")) == before + 1
