"""What may be created where: the cluster's namespaces as the gateway follows them."""

import asyncio
from typing import Any

import pytest

from chandlery.model.faults import Forbidden, NotFound, Refused, Unavailable
from chandlery.platform.kubernetes.cluster_namespaces import ClusterNamespaces
from chandlery.platform.kubernetes.cluster_watch import WatchEvent
from chandlery.platform.kubernetes.faults import is_terminating
from tests.support.clusters.scripted_lists import ScriptedLists, page
from tests.support.waiting import SOON

Following = tuple[ScriptedLists, ClusterNamespaces]


def namespace(name: str, phase: str = "Active", version: str = "1") -> dict[str, Any]:
    return {"metadata": {"name": name, "resourceVersion": version}, "status": {"phase": phase}}


async def following(*events: WatchEvent | Unavailable) -> Following:
    """Namespaces `ship` and `wreck`, then these events, then silence."""
    cluster = ScriptedLists()
    cluster.pages.append(page(namespace("ship"), namespace("wreck", "Terminating")))
    cluster.watches.append(list(events))
    clock = [0.0]
    namespaces = ClusterNamespaces(cluster.client, clock=lambda: clock[0])
    task = asyncio.create_task(namespaces.run())
    async with asyncio.timeout(SOON):
        await cluster.silent.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    cluster.seen.clear()
    return cluster, namespaces


async def test_what_is_known_is_not_asked_again() -> None:
    cluster, namespaces = await following()
    await namespaces.check_open("ship")
    with pytest.raises(Forbidden) as refused:
        await namespaces.check_open("wreck")
    assert refused.value.message == "unable to create new content in namespace wreck because it is being terminated"
    assert is_terminating(refused.value)
    assert refused.value.problems[0].message == "namespace wreck is being terminated"
    assert cluster.seen == []


async def test_what_is_not_known_is_looked_up() -> None:
    cluster, namespaces = await following()
    cluster.objects["/api/v1/namespaces/new"] = namespace("new")
    await namespaces.check_open("new")
    cluster.objects["/api/v1/namespaces/new"] = namespace("new", "Terminating")
    with pytest.raises(Forbidden):
        await namespaces.check_open("new")
    with pytest.raises(NotFound):
        await namespaces.check_open("none")


@pytest.mark.parametrize("name", ["..", ".", "a?b=c", "a#b", "A", "a%2fb", "a" * 64, "a\nb"])
async def test_what_can_be_no_namespace_is_none_and_asked_of_nobody(name: str) -> None:
    """It comes from the path of a request, and goes into one of ours."""
    cluster, namespaces = await following()
    with pytest.raises(NotFound):
        await namespaces.check_open(name)
    assert await namespaces.begun_at(name) is None
    assert cluster.seen == []


async def test_changes_count() -> None:
    cluster, namespaces = await following(
        WatchEvent("MODIFIED", namespace("ship", "Terminating", "11")),
        WatchEvent("DELETED", namespace("wreck", "Terminating", "12")),
        WatchEvent("ADDED", namespace("raft", version="13")),
    )
    with pytest.raises(Forbidden):
        await namespaces.check_open("ship")
    with pytest.raises(NotFound):
        await namespaces.check_open("wreck")
    cluster.seen.clear()
    await namespaces.check_open("raft")
    assert cluster.seen == []


async def test_before_anything_is_followed_it_is_looked_up() -> None:
    cluster = ScriptedLists()
    namespaces = ClusterNamespaces(cluster.client)
    cluster.objects["/api/v1/namespaces/ship"] = namespace("ship")
    await namespaces.check_open("ship")
    cluster.objects["/api/v1/namespaces/ship"] = Unavailable("the cluster is away")
    with pytest.raises(Unavailable):
        await namespaces.check_open("ship")


async def test_missing_right_of_ours_is_not_the_users() -> None:
    cluster = ScriptedLists()
    cluster.objects["/api/v1/namespaces/ship"] = Forbidden("User system:serviceaccount:x cannot get")
    with pytest.raises(Refused, match="ClusterRole"):
        await ClusterNamespaces(cluster.client).check_open("ship")


async def test_what_was_seen_lasts_half_a_minute_when_following_breaks_off() -> None:
    cluster = ScriptedLists()
    cluster.pages.append(page(namespace("ship")))
    cluster.watches.append([Unavailable("broken")])
    clock = [100.0]
    namespaces = ClusterNamespaces(cluster.client, clock=lambda: clock[0])
    task = asyncio.create_task(namespaces.run())
    async with asyncio.timeout(SOON):
        await cluster.silent.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    cluster.seen.clear()
    clock[0] += 29
    await namespaces.check_open("ship")
    assert cluster.seen == []
    clock[0] += 1
    with pytest.raises(NotFound):
        await namespaces.check_open("ship")
