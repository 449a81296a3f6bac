"""Following a real kube-apiserver: metadata alone, over its death, with and without the right, and namespaces' ends."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable

import pytest

from chandlery.model.faults import Fault, Forbidden
from chandlery.platform.kubernetes.access.kubeconfig import read_kubeconfig
from chandlery.platform.kubernetes.cluster_client import ClusterClient
from chandlery.platform.kubernetes.cluster_namespaces import ClusterNamespaces
from chandlery.platform.kubernetes.cluster_reflector import Change, ClusterReflector, ListEnds, ListPage, News, Trouble
from tests.cluster.stage.real_cluster import RealCluster
from tests.support.waiting import SOON, eventually


@pytest.fixture
async def client(cluster: RealCluster, namespace: str) -> AsyncIterator[ClusterClient]:
    """Of a service account that nothing is allowed to yet."""
    made = ClusterClient(read_kubeconfig(cluster.service_account(namespace, "follower")), timeout_seconds=10)
    yield made
    await made.close()


@pytest.fixture
async def news(client: ClusterClient, namespace: str) -> AsyncIterator[AsyncGenerator[News]]:
    reflector = ClusterReflector(client, f"/api/v1/namespaces/{namespace}/secrets", what="the Secrets", page_size=2)
    following = reflector.follow()
    yield following
    await following.aclose()


async def until(news: AsyncGenerator[News], accept: Callable[[News], bool]) -> News:
    async with asyncio.timeout(SOON):
        async for each in news:
            if accept(each):
                return each
    raise AssertionError("it has ended")


async def test_secrets_are_followed_over_the_death_of_kube_apiserver(
    cluster: RealCluster, namespace: str, news: AsyncGenerator[News]
) -> None:
    kubectl = cluster.kubectl()
    await until(news, lambda each: isinstance(each, Trouble) and isinstance(each.fault, Forbidden))
    cluster.grant("edit", to=f"system:serviceaccount:{namespace}:follower", namespace=namespace)
    await until(news, lambda each: isinstance(each, ListEnds))

    def make(name: str) -> None:
        kubectl.ok("create", "secret", "generic", name, "--from-literal=a=hunter2", "--namespace", namespace)

    await asyncio.to_thread(make, "one")
    seen = await until(news, lambda each: isinstance(each, Change) and each.object["metadata"]["name"] == "one")
    assert isinstance(seen, Change)
    assert seen.object["kind"] == "PartialObjectMetadata"
    assert "data" not in seen.object
    assert seen.object["metadata"]["managedFields"]
    await asyncio.to_thread(cluster.restart_apiserver)
    await asyncio.to_thread(lambda: kubectl.ok("delete", "secret", "one", "--namespace", namespace))
    names = set[str]()

    def is_gone(each: News) -> bool:
        if isinstance(each, ListPage):
            names.update(document["metadata"]["name"] for document in each.objects)
        if isinstance(each, ListEnds):
            return "one" not in names
        return isinstance(each, Change) and each.is_gone and each.object["metadata"]["name"] == "one"

    await until(news, is_gone)


async def test_create_in_a_namespace_that_is_missing_or_goes_is_refused_in_the_clusters_own_words(
    cluster: RealCluster, namespace: str, client: ClusterClient
) -> None:
    cluster.grant("view", to=f"system:serviceaccount:{namespace}:follower")
    namespaces = ClusterNamespaces(client)
    following = asyncio.create_task(namespaces.run())
    api, collection = cluster.api(), f"/api/v1/namespaces/{namespace}/configmaps"
    held = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "held", "finalizers": ["example.com/held"]}}
    assert api.send("POST", collection, held)[0] == 201

    async def refusal(name: str) -> str | None:
        try:
            await namespaces.check_open(name)
        except Fault as fault:
            return fault.message
        return None

    await eventually(lambda: refusal(namespace), lambda said: said is None, what="the right to look")
    asked = {**held, "metadata": {"name": "other"}}
    _, missing = api.send("POST", "/api/v1/namespaces/nowhere/configmaps", asked)
    assert await refusal("nowhere") == missing["message"]
    await asyncio.to_thread(lambda: cluster.kubectl().ok("delete", "namespace", namespace, "--wait=false"))
    said = await eventually(lambda: refusal(namespace), lambda said: said is not None, what="the refusal")
    _, refused = api.send("POST", collection, asked)
    assert refused["message"] == f'configmaps "other" is forbidden: {said}'
    with pytest.raises(Forbidden) as fault:
        await namespaces.check_open(namespace)
    cause = refused["details"]["causes"][0]
    (problem,) = fault.value.problems
    assert (problem.reason, problem.message, problem.field) == (cause["reason"], cause["message"], cause["field"])
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    merge = {"Content-Type": "application/merge-patch+json"}
    api.send("PATCH", f"{collection}/held", {"metadata": {"finalizers": None}}, headers=merge)
