"""The steps at which faults may be injected: wrappers around the product's own functions, nothing in its code."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from chandlery.engine.reconcile_loop import ReconcileLoop
from chandlery.messaging.inprocess.inprocess_bus import InProcessBus
from chandlery.messaging.rabbitmq.rabbitmq_bus import RabbitBus
from chandlery.messaging.rabbitmq.rabbitmq_delivery import Delivery
from chandlery.osb.client import OsbClient
from chandlery.osb.transport.http_call import Progress
from chandlery.osb.transport.transport import Transport
from chandlery.store.database import Database, UnitOfWork
from chandlery.store.work.work_queue import WorkQueue
from tests.chaos.fault_injection import FaultInjector

Wrapped = Callable[..., Awaitable[Any]]

CLAIM: Final = ("claim.before", "claim.within", "claim.after")
CALL: Final = ("call.before", "call.during", "call.after")
RECORD: Final = ("record.before", "record.within", "record.after")
COMMIT: Final = ("commit.before", "commit.after")
ACK: Final = ("ack.before", "ack.after")
PUBLISH: Final = ("publish.before", "publish.after")
UNSTOPPABLE: Final = frozenset({"call.before"})
"""A halt between the last look at the lease and the request lets the request out late, whoever wrote the program:
OSB has no fencing. There a process may only die."""
STEPS_OF_WORKERS: Final = (*CLAIM, *CALL, *RECORD, *ACK, *PUBLISH)
STEPS_OF_GATEWAYS: Final = (*COMMIT, *PUBLISH)
STEPS_OF_EMBEDDED: Final = (*CLAIM, *CALL, *RECORD, *COMMIT, *PUBLISH)


def wrap_steps(injector: FaultInjector) -> None:
    """Put the wrappers on, in this process for good."""
    _around(ReconcileLoop, "_claim_batch", injector, before="claim.before", after="claim.after")
    _around(WorkQueue, "keep_all_sealed", injector, after="claim.within")
    for name in ("send", "get_catalog"):
        _around(OsbClient, name, injector, before="call.before", after="call.after")
    _during_calls(injector)
    _around(ReconcileLoop, "_record_batch", injector, before="record.before", after="record.after")
    _around(WorkQueue, "release", injector, after="record.within")
    _around_commits(injector)
    _around(Delivery, "acknowledge", injector, before="ack.before", after="ack.after")
    for bus in (RabbitBus, InProcessBus):
        _around(bus, "publish", injector, before="publish.before", after="publish.after")


def disturb_publishing(injector: FaultInjector, seed: str) -> None:
    """What is published during the storm comes up to three times and in any order."""
    draw = random.Random(seed)
    for bus in (RabbitBus, InProcessBus):
        publish: Wrapped = getattr(bus, "publish")  # noqa: B009 - of either class

        async def disturbed(self: Any, messages: Sequence[Any], publish: Wrapped = publish) -> None:
            chosen = list(messages)
            if chosen and injector.is_storming and draw.random() < 0.25:
                chosen = [each for each in chosen for _ in range(draw.randint(1, 3))]
                draw.shuffle(chosen)
                injector.tell("doubled publish")
            await publish(self, chosen)

        setattr(bus, "publish", disturbed)  # noqa: B010


def _around(owner: type, name: str, injector: FaultInjector, *, before: str = "", after: str = "") -> None:
    inner: Wrapped = getattr(owner, name)

    async def wrapped(*arguments: Any, **options: Any) -> Any:
        if before:
            injector.passing(before)
        result = await inner(*arguments, **options)
        if after:
            injector.passing(after)
        return result

    setattr(owner, name, wrapped)


def _during_calls(injector: FaultInjector) -> None:
    inner = Transport._once

    async def wrapped(self: Transport, *arguments: Any, progress: Progress) -> Any:
        if not injector.awaits("call.during"):
            return await inner(self, *arguments, progress=progress)
        call = asyncio.ensure_future(inner(self, *arguments, progress=progress))
        try:
            while not (progress.written or call.done()):
                await asyncio.sleep(0.001)
            # The request leaves with the connection's next turn.
            await asyncio.sleep(0.002)
            injector.passing("call.during")
            return await call
        finally:
            call.cancel()

    setattr(Transport, "_once", wrapped)  # noqa: B010


def _around_commits(injector: FaultInjector) -> None:
    """Only transactions that say something: what merely reads is no step."""
    flush, run = UnitOfWork.flush, Database._transaction

    async def flushed(self: UnitOfWork) -> Any:
        entries = await flush(self)
        if entries:
            injector.passing("commit.before")
            setattr(asyncio.current_task(), "says_something", True)  # noqa: B010
        return entries

    async def committed(self: Database, *arguments: Any) -> Any:
        result = await run(self, *arguments)
        task: Any = asyncio.current_task()
        if getattr(task, "says_something", False):
            task.says_something = False
            injector.passing("commit.after")
        return result

    setattr(UnitOfWork, "flush", flushed)  # noqa: B010
    setattr(Database, "_transaction", committed)  # noqa: B010
