"""One transaction with its stores: everything that a service writes, it writes through here.

Comes in: a function that is given a `UnitOfWork`; `Database.run` calls it in one transaction and commits, or rolls back
if it raises. A unit has a store for each thing there is: objects, events, the work queue, the outbox, leases, circuits.
Goes out: the function's result and, once it is committed, messages for the relay (`on_commit`) and what was asked for
with `after_commit`.
Called by: the gateway's writer and reader, the reconcile loop, the loops of `engine/upkeep`, commands.

Stores put off what can be written together; `flush` writes it at the end, in one order: what rounds leave in the work
queue, objects, what cluster roles gather of one another, ids and links, events, new work, whom all that wakes, the
change log, the audit log, the operation history, messages. A transaction that lost a race begins again, so the function
may be called several times, and has no effects but on its unit.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from contextvars import copy_context
from datetime import UTC, datetime
from functools import cached_property, partial
from typing import Any, TypeVar, cast

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from chandlery.contracts.messages import GARBAGE, ObjectChanged
from chandlery.model.faults import Conflict, Unavailable
from chandlery.model.objects.kinds import AnyObject
from chandlery.retry.transient import STORE_CONFLICT
from chandlery.store.access.access_rules import AccessRuleStore
from chandlery.store.access.account_tokens import AccountTokenStore
from chandlery.store.access.aggregated_roles import AggregatedRoles
from chandlery.store.audit.audit_store import AuditStore
from chandlery.store.breaths import Breaths
from chandlery.store.connection.pulse import Pulse
from chandlery.store.connection.transaction_counting import TransactionCounting, say_repeated
from chandlery.store.database_errors import Border, LostConnection, LostRace
from chandlery.store.history.operation_store import OperationStore
from chandlery.store.inspection.work_facts import Inspection
from chandlery.store.objects.broker_facts import BrokerFacts
from chandlery.store.objects.changes import ChangeLog
from chandlery.store.objects.events import EventStore
from chandlery.store.objects.external_ids import ExternalIdStore
from chandlery.store.objects.garbage import GarbageStore
from chandlery.store.objects.objects import ObjectStore
from chandlery.store.objects.owner_links import OwnerLinks
from chandlery.store.objects.past_objects import PastObjects
from chandlery.store.pruning.old_events import OldEvents
from chandlery.store.pruning.orphans import Orphans
from chandlery.store.recovery.restored_database import RestoredDatabase
from chandlery.store.rows import RowCodec
from chandlery.store.sealing.data_key_cache import DataKeyNeeded
from chandlery.store.sealing.data_key_rows import DataKeyStore
from chandlery.store.sealing.data_keys import DataKeyLimits, DataKeys
from chandlery.store.sealing.key_usage import KeyUsage
from chandlery.store.sealing.providers.key_provider import LISTED, KeyProviders, TooManyKeys
from chandlery.store.sealing.providers.listed_keys import ListedKeys
from chandlery.store.sealing.resealing import Resealing
from chandlery.store.sealing.seal_counting import collect_seals
from chandlery.store.sealing.sealing import Keyring
from chandlery.store.sealing.seals import SealStore
from chandlery.store.work.broker_protection import CircuitStore, RateLimitStore
from chandlery.store.work.leases import LeaseStore
from chandlery.store.work.outbox import Outbox, OutboxEntry
from chandlery.store.work.wake_ups import WakeUps
from chandlery.store.work.wakes import WakeStore
from chandlery.store.work.work_counts import CountStore
from chandlery.store.work.work_queue import WorkQueue
from chandlery.telemetry.metrics import NO_METRICS, Metrics

T = TypeVar("T")
Clock = Callable[[], datetime]
Published = Callable[[Sequence[OutboxEntry]], None]

_CLOSE_SECONDS = 5.0
_MOST_KEYS_IN_TURN = 20


def system_clock() -> datetime:
    """The present moment in UTC."""
    return datetime.now(UTC)


class UnitOfWork:
    """One transaction. Commits when the block ends, rolls back when it raises."""

    def __init__(
        self, connection: AsyncConnection, keyring: Keyring, now: datetime, *, keeps_audit: bool, collects_garbage: bool
    ) -> None:
        self.now = now
        self._connection = connection
        self._keyring = keyring
        self._wake_ups = WakeUps()
        self.fingerprint = keyring.fingerprint
        self.checksums = keyring.checksums
        self.codec = RowCodec(keyring)
        self.breaths = Breaths()
        """To be taken between two steps that may be long."""
        self.changes = ChangeLog(connection, now)
        self._links = OwnerLinks(connection, now, is_collected_here=collects_garbage)
        self.aggregated_roles = AggregatedRoles(connection)

        wake_ups, roles = self._wake_ups, self.aggregated_roles

        def written(before: AnyObject | None, after: AnyObject | None) -> None:
            # Without the unit itself: a cycle would keep all that it holds until the collector comes.
            wake_ups.written(before, after)
            roles.written(before, after)

        self.objects = ObjectStore(connection, self.changes, self.codec, now, written=written, links=self._links)
        self.events = EventStore(connection, self.changes, self.codec)
        self.external_ids = ExternalIdStore(connection)
        self.operations = OperationStore(connection, keyring, now)
        self.work_queue = WorkQueue(
            connection, keyring, now, woken=self._wake_ups.bring, forsaken=self.operations.forsaken.forsake
        )
        self.outbox = Outbox(connection, now)
        self.wakes = WakeStore(connection, now)
        self.audit = AuditStore(connection, is_kept=keeps_audit)
        self._afterwards: list[Callable[[], None]] = []

    # Those that most transactions have no use for are made when somebody asks.

    @cached_property
    def old_events(self) -> OldEvents:
        """Recorded events that are to be forgotten."""
        return OldEvents(self._connection)

    @cached_property
    def orphans(self) -> Orphans:
        """What is left of objects that are gone."""
        return Orphans(self._connection)

    @cached_property
    def garbage(self) -> GarbageStore:
        """What the garbage collector is to look at."""
        return GarbageStore(self._connection, self.now)

    @cached_property
    def account_tokens(self) -> AccountTokenStore:
        """By what service accounts are known."""
        return AccountTokenStore(self._connection, self.now)

    @cached_property
    def past(self) -> PastObjects:
        """Lists as they were."""
        return PastObjects(self._connection, self.changes, self.codec, self.objects)

    @cached_property
    def access_rules(self) -> AccessRuleStore:
        """Roles and bindings, for whoever decides by them."""
        return AccessRuleStore(self._connection)

    @cached_property
    def broker_facts(self) -> BrokerFacts:
        """What is asked of all service brokers at once."""
        return BrokerFacts(self._connection)

    @cached_property
    def counts(self) -> CountStore:
        """What metrics tell of the whole."""
        return CountStore(self._connection, self.now)

    @cached_property
    def leases(self) -> LeaseStore:
        """What only one process at a time should do, and facts about the whole."""
        return LeaseStore(self._connection, self.now)

    @cached_property
    def circuits(self) -> CircuitStore:
        """Service brokers that are left alone for now."""
        return CircuitStore(self._connection, self._keyring, self.now)

    @cached_property
    def rate_limits(self) -> RateLimitStore:
        """How far the calls to service brokers are planned."""
        return RateLimitStore(self._connection, self.now)

    @cached_property
    def seals(self) -> SealStore:
        """Whether the keys are those of the database."""
        return SealStore(self._connection, self._keyring, self.codec)

    @cached_property
    def data_keys(self) -> DataKeyStore:
        """The wrapped data keys."""
        return DataKeyStore(self._connection, self.now)

    @cached_property
    def key_usage(self) -> KeyUsage:
        """What is sealed with which key."""
        return KeyUsage(self._connection)

    @cached_property
    def inspection(self) -> Inspection:
        """What waits, and who is at work."""
        return Inspection(self._connection, self.now)

    @cached_property
    def restored(self) -> RestoredDatabase:
        """What is held and done after a restore."""
        return RestoredDatabase(self._connection, self.now)

    @cached_property
    def resealing(self) -> Resealing:
        """What is sealed with an older key."""
        return Resealing(self._connection, self._keyring, self.codec)

    def after_commit(self, do: Callable[[], None]) -> None:
        """Have this done when the transaction has committed, in the context of now; it must not raise."""
        self._afterwards.append(partial(copy_context().run, do))

    def committed(self) -> None:
        """The transaction has committed."""
        # What is done refers to the unit, mostly, which must not refer to it any longer.
        afterwards, self._afterwards = self._afterwards, []
        for do in afterwards:
            do()

    def enqueue_waiting_at_end(self, keys: Collection[str]) -> None:
        """Wake what waits for these keys at the end of the transaction: for news that no object tells."""
        self._wake_ups.bring(keys)

    async def wait_for(self, keys: Collection[str]) -> None:
        """Lock what somebody decides to wait for, and let all that has been read be read anew.

        What is put off of objects is written before: whoever writes objects has their rows locked before the keys.
        """
        await self.objects.flush()
        await self.wakes.lock_waits(sorted(keys))
        self.objects.forget()
        self.work_queue.forget()

    def is_known_to(self, uid: str, key: str) -> None:
        """This transaction is that object's own: it need not be woken by what it writes itself under the key."""
        self._wake_ups.is_known_to(uid, key)

    async def flush(self) -> list[OutboxEntry]:
        """Write what was put off; returns the messages to publish after the commit."""
        # Rows of work are locked before objects.
        await self.work_queue.flush_ends()
        await self.objects.flush()
        await self.aggregated_roles.flush(self.objects)
        await self.external_ids.flush()
        if marked := await self._links.flush():
            self.outbox.add(ObjectChanged(kind=GARBAGE, uid=marked, reason="Marked"))
        await self.events.flush()
        await self.work_queue.flush()
        self.outbox.add(
            *await self._wake_ups.flush(self.objects, self.work_queue, self.wakes, brokers=self.broker_facts)
        )
        await self.changes.flush()
        await self.audit.flush()
        await self.operations.flush()
        return await self.outbox.flush()


Work = Callable[[UnitOfWork], Awaitable[T]]


class Database:
    """The engine with its keys and its clock."""

    def __init__(  # noqa: PLR0913 - each by its name
        self,
        engine: AsyncEngine,
        keyring: Keyring,
        *,
        clock: Clock = system_clock,
        providers: KeyProviders | None = None,
        limits: DataKeyLimits | None = None,
        keeps_audit: bool = True,
        collects_garbage: bool = True,
        metrics: Metrics = NO_METRICS,
    ) -> None:
        """`providers` hold the key-encryption keys; without any, they are the keys of the keyring.

        `keeps_audit`: there is an audit log in it. `collects_garbage`: a collector of ours sees to owner references.
        """
        self._unit = partial(UnitOfWork, keeps_audit=keeps_audit, collects_garbage=collects_garbage)
        self.metrics = metrics
        self.codec = RowCodec(keyring)
        self.data_keys = DataKeys(self, keyring, providers or KeyProviders({LISTED: ListedKeys(keyring)}), limits)
        self._engine = engine
        self.keyring = keyring
        self._clock = clock
        self._published: Published | None = None
        self._is_sqlite = engine.dialect.name == "sqlite"
        self._file = (engine.url.database or "") if self._is_sqlite else ""
        self._pulse = Pulse(engine, self._file)
        self._counting = TransactionCounting(engine, metrics)
        collect_seals(metrics, keyring, self.data_keys.providers)
        self._under_way: set[asyncio.Task[Any]] = set()

    def on_commit(self, published: Published) -> None:
        """Tell the relay of every message that was committed from now on."""
        self._published = published

    async def run(self, work: Work[T], *, dry_run: bool = False) -> T:
        """Do the work in one transaction; again from the start if it lost a race. A dry run is rolled back at the end.

        Raises what the work raises, Conflict if the races go on, Unavailable if the database cannot be reached, or a
        key that the work needs.
        """
        for _ in range(_MOST_KEYS_IN_TURN):
            try:
                return await self._repeated(work, dry_run)
            except DataKeyNeeded as needed:
                # Outside of any transaction: a provider may take its time.
                await self.data_keys.provide(needed.key_id)
        raise TooManyKeys

    async def _repeated(self, work: Work[T], dry_run: bool) -> T:
        try:
            async for attempt in STORE_CONFLICT.around(LostRace, LostConnection, before_sleep=say_repeated):
                with attempt:
                    return await (self._uncut(work, dry_run) if self._is_sqlite else self._once(work, dry_run))
        except LostRace as error:
            self._counting.given_up()
            raise Conflict("too many other transactions write the same objects; try again") from error
        except LostConnection as error:
            self._counting.given_up()
            raise Unavailable("the connection to the database keeps breaking") from error
        raise AssertionError("tenacity either returns or raises")

    def clock(self) -> datetime:
        """The present moment, as transactions see it."""
        return self._clock()

    async def ping(self) -> None:
        """Raise Unavailable unless the database answers now, and takes writes if it has failed to."""
        await self._pulse.look()

    async def close(self) -> None:
        """Close all connections, after the transactions that are under way."""
        # One that nobody waits for any more would keep its locks until its connection is noticed to be gone.
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                # Its end may begin another, which wakes who could not be woken in it.
                while others := self._under_way - {asyncio.current_task()}:
                    await asyncio.wait(others)
        await self.data_keys.close()
        await self._engine.dispose()

    async def enqueue_late(self) -> None:
        """Wake who could not be woken in the transaction that brought what they wait for; see `wakes`."""

        async def wake(unit: UnitOfWork) -> None:
            unit.outbox.add(*await unit.wakes.enqueue_late())

        # If this fails or the process dies, the sweep does the same.
        with suppress(Conflict, Unavailable):
            await self.run(wake)

    async def _uncut(self, work: Work[T], dry_run: bool) -> T:
        # A cancelled statement takes its connection down, but sqlite3 keeps the write lock as long as anybody refers to
        # the cursor, and the traceback of the cancellation does. So the caller is cancelled, and not the transaction.
        transaction = asyncio.ensure_future(self._once(work, dry_run))
        try:
            return await asyncio.shield(transaction)
        except asyncio.CancelledError:
            await asyncio.wait({transaction})
            if not transaction.cancelled():
                transaction.exception()
            raise

    async def _once(self, work: Work[T], dry_run: bool) -> T:
        self._under_way.add(task := cast("asyncio.Task[Any]", asyncio.current_task()))
        try:
            result, has_late_ones = await self._transaction(work, dry_run)
        finally:
            self._under_way.discard(task)
        if has_late_ones:
            # Somebody holds their rows for a moment: the caller need not wait for that.
            waking = asyncio.create_task(self.enqueue_late())
            self._under_way.add(waking)
            waking.add_done_callback(self._under_way.discard)
        return result

    async def _transaction(self, work: Work[T], dry_run: bool) -> tuple[T, bool]:
        border = Border(self._file)
        with self._counting.counted(is_dry_run=dry_run), self._pulse.watched(), border:
            async with self._engine.connect() as connection:
                unit = self._unit(connection, self.keyring, self._clock())
                async with connection.begin() as transaction:
                    result = await work(unit)
                    entries = await unit.flush()
                    if dry_run:
                        await transaction.rollback()
                        return result, False
                    border.is_committing = True
        unit.committed()
        if entries and self._published:
            self._published(entries)
        return result, unit.wakes.has_late_ones
