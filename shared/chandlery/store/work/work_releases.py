"""What rounds leave in their rows of the work queue, written together: one statement for all that end in a transaction.

Comes in: claims, whose rows are locked once for all of them (`hold`), and what each round leaves (`release`).
Goes out: with the end of the transaction, one statement (`flush`). LeaseLost for claims that somebody else has taken
over. Commands for those whose desired state has changed during the round.
Called by: `WorkQueue`, for the reconcile loop.

Whoever holds rows has them locked in the order of their uids, before any object: none of those who write several of
them waits for one that waits for it.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import bindparam, delete, insert, select, update

from chandlery.contracts.messages import Reconcile, sound_trace
from chandlery.model.faults import LeaseLost
from chandlery.model.objects import kinds
from chandlery.model.objects.wire import JsonObject
from chandlery.reconcile.reconcile_result import instances_key
from chandlery.store.rows import utc
from chandlery.store.schema import INTERESTS
from chandlery.store.schema import WORK_QUEUE as W
from chandlery.store.sealing.sealing import Keyring
from chandlery.store.sets_of_values import is_one_of, is_one_of_given
from chandlery.store.work.sealed_notes import seal_cause, seal_note
from chandlery.store.work.work_claims import Claim, Release

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

DELIVERY: Final = timedelta(seconds=10)
"""How long a command may take on the bus before the sweep sends it once more."""
REMINDER: Final = timedelta(seconds=3)
"""How much later than due the sweep sends a command that a process means to send itself."""
Woken = Callable[[Sequence[str]], None]
Forsaken = Callable[[str, Sequence[JsonObject]], None]
OF_UID: Final = "of_uid"
WRITE: Final = update(W).where(W.c.uid == bindparam(OF_UID))
"""Writes the columns that each row of values has over the row of that uid."""
_OF_ROWS: Final = select(W.c.uid, W.c.fence, W.c.lease_owner, W.c.revision, W.c.traceparent, W.c.desired_at)
_STANDING: Final = {
    "postgresql": _OF_ROWS.where(is_one_of_given(W.c.uid, "uids", is_postgresql=True))
    .order_by(W.c.uid)
    .with_for_update(),
    "sqlite": _OF_ROWS.where(is_one_of_given(W.c.uid, "uids", is_postgresql=False)),
}


class Standing(NamedTuple):
    """What a row that this transaction has locked says of its desired state."""

    revision: int
    traceparent: str | None
    desired_at: datetime | None


class WorkReleases:
    """The rounds that end in one transaction."""

    def __init__(
        self, connection: "AsyncConnection", keyring: Keyring, now: datetime, *, woken: Woken, forsaken: Forsaken
    ) -> None:
        """`woken` and `forsaken` are told what is left behind by objects that are gone; see `WorkQueue`."""
        self._connection = connection
        self._woken = woken
        self._forsaken = forsaken
        self._keyring = keyring
        self._now = now
        self._standing: dict[str, Standing] = {}
        self._rows: dict[str, dict[str, Any]] = {}
        self._interests: dict[str, Sequence[str]] = {}
        self._removed: set[str] = set()

    def has_claimed(self, uid: str, standing: Standing) -> None:
        """The row has been locked by being claimed."""
        self._standing[uid] = standing

    async def hold(self, claims: Sequence[Claim]) -> None:
        """Lock the rows of these until the transaction ends. Raises LeaseLost if one is no longer ours."""
        query = _STANDING[self._connection.dialect.name]
        uids = [claim.uid for claim in claims]
        rows = {row.uid: row for row in await self._connection.execute(query, {"uids": uids})}
        for claim in claims:
            row = rows.get(claim.uid)
            if row is None or (row.fence, row.lease_owner) != (claim.fence, claim.owner):
                raise LeaseLost
            desired_at = row.desired_at and utc(row.desired_at)
            self._standing[claim.uid] = Standing(row.revision, sound_trace(row.traceparent), desired_at)

    def release(self, claim: Claim, release: Release) -> Reconcile | None:
        """End a round whose row is held. Returns a command if the desired state has changed since the claim."""
        if release.interests is not None:
            self._interests[claim.uid] = sorted(set(release.interests))
        standing = self._standing[claim.uid]
        is_untouched = standing.revision == claim.revision
        again = release.due_at + REMINDER if release.due_at and release.is_reminded else release.due_at
        is_at_rest = release.is_at_rest or release.due_at is None
        cause = None if is_at_rest else claim.trace.cause
        traceparent = cause if is_untouched else standing.traceparent
        self._rows[claim.uid] = {
            OF_UID: claim.uid,
            "due_at": release.due_at if is_untouched else self._now,
            "enqueue_after": again if is_untouched else self._now + DELIVERY,
            "attempt": release.attempt,
            "lane": release.lane,
            "waiting_for": release.waiting_for,
            "sealed": seal_note(self._keyring, claim.uid, release.sealed, at=claim.at)
            if release.sealed is not None
            else None,
            "memory": seal_cause(self._keyring, claim.uid, release.memory),
            "open_operations": release.open_operations or None,
            "turn_at": release.turn_at,
            "lease_owner": None,
            "lease_until": None,
            "ready": release.ready,
            "expires_at": release.expires_at,
            "desired_at": None if release.is_reached else standing.desired_at,
            "traceparent": traceparent,
            "last_traceparent": claim.trace.last_round,
        }
        if is_untouched:
            return None
        return Reconcile(kind=claim.kind, uid=claim.uid, lane=release.lane, traceparent=traceparent)

    def remove(self, uid: str) -> None:
        """The object of the row is gone, or goes with this transaction."""
        self._removed.add(uid)

    async def flush(self) -> None:
        """Write the rows of rounds that have ended, and take away those of objects that are gone."""
        if self._rows:
            await self._connection.execute(WRITE, [self._rows[uid] for uid in sorted(self._rows)])
            self._rows.clear()
        if self._interests:
            await self._replace_interests()
        if self._removed:
            await self._remove()

    async def _replace_interests(self) -> None:
        uids = sorted(self._interests)
        await self._connection.execute(delete(INTERESTS).where(is_one_of(self._connection, INTERESTS.c.uid, uids)))
        rows = [{"key": key, "uid": uid} for uid in uids for key in self._interests[uid]]
        self._interests.clear()
        if rows:
            await self._connection.execute(insert(INTERESTS), rows)

    async def _remove(self) -> None:
        meant = is_one_of(self._connection, W.c.uid, sorted(self._removed))
        gone = delete(W).where(meant).returning(W.c.uid, W.c.kind, W.c.lane, W.c.memory, W.c.open_operations)
        self._removed.clear()
        for row in await self._connection.execute(gone):
            if row.open_operations:
                # Rounds end them before the object goes; this one has been taken out of their hands.
                self._forsaken(row.uid, row.open_operations)
            if row.kind == kinds.SERVICE_INSTANCE.kind:
                # Its broker may wait for its last instance to go; the provisioner's own note tells of one that it left.
                self._woken([instances_key(lane) for lane in {row.lane, row.memory.get("lane") or row.lane}])
