"""What is thought of the work: who does it, what waits, what holds it up."""

from typing import Final

import pytest

from chandlery.process.commands.doctor.check import State
from chandlery.process.commands.doctor.verdicts import work_verdicts
from chandlery.process.commands.doctor.verdicts.work_verdicts import Seen
from chandlery.store.inspection.work_facts import (
    AbandonedLeases,
    LaneBacklog,
    NamedLease,
    Waiting,
)

SWEEP: Final = NamedLease("sweep", "syncer/a/1/x", 3.0)
DEMO: Final = "broker:/demo"


def worker(service: str, number: int = 1, *, seconds: float = 30.0) -> NamedLease:
    queue = {"provisioner": "provisioner.instance.reconcile", "binder": "binder.binding.reconcile"}[service]
    owner = f"{service}/a/{number}/x"
    return NamedLease(f"calls service brokers/{owner}/{queue}", owner, seconds)


WORKERS: Final = [SWEEP, worker("provisioner"), worker("binder")]
ALL_LISTEN: Final = {"provisioner": 1, "binder": 1, "syncer": 1}


@pytest.mark.parametrize(
    ("seen", "state", "said"),
    [
        (Seen(leases=WORKERS, listeners=ALL_LISTEN, sessions={"gateway": 3}), State.OK, "gateway running"),
        (Seen(leases=WORKERS, listeners=ALL_LISTEN), State.OK, "gateway not to be seen from here"),
        (Seen(leases=WORKERS, listeners=ALL_LISTEN, sees_all_sessions=True), State.FAIL, "no process of the gateway"),
        (Seen(leases=WORKERS, listeners={"syncer": 0}), State.FAIL, "no process of the syncer"),
        (Seen(leases=[SWEEP, worker("binder")], listeners=ALL_LISTEN), State.FAIL, "no process of the provisioner"),
        (
            Seen(leases=[SWEEP, worker("binder"), worker("provisioner", seconds=-1)], listeners=ALL_LISTEN),
            State.FAIL,
            "no process of the provisioner",
        ),
        (Seen(sees_all_sessions=True), State.FAIL, "no process of any service"),
        (Seen(leases=[SWEEP], is_alone=True), State.OK, "`chandlery up` is at work"),
        (Seen(leases=[NamedLease("sweep", "x", -9)], is_alone=True), State.FAIL, "`chandlery up` is not running"),
    ],
)
def test_a_service_without_a_process_is_told(seen: Seen, state: State, said: str) -> None:
    found = work_verdicts.processes(seen)
    assert (found.state, said in found.message) == (state, True)
    assert bool(found.remedy) == (state is State.FAIL)


def test_processes_that_are_known_are_counted_and_each_service_has_one_at_least() -> None:
    leases = [SWEEP, *(worker("provisioner", number) for number in range(3))]
    assert work_verdicts.known_processes(Seen(leases=leases)) == 6


@pytest.mark.parametrize(
    ("waiting", "state"),
    [
        (Waiting(0, 0.0), State.OK),
        (Waiting(9, 5.0), State.OK),
        (Waiting(1, 40.0), State.WARN),
        (Waiting(400, 4_000.0), State.FAIL),
    ],
)
def test_an_outbox_that_is_stuck_is_told(waiting: Waiting, state: State) -> None:
    assert work_verdicts.outbox(waiting).state is state


@pytest.mark.parametrize(("seconds", "state"), [(5.0, State.OK), (90.0, State.WARN), (3_700.0, State.FAIL)])
def test_work_that_waits_is_told_with_its_service_broker(seconds: float, state: State) -> None:
    lanes = [
        LaneBacklog("ServiceInstance", DEMO, Waiting(2, seconds)),
        LaneBacklog("Namespace", "all", Waiting(1, 1.0)),
    ]
    found = work_verdicts.backlog(lanes, objects=10, in_hand=1)
    assert found.state is state
    assert found.message.startswith("10 objects: 1 worked on, 3 due")
    assert ("2 ServiceInstance of demo for" in found.message) == (state is not State.OK)


def test_objects_that_dead_processes_hold_are_told_with_these() -> None:
    found = work_verdicts.leases([AbandonedLeases("binder/a/1/x", 3, 150.0)])
    assert found.message == "3 objects still held by processes that are gone: binder/a/1/x (3, for 2 min)"
    assert work_verdicts.leases([]).state is State.OK


def test_work_that_is_held_after_a_restore_is_told_with_the_way_out() -> None:
    assert work_verdicts.restored_work(None, is_unseen=False).state is State.OK
    held = work_verdicts.restored_work("2026-12-01T10:00:00+00:00", is_unseen=False)
    assert held.state is State.WARN
    assert "2026-12-01T10:00:00" in held.message
    assert "chandlery reconcile release" in held.remedy
    unseen = work_verdicts.restored_work(None, is_unseen=True)
    assert unseen.state is State.FAIL
    assert "chandlery migrate" in unseen.remedy
