"""Secrets of a cluster are followed: what was changed, deleted or missing wakes who waits for it, and nobody else."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from chandlery.engine.following.secret_watch import SecretWatch
from chandlery.model.faults import Expired, Forbidden, Unavailable
from chandlery.platform.kubernetes.cluster_watch import WatchEvent
from chandlery.reconcile.reconcile_result import secret_key
from chandlery.store.database import UnitOfWork
from tests.conformance.scripted import scripted_templates as osb
from tests.conformance.scripted.scripted_broker import Reply, ScriptedBroker
from tests.integration.workers.distant_platform import DistantPlatform
from tests.integration.workers.fleet import BINDING, INSTANCE, NS, Fleet, binding, instance
from tests.support.clusters.scripted_lists import ScriptedLists, page
from tests.support.waiting import SOON, eventually

ALL, OF_NS = "/api/v1/secrets", f"/api/v1/namespaces/{NS}/secrets"
LOCAL = pytest.mark.parametrize("fleet", ["sqlite, in process"], indirect=True)
"""What the cluster says does not depend on the database; how keys are found is tested on both, at the end."""
pytestmark = LOCAL


class Stage:
    """A binding at rest with its Secret, and a cluster that tells of that."""

    def __init__(self, fleet: Fleet, platform: DistantPlatform) -> None:
        self.fleet, self.platform = fleet, platform
        self.cluster = ScriptedLists()
        self.uid = ""
        self._watching: asyncio.Task[None] | None = None

    def secret(self, version: str, *, is_changed: bool = False, name: str = "one") -> dict[str, Any]:
        manager = "kubectl-edit" if is_changed else "chandlery"
        entries = [{"manager": manager, "operation": "Apply", "fieldsV1": {"f:data": {"f:uri": {}}}}]
        metadata = {
            "name": name,
            "namespace": NS,
            "resourceVersion": version,
            "annotations": {"chandlery.io/secret-keys": "1"},
            "ownerReferences": [{"uid": self.uid, "controller": True}],
            "managedFields": entries,
        }
        return {"metadata": metadata}

    async def watch(self, **options: Any) -> None:
        """Until the cluster has no more to tell, and a moment longer: what it has told is told then."""
        self.platform.calls.clear()
        self.cluster.silent.clear()
        watch = SecretWatch(
            self.fleet.front.database,
            self.cluster.client,
            owner="binder",
            look_every_seconds=0.05,
            turn_seconds=0.05,
            **options,
        )
        self._watching = asyncio.create_task(watch.run())
        if not options:
            async with asyncio.timeout(SOON):
                await self.cluster.silent.wait()

    async def stop(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)

    async def until_looked_at(self) -> None:
        await eventually(lambda: "read one" in self.platform.calls, what="a look at the Secret")

    async def note(self, versions: str) -> None:
        async def note(unit: UnitOfWork) -> None:
            await unit.leases.note_fact("secrets of the cluster seen", versions)

        await self.fleet.front.database.run(note)


@pytest.fixture
async def stage(fleet: Fleet) -> AsyncIterator[Stage]:
    fleet.platform = platform = DistantPlatform()
    async with ScriptedBroker() as broker:
        broker.script(osb.BIND, Reply(201, {"credentials": {"uri": "tcp://rope"}}))
        await fleet.offer("db", broker.url)
        await fleet.worker("ServiceInstance", "ServiceBinding")
        await fleet.create(instance("one", "db"))
        await fleet.until_ready(INSTANCE, "one")
        await fleet.create(binding("one"))
        await fleet.until_ready(BINDING, "one")
        made = Stage(fleet, platform)
        made.uid = (await fleet.find(BINDING, "one")).metadata.uid

        async def is_at_rest() -> bool:
            row = await fleet.work_row(BINDING, "one")
            return bool(row["waiting_for"] == secret_key(NS, "one"))

        await eventually(is_at_rest, what="the binding to rest")
        yield made
        await made.stop()
        assert len(broker.seen_of(osb.BIND)) == 1


async def test_secret_that_was_deleted_is_written_again(stage: Stage) -> None:
    await stage.note('{"":"10"}')
    del stage.platform.secrets[NS, "one"]
    stage.cluster.watches.append([WatchEvent("DELETED", stage.secret("11"))])
    await stage.watch()
    await eventually(lambda: stage.platform.values("one") == {"uri": "tcp://rope"}, what="the Secret to be restored")


async def test_secret_that_was_changed_is_put_right(stage: Stage) -> None:
    await stage.note('{"":"10"}')
    secret = stage.platform.secrets[NS, "one"]
    stage.platform.secrets[NS, "one"] = secret.model_copy(update={"data": {"uri": "aGE="}})
    stage.cluster.watches.append([WatchEvent("MODIFIED", stage.secret("11", is_changed=True))])
    await stage.watch()
    await eventually(lambda: stage.platform.values("one") == {"uri": "tcp://rope"}, what="the Secret to be restored")


async def test_deletion_while_nobody_looked_is_found_by_the_list(stage: Stage) -> None:
    await stage.note('{"":"10"}')
    del stage.platform.secrets[NS, "one"]
    stage.cluster.watches.append([Expired("too old resource version")])
    stage.cluster.pages.append(page(stage.secret("5", name="another"), version="50"))
    await stage.watch()
    await eventually(lambda: stage.platform.values("one") == {"uri": "tcp://rope"}, what="the Secret to be restored")


@pytest.mark.parametrize(
    ("seen", "is_looked_at"),
    [(("9", False), False), (("9", True), False), (("11", True), True), (("11", False), False)],
    ids=["older", "older, changed", "newer, changed", "newer, as we have left it"],
)
async def test_list_is_compared_with_what_was_seen_before(
    stage: Stage, seen: tuple[str, bool], is_looked_at: bool
) -> None:
    await stage.note('{"":"10"}')
    version, is_changed = seen
    stage.cluster.watches.append([Expired("too old resource version")])
    stage.cluster.pages.append(page(stage.secret(version, is_changed=is_changed), version="50"))
    # The deletion is told behind the list, in its order: so what came before has been told, too.
    stage.cluster.watches.append([WatchEvent("ADDED", stage.secret("51", name="marker"))])
    await stage.fleet.create(waiting_for("marker"))
    await until_waiting(stage)
    await stage.watch()
    await eventually(lambda: stage.platform.calls.count("read marker") > 0, what="the last news")
    assert ("read one" in stage.platform.calls) == is_looked_at


async def test_without_a_version_only_what_is_as_we_have_left_it_is_no_news(stage: Stage) -> None:
    stage.cluster.pages.append(page(stage.secret("9", is_changed=True), version="50"))
    await stage.watch()
    await stage.until_looked_at()


async def test_cluster_that_went_back_to_an_earlier_state_is_looked_at_anew(stage: Stage) -> None:
    await stage.note('{"":"1000"}')
    stage.cluster.watches.extend([Unavailable("too large resource version")] for _ in range(4))
    stage.cluster.pages.append(page(stage.secret("9", is_changed=True), version="50"))
    await stage.watch()
    await stage.until_looked_at()


async def test_secret_that_comes_is_found_by_whoever_waits_for_it(stage: Stage) -> None:
    await stage.note('{"":"10"}')
    await stage.fleet.create(waiting_for("words"))
    await stage.fleet.until_condition(INSTANCE, "late", ("False", "ErrorWithParameters"))
    stage.platform.put("words", json='{"word": "mellon"}')
    stage.cluster.watches.append([WatchEvent("ADDED", stage.secret("11", name="words"))])
    await stage.watch()
    await stage.fleet.until_ready(INSTANCE, "late")


async def test_namespaces_are_followed_one_by_one_where_that_is_all_we_may(stage: Stage) -> None:
    stage.cluster.sees_all = False
    stage.cluster.pages.append(page(stage.secret("9"), version="50"))
    del stage.platform.secrets[NS, "one"]
    stage.cluster.watches.append([WatchEvent("DELETED", stage.secret("51"))])
    await stage.watch()
    await eventually(lambda: stage.platform.values("one") == {"uri": "tcp://rope"}, what="the Secret to be restored")
    asked = {what for what, _ in stage.cluster.seen if not what.startswith("create")}
    assert asked == {f"get {OF_NS}", f"watch {OF_NS}"}


async def test_namespaces_beyond_the_watches_are_listed_in_turns(stage: Stage) -> None:
    stage.cluster.sees_all = False
    stage.cluster.pages.extend([page(stage.secret("9"), version="50"), page(stage.secret("9"), version="51")])
    stage.cluster.pages.append(page(stage.secret("53", is_changed=True), version="60"))
    stage.cluster.pages.extend(
        page(stage.secret("53", is_changed=True), version=str(60 + more)) for more in range(5000)
    )
    await stage.watch(most_watches=0)
    await stage.until_looked_at()
    assert not any(what.startswith("watch") for what, _ in stage.cluster.seen)
    # What has been told is not told at each turn.
    left = len(stage.cluster.pages)
    await eventually(lambda: len(stage.cluster.pages) < left - 3, what="some more turns")
    assert stage.platform.calls.count("read one") == 1


async def test_namespace_that_opts_in_has_all_looked_at(stage: Stage) -> None:
    stage.cluster.sees_all = False
    await stage.note(f'{{"{NS}":"10"}}')
    stage.cluster.watches.append([Forbidden("no right")])
    stage.cluster.pages.append(page(stage.secret("9", is_changed=True), version="50"))
    await stage.watch()
    await stage.until_looked_at()


async def test_another_takes_over_where_the_first_was(stage: Stage) -> None:
    await stage.note('{"":"10"}')
    await stage.watch()
    await stage.stop()
    stage.cluster.seen.clear()
    await stage.watch()
    assert [query["resourceVersion"] for what, query in stage.cluster.seen if what == f"watch {ALL}"] == ["10"]


def waiting_for(secret: str) -> Any:
    """An instance that lacks its parameters."""
    reference = {"secretKeyRef": {"name": secret, "key": "json"}}
    made = instance("late", "db")
    spec = made.spec.to_wire() | {"parametersFrom": [reference]}
    return made.model_validate(made.to_wire() | {"spec": spec})


async def until_waiting(stage: Stage) -> None:
    async def waits() -> bool:
        row = await stage.fleet.find_work_row(INSTANCE, "late")
        return row is not None and row["waiting_for"] == secret_key(NS, "marker")

    await eventually(waits, what="the instance to wait")
