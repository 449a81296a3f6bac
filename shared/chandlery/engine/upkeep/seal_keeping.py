"""Brings all that is sealed under the key in front, and into today's form, without anybody having to ask for it.

Runs beside the services of every process; a lease lets one at a time do the work. The others learn once a minute
whether texts of the first form are still to be believed. What is done is told in the log.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

import structlog

from chandlery.engine.resources import Resources
from chandlery.model.faults import Fault
from chandlery.model.objects.metadata import NamespacedName
from chandlery.reconcile.reconcile_result import secret_key
from chandlery.store.database import Database, UnitOfWork
from chandlery.store.sealing.resealing import Step

log = structlog.get_logger(__name__)

LEASE: Final = "reseal"
_TURN = timedelta(minutes=5)
_LOOK_SECONDS = 60.0
_LOOKS_BETWEEN_CLEAN_ONES = 60
"""Once nothing old is left, it is looked for once an hour: another process may have sealed with another key."""
_STEP = 200
_MOST_ENQUEUED = 1_000
"""Objects in one look whose checksums are renewed."""


async def keep_seals(resources: Resources) -> None:
    """Run for ever."""
    database, owner = resources.database, resources.owner
    pause = 0
    while True:
        try:
            await database.run(lambda unit: unit.seals.check())
            pause = pause - 1 if pause else _LOOKS_BETWEEN_CLEAN_ONES * await reseal(database, owner=owner)
        except Fault as fault:
            log.error(fault.message, action="reseal")  # noqa: TRY400 - a sentence for operators
        except Exception as error:  # noqa: BLE001 - without this loop nothing would be sealed anew
            log.warning(f"stored data could not be encrypted again: {type(error).__name__}", action="reseal")
        await asyncio.sleep(_LOOK_SECONDS)


async def reseal(database: Database, *, owner: str) -> bool:
    """Seal anew all that is old; returns whether nothing is left. False, too, if another process is at it.

    True from a process that may not: it need not look again soon.
    """
    if not await database.run(lambda unit: unit.resealing.is_allowed()):
        return True
    secrets = await _all(database, owner, _secrets)
    notes = await _all(database, owner, lambda unit, after: unit.resealing.notes(after=after, limit=_STEP))
    if secrets is None or notes is None:
        return False
    are_all_stirred = await database.run(_renew_checksums)
    key = database.keyring.name
    if database.keyring.data_keys.is_in_use:
        key = database.keyring.data_keys.sealing_id
        await _rewrap(database)
    if done := secrets.done + notes.done:
        log.info(f"{done} stored texts are now encrypted with the key {key!r}", action="reseal", key=key)
    if secrets.unreadable or notes.unreadable:
        log.error(
            f"{len(secrets.unreadable)} Secrets and {len(notes.unreadable)} notes of workers cannot be "
            "decrypted. Put their key back into CHANDLERY_ENCRYPTION_KEYS, or delete those Secrets",
            action="reseal",
        )
    return await database.run(lambda unit: _finish(unit, owner, key, is_last=are_all_stirred))


async def _rewrap(database: Database) -> None:
    """Wrap data keys with the key-encryption key that is in front by now. Raises KeysAway, KeyRefused."""
    done, left = await database.data_keys.rewrap()
    if done and not left:
        log.info(
            "all data keys are now encrypted with the first key-encryption key; `chandlery keys list` says which "
            "others may go",
            action="rewrap",
        )
    elif left:
        log.warning(f"{left} data keys cannot be decrypted with the configured keys", action="rewrap")


async def _secrets(unit: UnitOfWork, after: str) -> Step:
    step = await unit.resealing.secrets(after=after, limit=_STEP)
    # Whoever needs one that does not open says so, and puts it right if that can be done.
    unit.enqueue_waiting_at_end([secret_key(namespace, name) for namespace, name in step.unreadable])
    return step


async def _renew_checksums(unit: UnitOfWork) -> bool:
    """Have those looked at whose checksums are old: their workers write them anew, and ask no broker for it.

    Returns whether all have had their turn.
    """
    uids = await unit.resealing.old_checksums(limit=_MOST_ENQUEUED)
    await unit.wakes.enqueue_idle(uids)
    return len(uids) < _MOST_ENQUEUED


async def _all(database: Database, owner: str, step: Callable[[UnitOfWork, str], Awaitable[Step]]) -> Step | None:
    """All steps together; None if another process has the lease."""
    done, unreadable, after = 0, tuple[NamespacedName, ...](), ""
    while True:

        async def take(unit: UnitOfWork, after: str = after) -> Step | None:
            is_ours = await unit.leases.acquire(LEASE, owner=owner, duration=_TURN)
            return await step(unit, after) if is_ours else None

        taken = await database.run(take)
        if taken is None:
            return None
        done, unreadable = done + taken.done, unreadable + taken.unreadable
        if taken.reached is None:
            return Step(done, unreadable)
        after = taken.reached


async def _finish(unit: UnitOfWork, owner: str, key: str, *, is_last: bool) -> bool:
    await unit.leases.give_back(LEASE, owner=owner)
    if not is_last or await unit.resealing.has_old_changes():
        return False
    if await unit.seals.move_on():
        log.info(
            f"everything in the database is encrypted with the key {key!r}; others may go", action="reseal", key=key
        )
    return True
