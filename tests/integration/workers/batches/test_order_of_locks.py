"""Batches over several service brokers take what they lock in one order, so that no two wait for each other."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

import pytest

from chandlery.contracts.messages import Reconcile
from chandlery.engine.circuits.circuit_breakers import CircuitBreakers
from chandlery.engine.reconcile_loop import ReconcileLoop
from chandlery.model.objects.brokers import CircuitBreaker, RateLimit
from chandlery.reconcile.answers import Answer, Verb, Verdict
from chandlery.retry.circuit import CircuitPolicy, Permit
from chandlery_provisioner.instance_reconciler import InstanceReconciler
from tests.conformance.scripted.scripted_broker import ScriptedBroker
from tests.conformance.scripted.scripted_templates import PROVISION
from tests.integration.workers.fleet import INSTANCE, Fleet, Process, instance
from tests.support.measured.statements import Statements, counted_statements

_BROKERS: Final = ("y", "x", "z")
_NAMES: Final = [f"{broker}-{number}" for number in range(4) for broker in _BROKERS]
_LIMITED: Final = {"rate_limit": RateLimit(requests_per_second=100, burst=100)}
_GUARDED: Final = {"circuit_breaker": CircuitBreaker(consecutive_failures=1, open_duration="1h")}
_FAILURE: Final = Answer(verb=Verb.PROVISION, verdict=Verdict.BROKEN, status=500)


@pytest.fixture
async def broker() -> AsyncIterator[ScriptedBroker]:
    async with ScriptedBroker() as broker:
        yield broker


async def _offered(fleet: Fleet, broker: ScriptedBroker, **spec: Any) -> Process:
    for name in _BROKERS:
        await fleet.offer(name, broker.url, **spec)
    process = await fleet.process("worker")
    await fleet.create_together(*(instance(name, name[0]) for name in _NAMES))
    return process


async def _rounds(fleet: Fleet, process: Process, loop: Any) -> Statements:
    rows = [await fleet.work_row(INSTANCE, name) for name in _NAMES]
    with counted_statements(process.engine) as counted:
        await asyncio.gather(
            *(loop.handle(Reconcile(kind=INSTANCE.kind, uid=row["uid"], lane=row["lane"])) for row in rows)
        )
    return counted


class _InOrder:
    """Notes whose lane is asked for, which is just before their turn in its line is taken."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.order: list[tuple[str, str]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def lane(self, snapshot: Any, claim: Any) -> str:
        if (claim.lane, claim.uid) not in self.order:
            self.order.append((claim.lane, claim.uid))
        return str(self._inner.lane(snapshot, claim))


async def test_a_batch_takes_its_turns_before_several_limited_brokers_in_the_order_of_their_lanes(
    fleet: Fleet, broker: ScriptedBroker
) -> None:
    process = await _offered(fleet, broker, **_LIMITED)
    reconciler: Any = _InOrder(InstanceReconciler(process.resources))

    await _rounds(fleet, process, ReconcileLoop[Any, Any, Any, Any](reconciler, process.resources))

    assert len(broker.seen_of(PROVISION)) == len(_NAMES) == len(reconciler.order)
    assert {row["lane"] for row in await fleet.rows("rate_limits")} == {lane for lane, _ in reconciler.order}
    assert reconciler.order == sorted(reconciler.order)


class _OpensMeanwhile(CircuitBreakers):
    """Every circuit is closed when a call is decided, and open when it is to be made."""

    def begin(self, lane: str, policy: CircuitPolicy, now: datetime) -> Permit:
        self.ended(lane, policy, "another", answer=_FAILURE, is_probe=False, now=now)
        return super().begin(lane, policy, now)


async def test_rounds_that_are_held_back_at_the_last_moment_lock_their_circuits_at_once(
    fleet: Fleet, broker: ScriptedBroker
) -> None:
    process = await _offered(fleet, broker, **_GUARDED)
    resources = replace(process.resources, circuits=_OpensMeanwhile())
    loop = ReconcileLoop[Any, Any, Any, Any](InstanceReconciler(resources), resources)

    counted = await _rounds(fleet, process, loop)

    assert broker.seen_of(PROVISION) == []
    rows = [await fleet.work_row(INSTANCE, name) for name in _NAMES]
    assert {row["waiting_for"] for row in rows} == {f"circuit:broker:/{name}" for name in _BROKERS}
    locks = [text for text in counted.texts if "pg_advisory_xact_lock" in text]
    assert (counted.transactions, len(locks)) == (2, 0 if "sqlite" in fleet.database_url else 1)
