"""Secrets of bindings in a real cluster: made, changed, taken away; with the rights of one namespace, and no more."""

import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import pytest

from chandlery.model.faults import Conflict, Fault, Forbidden, Invalid, NotFound
from chandlery.model.objects.core import RecordedFact, Secret
from chandlery.model.objects.instances import ServiceInstance
from chandlery.model.objects.metadata import ObjectMeta, OwnerReference
from chandlery.platform.kubernetes.access.kubeconfig import read_kubeconfig
from chandlery.platform.kubernetes.cluster_client import ClusterClient
from chandlery.platform.kubernetes.kubernetes_platform import KubernetesPlatform
from chandlery.platform.protocol import SecretNotOwned
from chandlery.reconcile.reconcile_result import DeleteSecret, RecordEvent, WriteSecret
from tests.cluster.stage.real_cluster import RealCluster
from tests.support.waiting import eventually

VERBS = ["get", "list", "watch", "create", "update", "patch", "delete"]
JsonObject = dict[str, Any]
FoundT = TypeVar("FoundT")


class Stage:
    """A namespace that has opted in, the platform as its service account has it, and an owner in place of a binding."""

    def __init__(self, cluster: RealCluster, namespace: str) -> None:
        self.cluster, self.namespace = cluster, namespace
        self.home = cluster.new_namespace("home")
        self.client = ClusterClient(read_kubeconfig(cluster.service_account(self.home, "binder")))
        self.platform = KubernetesPlatform(self.client)
        rights = [
            {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get", "list", "watch"]},
            {"apiGroups": [""], "resources": ["events"], "verbs": ["create", "patch"]},
            {"apiGroups": [""], "resources": ["configmaps/finalizers"], "verbs": ["update"]},
        ]
        self.role(f"worker-{self.home}", rights)
        cluster.grant(f"worker-{self.home}", to=self.account)
        self.role("chandlery:secrets", [{"apiGroups": [""], "resources": ["secrets"], "verbs": VERBS}])
        self.owners = {name: self.owner(name) for name in ("one", "two")}

    @property
    def account(self) -> str:
        return f"system:serviceaccount:{self.home}:binder"

    def role(self, name: str, rules: list[JsonObject]) -> None:
        role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": name}}
        self.cluster.put("/apis/rbac.authorization.k8s.io/v1/clusterroles", {**role, "rules": rules})

    async def opt_in(self) -> None:
        self.cluster.grant("chandlery:secrets", to=self.account, namespace=self.namespace)
        await self.until_allowed("create", "secrets", namespace=self.namespace)

    async def until_allowed(self, verb: str, resource: str, *, namespace: str = "") -> None:
        """A right that was given takes a moment to get around."""
        attributes = {"verb": verb, "resource": resource, "namespace": namespace}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }

        async def allowed() -> bool:
            answer = await self.client.create("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
            return bool(answer["status"]["allowed"])

        await eventually(allowed, what=f"the right to {verb} {resource}")

    def owner(self, name: str) -> str:
        document = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}
        path = f"/api/v1/namespaces/{self.namespace}/configmaps"
        _, made = self.cluster.api().send("POST", path, document)
        uid: str = made["metadata"]["uid"]
        return uid

    def secret(self, owner: str = "one", /, **values: str) -> WriteSecret:
        reference = OwnerReference(
            api_version="v1",
            kind="ConfigMap",
            name=owner,
            uid=self.owners[owner],
            controller=True,
            block_owner_deletion=True,
        )
        data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
        metadata = ObjectMeta(name="rope", namespace=self.namespace, owner_references=[reference])
        return WriteSecret(Secret(metadata=metadata, data=data))

    def withdrawal(self, owner: str = "one") -> DeleteSecret:
        return DeleteSecret(self.namespace, "rope", self.owners[owner])

    def values(self) -> dict[str, str] | None:
        return self.cluster.secret(self.namespace, "rope")

    def metadata(self) -> JsonObject:
        found = self.cluster.api().find("secrets", "rope", namespace=self.namespace)
        assert found is not None
        metadata: JsonObject = found["metadata"]
        return metadata

    def kubectl(self, *arguments: str) -> str:
        return self.cluster.kubectl().ok(*arguments, "--namespace", self.namespace)


@pytest.fixture
async def stage(cluster: RealCluster, namespace: str) -> AsyncIterator[Stage]:
    made = Stage(cluster, namespace)
    await made.until_allowed("get", "namespaces")
    yield made
    await made.client.close()


async def test_namespace_that_has_not_opted_in_is_told_the_command_that_helps(stage: Stage) -> None:
    with pytest.raises(Forbidden, match="has not opted in") as refused:
        await stage.platform.carry_out(stage.secret(uri="tcp://rope"))
    with pytest.raises(Forbidden, match="may not be read"):
        await stage.platform.read_secret(stage.namespace, "rope")
    command = refused.value.message.partition("types: kubectl ")[2]
    stage.cluster.kubectl().ok(*command.split())
    await eventually_allowed(stage)
    assert stage.values() == {"uri": "tcp://rope"}


async def test_secret_is_made_changed_and_taken_away(stage: Stage) -> None:
    await stage.opt_in()
    await stage.platform.carry_out(stage.secret(uri="tcp://rope", password="knot"))
    assert stage.values() == {"uri": "tcp://rope", "password": "knot"}
    (owner,) = stage.metadata()["ownerReferences"]
    assert owner["controller"] is owner["blockOwnerDeletion"] is True
    await stage.platform.carry_out(stage.secret(uri="tcp://rope", user="ann"))
    assert stage.values() == {"uri": "tcp://rope", "user": "ann"}
    await stage.platform.carry_out(stage.secret(uri="tcp://other"))
    assert stage.values() == {"uri": "tcp://other"}
    assert [(each["manager"], each["operation"]) for each in stage.metadata()["managedFields"]] == [
        ("chandlery", "Apply")
    ]
    read = await stage.platform.read_secret(stage.namespace, "rope")
    assert read is not None
    assert read.data == stage.secret(uri="tcp://other").secret.data
    await stage.platform.withdraw(stage.withdrawal())
    assert stage.values() is None
    await stage.platform.withdraw(stage.withdrawal())


async def test_secret_of_somebody_else_is_never_touched(stage: Stage) -> None:
    await stage.opt_in()
    stage.kubectl("create", "secret", "generic", "rope", "--from-literal=a=b")
    with pytest.raises(SecretNotOwned):
        await stage.platform.carry_out(stage.secret(uri="tcp://rope"))
    await stage.platform.withdraw(stage.withdrawal())
    assert stage.values() == {"a": "b"}
    stage.kubectl("delete", "secret", "rope")
    await stage.platform.carry_out(stage.secret("one", uri="tcp://rope"))
    with pytest.raises(SecretNotOwned):
        await stage.platform.carry_out(stage.secret("two", uri="tcp://other"))
    await stage.platform.withdraw(stage.withdrawal("two"))
    assert stage.values() == {"uri": "tcp://rope"}


async def test_what_somebody_has_changed_is_put_right_and_labels_of_others_stay(stage: Stage) -> None:
    await stage.opt_in()
    await stage.platform.carry_out(stage.secret(uri="tcp://rope", password="knot"))
    stage.kubectl("label", "secret", "rope", "team=deck")
    stage.kubectl("patch", "secret", "rope", "-p", '{"data":{"uri":null,"password":"YmFk"}}')
    await stage.platform.carry_out(stage.secret(uri="tcp://rope", password="knot"))
    assert stage.values() == {"uri": "tcp://rope", "password": "knot"}
    assert stage.metadata()["labels"] == {"team": "deck", "app.kubernetes.io/managed-by": "chandlery"}


async def test_write_that_comes_late_is_refused(stage: Stage) -> None:
    await stage.opt_in()
    await stage.platform.carry_out(stage.secret(uri="tcp://rope"))
    seen = stage.metadata()
    await stage.platform.carry_out(stage.secret(uri="tcp://other"))
    late = {"name": "rope", "uid": seen["uid"], "resourceVersion": seen["resourceVersion"]}
    document = {"apiVersion": "v1", "kind": "Secret", "metadata": late, "data": {"uri": "YQ=="}}
    path = f"/api/v1/namespaces/{stage.namespace}/secrets/rope"
    with pytest.raises(Conflict):
        await stage.client.apply(path, document, field_manager="chandlery", force=True)
    assert stage.values() == {"uri": "tcp://other"}


async def test_immutable_secret_is_told_with_a_command(stage: Stage) -> None:
    await stage.opt_in()
    await stage.platform.carry_out(stage.secret(uri="tcp://rope"))
    stage.kubectl("patch", "secret", "rope", "-p", '{"immutable":true}')
    with pytest.raises(Invalid, match=r"made immutable\. .*kubectl delete secret rope"):
        await stage.platform.carry_out(stage.secret(uri="tcp://other"))


async def test_quota_is_told_in_the_clusters_words(stage: Stage) -> None:
    await stage.opt_in()
    stage.kubectl("create", "quota", "few", "--hard=secrets=0")

    async def refusal() -> Fault | None:
        try:
            await stage.platform.carry_out(stage.secret(uri="tcp://rope"))
        except Forbidden as fault:
            return fault
        await stage.platform.withdraw(stage.withdrawal())
        return None

    fault = await some(refusal)
    assert "exceeded quota" in fault.message or "status unknown for quota" in fault.message
    assert "kubectl describe resourcequota" in fault.message


async def test_missing_namespace_is_not_found(stage: Stage) -> None:
    assert await stage.platform.namespace("nowhere") is None
    found = await stage.platform.namespace(stage.namespace)
    assert found is not None
    assert found.status.phase == "Active"
    stage.cluster.grant("chandlery:secrets", to=stage.account)
    lost = stage.secret(uri="x").secret
    lost = lost.model_copy(update={"metadata": lost.metadata.model_copy(update={"namespace": "nowhere"})})

    async def refusal() -> Fault | None:
        try:
            await stage.platform.carry_out(WriteSecret(lost))
        except NotFound as fault:
            return fault
        except Forbidden:
            return None
        raise AssertionError("it was written")

    assert (await some(refusal)).message == 'namespaces "nowhere" not found'


async def test_secret_of_a_namespace_that_goes_is_no_hindrance_although_our_rights_went_first(stage: Stage) -> None:
    held = '{"metadata":{"finalizers":["example.com/held"]}}'
    stage.kubectl("patch", "configmap", "one", "-p", held)
    stage.cluster.kubectl().ok("delete", "namespace", stage.namespace, "--wait=false")
    try:
        # There was never a right: what is told of a namespace that stays is told in the first test.
        await stage.platform.withdraw(stage.withdrawal())
    finally:
        stage.kubectl("patch", "configmap", "one", "-p", '{"metadata":{"finalizers":null}}')


async def test_events_are_counted_and_bounded(stage: Stage) -> None:
    about = ServiceInstance.model_validate(
        {"metadata": {"name": "db", "namespace": stage.namespace, "uid": "0b56-db"}, "spec": {}}
    )
    fact = RecordedFact("Provisioning", "it is being made", is_warning=True)
    other = KubernetesPlatform(stage.client)
    for platform in (stage.platform, stage.platform, other):
        await platform.carry_out(RecordEvent(about, fact))
    found = stage.cluster.api().read(f"/api/v1/namespaces/{stage.namespace}/events")[1]["items"]
    (event,) = [each for each in found if each["involvedObject"]["name"] == "db"]
    assert (event["count"], event["type"], event["reason"]) == (3, "Warning", "Provisioning")
    for number in range(40):
        await other.carry_out(RecordEvent(about, RecordedFact("Storm", f"number {number}")))
    found = stage.cluster.api().read(f"/api/v1/namespaces/{stage.namespace}/events")[1]["items"]
    assert sum(each["reason"] == "Storm" for each in found) == 24


async def test_event_about_what_has_no_namespace_is_in_default(stage: Stage) -> None:
    about = ServiceInstance.model_validate({"metadata": {"name": "wide", "uid": stage.namespace}, "spec": {}})
    await stage.platform.carry_out(RecordEvent(about, RecordedFact("Seen", "x" * 3000)))
    found = stage.cluster.api().read("/api/v1/namespaces/default/events")[1]["items"]
    (event,) = [each for each in found if each["involvedObject"].get("uid") == stage.namespace]
    assert 1000 < len(event["message"]) <= 1024


async def eventually_allowed(stage: Stage) -> None:
    async def allowed() -> bool | None:
        try:
            await stage.platform.carry_out(stage.secret(uri="tcp://rope"))
        except Forbidden:
            return None
        return True

    await some(allowed)


async def some(look: Callable[[], Awaitable[FoundT | None]]) -> FoundT:
    """What is found in the end: rights and quota take a moment to get around."""
    found = await eventually(look, what="what the cluster has been told to get around")
    assert found is not None
    return found
