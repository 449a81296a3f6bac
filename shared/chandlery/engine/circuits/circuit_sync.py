"""Tells the database of circuits, and brings back what they hold: one object to try the service broker, then all.

Runs beside the workers of a process. The process holds the truth about its own circuits in memory; what is in the
database is for others to see: the syncer shows it as a condition of the service broker, and processes whose circuit is
still open learn that another one was answered, because it takes away all notes about the lane.
"""

import asyncio
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

import structlog

from chandlery.engine.circuits.circuit_breakers import CircuitBreakers
from chandlery.engine.resources import Resources
from chandlery.lookup.broker_access import find_broker_of_lane
from chandlery.model.faults import Fault
from chandlery.reconcile.reconcile_result import circuit_key
from chandlery.retry.circuit import Circuit, OpenCircuit, Permit
from chandlery.store.database import UnitOfWork

log = structlog.get_logger(__name__)

_LOOK_SECONDS = 1.0
"""While a circuit is open: how often to look whether it is time for a probe, or whether others were answered."""
_UNWANTED_AFTER = timedelta(minutes=2)
"""A circuit that could be probed for so long, and nothing is held by it, is forgotten."""


@dataclass(frozen=True, kw_only=True)
class _Look:
    noted: set[str]
    """Lanes that the database says are open in this process."""
    unwanted: set[str]
    """Lanes whose circuit holds nothing."""


async def keep_circuits(resources: Resources) -> None:
    """Run for ever; on cancellation hand over what this process has held back."""
    breakers = resources.circuits
    try:
        while True:
            await _news_or_time(breakers)
            try:
                await look_after(resources)
            except Exception as error:  # noqa: BLE001 - without this loop nothing would try a broker again but the safety net
                log.warning(f"circuits could not be synchronized: {type(error).__name__}", action="keep_circuits")
                await asyncio.sleep(_LOOK_SECONDS)
    finally:
        if left := set(breakers.open_circuits()):
            with suppress(Fault):
                await asyncio.shield(resources.database.run(lambda unit: _leave(unit, left, owner=resources.owner)))


async def look_after(resources: Resources) -> None:
    """Once: tell the news, learn of others', and have those tried that are ripe."""
    breakers = resources.circuits
    news = breakers.take_news()
    told = breakers.open_circuits().keys() - news
    try:
        look = await resources.database.run(lambda unit: _look(unit, breakers, news, owner=resources.owner))
    except BaseException:
        breakers.put_back(news)
        raise
    now = resources.database.clock()
    for lane in told - look.noted:
        breakers.hasten(lane, now)
    for lane in look.unwanted:
        breakers.forget(lane)


async def _news_or_time(breakers: CircuitBreakers) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(breakers.changed.wait(), _LOOK_SECONDS if breakers.open_circuits() else None)


async def _look(unit: UnitOfWork, breakers: CircuitBreakers, news: Collection[str], *, owner: str) -> _Look:
    circuits = breakers.open_circuits()
    for lane in sorted(news):
        if (circuit := circuits.get(lane)) is not None:
            await _note(unit, lane, circuit, owner=owner)
        else:
            await _resume_all(unit, lane)
    unwanted = set[str]()
    for lane, circuit in circuits.items():
        if circuit.permit(unit.now) != Permit.PROBE:
            continue
        commands = await unit.wakes.enqueue_deferred(circuit_key(lane), limit=1)
        unit.outbox.add(*commands)
        if not commands and circuit.retry_at is not None and unit.now - circuit.retry_at > _UNWANTED_AFTER:
            unwanted.add(lane)
    return _Look(noted=await unit.circuits.open_lanes(owner) if circuits else set(), unwanted=unwanted)


async def _note(unit: UnitOfWork, lane: str, circuit: Circuit, *, owner: str) -> None:
    if circuit.opened_at is None or circuit.retry_at is None:
        return
    message = f"{circuit.failures} calls in a row have failed: {circuit.last_failure}"
    shown = OpenCircuit(opened_at=circuit.opened_at, retry_at=circuit.retry_at, message=message)
    if await unit.circuits.note_open(lane, shown, owner=owner):
        await _tell_broker(unit, lane)


async def _resume_all(unit: UnitOfWork, lane: str, *, owner: str | None = None) -> None:
    if await unit.circuits.note_closed(lane, owner=owner):
        await _tell_broker(unit, lane)
    key = circuit_key(lane)
    # Whoever decides to wait at this moment commits first and is seen, or finds the circuit closed.
    await unit.wakes.lock_waits([key])
    unit.outbox.add(*await unit.wakes.enqueue_deferred(key))


async def _leave(unit: UnitOfWork, lanes: Collection[str], *, owner: str) -> None:
    # Others hold it back again if they know better.
    for lane in sorted(lanes):
        await _resume_all(unit, lane, owner=owner)


async def _tell_broker(unit: UnitOfWork, lane: str) -> None:
    broker = await find_broker_of_lane(unit, lane)
    if broker is not None:
        unit.outbox.add(*await unit.wakes.enqueue_once(broker.metadata.uid or ""))


async def tell_of_silent(unit: UnitOfWork) -> None:
    """Part of the sweep: what dead processes have noted is taken back, and what they held goes on."""
    for lane in await unit.circuits.forget_silent():
        await _tell_broker(unit, lane)
        unit.outbox.add(*await unit.wakes.enqueue_deferred(circuit_key(lane)))
