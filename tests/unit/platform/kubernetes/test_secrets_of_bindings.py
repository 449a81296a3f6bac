"""Secrets of bindings in a cluster that stands in for one: who may write over what, and in which order."""

import asyncio
from typing import Any

import pytest

from chandlery.model.faults import BadRequest, Conflict, Forbidden, Invalid
from chandlery.model.objects.core import Secret
from chandlery.model.objects.metadata import ObjectMeta, OwnerReference
from chandlery.model.objects.wire import JsonObject
from chandlery.platform.kubernetes.cluster_secrets import applied_entries
from chandlery.platform.kubernetes.kubernetes_platform import KubernetesPlatform
from chandlery.platform.protocol import SecretNotOwned
from chandlery.reconcile.reconcile_result import DeleteSecret, WriteSecret
from tests.support.clusters.plain_cluster import PlainCluster

NS = "/api/v1/namespaces/ship"
PATH = f"{NS}/secrets/rope"


def write(owner: str = "mine", **data: str) -> WriteSecret:
    reference = OwnerReference(api_version="v1beta1", kind="ServiceBinding", name="one", uid=owner, controller=True)
    metadata = ObjectMeta(name="rope", namespace="ship", owner_references=[reference])
    return WriteSecret(Secret(metadata=metadata, data=data))


def verbs(cluster: PlainCluster) -> list[str]:
    return [call.partition(" ")[0] for call in cluster.calls]


async def test_first_is_made_the_second_taken_over_once_and_applied_from_then_on() -> None:
    cluster = PlainCluster()
    platform = KubernetesPlatform(cluster.client)
    for value in ("YQ==", "Yg==", "Yw=="):
        await platform.carry_out(write(uri=value))
    assert verbs(cluster) == ["get", "create", "get", "patch", "apply", "get", "apply"]
    assert cluster.objects[PATH]["data"] == {"uri": "Yw=="}
    read = await platform.read_secret("ship", "rope")
    assert read is not None
    assert read.data == {"uri": "Yw=="}


class SlowCluster(PlainCluster):
    """The first apply is under way until somebody lets it arrive."""

    def __init__(self) -> None:
        super().__init__()
        self.under_way: asyncio.Future[tuple[str, JsonObject]] = asyncio.get_running_loop().create_future()

    async def apply(self, path: str, body: JsonObject, /, *, field_manager: str, force: bool) -> JsonObject:
        if not self.under_way.done():
            self.under_way.set_result((path, body))
            await asyncio.Event().wait()
        return await super().apply(path, body, field_manager=field_manager, force=force)


async def test_call_that_comes_late_writes_nothing_over_what_the_successor_has_written() -> None:
    cluster = SlowCluster()
    platform = KubernetesPlatform(cluster.client)
    await platform.carry_out(write(uri="YQ=="))
    stalled = asyncio.create_task(platform.carry_out(write(uri="Yg==")))
    path, body = await cluster.under_way
    # Its lease is lost, and with it the worker; the call is on its way all the same.
    stalled.cancel()
    await KubernetesPlatform(cluster.client).carry_out(write(uri="Yw=="))
    with pytest.raises(Conflict):
        await cluster.apply(path, body, field_manager="chandlery", force=True)
    assert cluster.objects[PATH]["data"] == {"uri": "Yw=="}


async def test_what_a_webhook_of_the_cluster_denies_is_told_like_any_refusal() -> None:
    cluster = PlainCluster()
    cluster.refuses = {f"create {PATH}": BadRequest('admission webhook "labels.example.com" denied the request')}
    with pytest.raises(Invalid, match=r'the Secret "ship/rope" is not accepted: admission webhook "labels'):
        await KubernetesPlatform(cluster.client).carry_out(write(uri="YQ=="))


@pytest.mark.parametrize("owners", [[], [{"uid": "other", "controller": True}], [{"uid": "mine"}]])
async def test_secret_that_is_not_the_bindings_is_not_touched(owners: list[dict[str, Any]]) -> None:
    cluster = PlainCluster()
    cluster.put(PATH, {"metadata": {"ownerReferences": owners}, "data": {"a": "b"}})
    platform = KubernetesPlatform(cluster.client)
    with pytest.raises(SecretNotOwned):
        await platform.carry_out(write(uri="YQ=="))
    await platform.withdraw(DeleteSecret("ship", "rope", "mine"))
    assert cluster.objects[PATH]["data"] == {"a": "b"}
    assert verbs(cluster) == ["get", "get"]


async def test_secret_that_changes_under_our_hands_all_the_time_is_a_conflict() -> None:
    cluster = PlainCluster()
    platform = KubernetesPlatform(cluster.client)
    await platform.carry_out(write(uri="YQ=="))
    cluster.refuses = {f"{verb} {PATH}": Conflict() for verb in ("apply", "patch", "delete")}
    with pytest.raises(Conflict, match="by others at the same time"):
        await platform.carry_out(write(uri="Yg=="))
    with pytest.raises(Conflict, match="by others at the same time"):
        await platform.withdraw(DeleteSecret("ship", "rope", "mine"))


@pytest.mark.parametrize("namespace", [None, {"deletionTimestamp": "2026-12-01T00:00:00Z"}], ids=["gone", "going"])
async def test_secret_counts_as_gone_where_its_namespace_is(namespace: dict[str, Any] | None) -> None:
    cluster = PlainCluster()
    cluster.refuses = {f"get {PATH}": Forbidden("no right")}
    if namespace is not None:
        cluster.put(NS, {"metadata": namespace})
    await KubernetesPlatform(cluster.client).withdraw(DeleteSecret("ship", "rope", "mine"))


async def test_secret_that_may_not_be_taken_away_is_told() -> None:
    cluster = PlainCluster()
    cluster.put(NS, {})
    user = 'User "system:serviceaccount:chandlery:binder" cannot get resource "secrets"'
    cluster.refuses = {f"get {PATH}": Forbidden(f"secrets is forbidden: {user}")}
    with pytest.raises(Forbidden, match=r"kubectl create rolebinding .* --serviceaccount=chandlery:binder"):
        await KubernetesPlatform(cluster.client).withdraw(DeleteSecret("ship", "rope", "mine"))


def test_entry_of_a_create_goes_where_there_is_one_of_an_apply() -> None:
    made = {"manager": "chandlery", "operation": "Update"}
    applied = {"manager": "chandlery", "operation": "Apply"}
    other = {"manager": "kubectl", "operation": "Update"}
    assert applied_entries([made, other]) == [applied, other]
    assert applied_entries([made, applied, other]) == [applied, other]
    assert applied_entries([applied, other]) is None
