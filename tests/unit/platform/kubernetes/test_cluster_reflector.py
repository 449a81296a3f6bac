"""Following a collection: pages, changes, where it goes on, and what it does when the cluster does not play along."""

import asyncio
from contextlib import aclosing

from chandlery.model.faults import Expired, Forbidden, Unavailable
from chandlery.platform.kubernetes.cluster_reflector import (
    Change,
    ClusterReflector,
    ListBegins,
    ListEnds,
    ListPage,
    News,
    Progress,
    Trouble,
)
from chandlery.platform.kubernetes.cluster_watch import WatchEvent
from chandlery.platform.kubernetes.faults import TooManyRequests
from tests.support.clusters.scripted_lists import ScriptedLists, named, page
from tests.support.waiting import SOON

PATH = "/api/v1/secrets"


def added(name: str, version: str) -> WatchEvent:
    return WatchEvent("ADDED", named(name, version))


async def followed(cluster: ScriptedLists, *, since: str = "") -> list[News]:
    """What comes until the cluster has no more to say."""
    seen: list[News] = []
    reflector = ClusterReflector(
        cluster.client, PATH, what="the Secrets", page_size=2, sleep=cluster.pause, chance=lambda: 1.0
    )

    async def follow() -> None:
        async with aclosing(reflector.follow(since)) as news:
            async for each in news:
                seen.append(each)  # noqa: PERF401 - it never ends

    task = asyncio.create_task(follow())
    async with asyncio.timeout(SOON):
        await cluster.silent.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return seen


def watched_from(cluster: ScriptedLists) -> list[str]:
    return [query["resourceVersion"] for what, query in cluster.seen if what.startswith("watch")]


async def test_list_comes_in_pages_and_the_watch_begins_where_it_ends() -> None:
    cluster = ScriptedLists()
    cluster.pages.extend([page(named("a"), named("b"), following="x"), page(named("c"), version="12")])
    cluster.watches.append([added("d", "13"), WatchEvent("BOOKMARK", named("", "20"))])
    begins, first, second, ends, change, progress = await followed(cluster)
    assert begins == ListBegins()
    assert isinstance(first, ListPage)
    assert isinstance(second, ListPage)
    assert [len(first.objects), len(second.objects)] == [2, 1]
    assert ends == ListEnds("12")
    assert isinstance(change, Change)
    assert (change.object["metadata"]["name"], change.is_gone, change.version) == ("d", False, "13")
    assert progress == Progress("20")
    assert watched_from(cluster) == ["12", "20"]
    assert [query.get("continue") for what, query in cluster.seen if what.startswith("get")] == [None, "x"]


async def test_it_goes_on_from_a_version_that_was_kept_without_a_list() -> None:
    cluster = ScriptedLists()
    cluster.watches.append([WatchEvent("DELETED", named("a", "31"))])
    (gone,) = await followed(cluster, since="30")
    assert isinstance(gone, Change)
    assert gone.is_gone
    assert watched_from(cluster) == ["30", "31"]


async def test_version_that_is_too_old_leads_to_a_list_at_once() -> None:
    cluster = ScriptedLists()
    cluster.watches.append([Expired("too old resource version")])
    cluster.pages.append(page(named("a"), version="50"))
    news = await followed(cluster, since="30")
    assert [type(each) for each in news] == [ListBegins, ListPage, ListEnds]
    assert watched_from(cluster) == ["30", "50"]


async def test_list_whose_version_is_forgotten_before_its_last_page_begins_anew() -> None:
    cluster = ScriptedLists()
    cluster.pages.extend([page(named("a"), named("b"), following="x"), Expired("the continue token is too old")])
    cluster.pages.append(page(named("b"), version="50"))
    news = await followed(cluster)
    assert [type(each) for each in news] == [ListBegins, ListPage, ListBegins, ListPage, ListEnds]
    assert watched_from(cluster) == ["50"]


async def test_watch_that_breaks_off_goes_on_where_it_was() -> None:
    cluster = ScriptedLists()
    cluster.watches.extend([[added("a", "31"), Unavailable("broken")], [added("b", "32")]])
    change, trouble, other = await followed(cluster, since="30")
    assert isinstance(change, Change)
    assert isinstance(trouble, Trouble)
    assert isinstance(other, Change)
    assert watched_from(cluster) == ["30", "31", "32"]


async def test_pauses_grow_while_nothing_comes_and_the_clusters_wish_counts() -> None:
    cluster = ScriptedLists()
    cluster.pages.extend([Forbidden("no right")] * 4 + [TooManyRequests("later", retry_after_seconds=60.0), page()])
    news = await followed(cluster)
    assert sum(isinstance(each, Trouble) for each in news) == 5
    assert cluster.pauses == [0.5, 1.0, 2.0, 4.0, 60.0]


async def test_watch_that_ends_at_once_is_not_begun_without_a_pause() -> None:
    cluster = ScriptedLists()
    cluster.watches.extend([[], [], []])
    assert await followed(cluster, since="30") == []
    assert cluster.pauses == [0.5, 1.0, 2.0]
