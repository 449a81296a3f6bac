"""Checks of the work in the database: who does it, what waits, what holds it up."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta

from chandlery.model.faults import Fault
from chandlery.process.commands.doctor.check import WORK, Check, Result, checks_of
from chandlery.process.commands.doctor.surroundings import Surroundings
from chandlery.process.commands.doctor.verdicts import broker_verdicts, work_verdicts
from chandlery.process.commands.doctor.verdicts.rabbitmq_verdicts import service_of
from chandlery.process.commands.doctor.verdicts.work_verdicts import Seen
from chandlery.store.database import UnitOfWork

_NEEDS = ("schema",)
_ABANDONED = timedelta(seconds=60)
"""The sweep sends a command for such an object at once, and a worker takes it within seconds."""

_check = checks_of(WORK)


def work_checks(around: Surroundings) -> Sequence[Check]:
    """All of them."""

    async def processes() -> Result:
        return work_verdicts.processes(await signs_of_life(around))

    async def restored_work() -> Result:
        since, is_unseen = await around.database.run(_restored)
        return work_verdicts.restored_work(since, is_unseen=is_unseen)

    async def outbox() -> Result:
        return work_verdicts.outbox(await around.database.run(lambda unit: unit.inspection.outbox()))

    async def backlog() -> Result:
        lanes = await around.database.run(lambda unit: unit.inspection.backlog())
        objects, in_hand = await around.database.run(lambda unit: unit.inspection.objects())
        return work_verdicts.backlog(lanes, objects=objects, in_hand=in_hand)

    async def leases() -> Result:
        return work_verdicts.leases(await around.database.run(lambda unit: unit.inspection.abandoned(after=_ABANDONED)))

    async def broker_calls() -> Result:
        return broker_verdicts.calls(await around.database.run(lambda unit: unit.inspection.broker_rounds()))

    async def circuits() -> Result:
        return broker_verdicts.circuits(await around.database.run(lambda unit: unit.inspection.circuits()))

    async def call_shares() -> Result:
        brokers = await around.database.run(lambda unit: unit.inspection.brokers())
        seen = await signs_of_life(around)
        return broker_verdicts.shares(brokers, workers=seen.workers("provisioner") + seen.workers("binder"))

    return [
        _check("processes", "Does each service have a process that is at work?", look=processes, needs=_NEEDS),
        _check(
            "restored-work",
            "Is work held because the database was restored?",
            look=restored_work,
            needs=_NEEDS,
        ),
        _check("outbox", "Are messages stuck in the outbox?", look=outbox, needs=_NEEDS),
        _check("backlog", "What is due and not worked on, and for how long?", look=backlog, needs=_NEEDS),
        _check("leases", "Are objects held by processes that are gone?", look=leases, needs=_NEEDS),
        _check("broker-calls", "Do service brokers answer what workers ask of them?", look=broker_calls, needs=_NEEDS),
        _check("circuits", "Are calls to service brokers paused because they fail?", look=circuits, needs=_NEEDS),
        _check(
            "call-shares",
            "Do more workers share a service broker than it takes calls at a time?",
            look=call_shares,
            needs=_NEEDS,
        ),
    ]


async def _restored(unit: UnitOfWork) -> tuple[str | None, bool]:
    return await unit.restored.hold.since(), await unit.restored.is_copy()


async def signs_of_life(around: Surroundings) -> Seen:
    """What leases, sessions and consumers tell of processes. Raises Unavailable."""
    leases = await around.database.run(lambda unit: unit.inspection.leases())
    connections = (await around.server()).connections
    return Seen(
        leases=leases,
        sessions=connections.sessions if connections is not None else {},
        sees_all_sessions=connections is not None and connections.sees_all,
        listeners=await _listeners(around),
        is_alone=not around.has_rabbitmq,
    )


async def _listeners(around: Surroundings) -> Mapping[str, int] | None:
    if not around.has_rabbitmq:
        return None
    counts: dict[str, int] = {}
    with suppress(Fault):
        if all(each.fault for each in await around.rabbitmq_servers()):
            return None
        queues, _ = await around.queues()
        for name, facts in queues.items():
            service = service_of(name)
            counts[service] = max(counts.get(service, 0), facts.consumers if facts else 0)
        return counts
    return None
