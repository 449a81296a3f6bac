"""What makes a row of the work queue due: the statements, and the commands that go with them.

Comes in: a condition, for whoever is meant at once (`make_due`); uids of rows that are locked together, each of which
is made due with others when the transaction ends (`HeldRows`). Goes out: commands for the outbox.
Called by: `WorkQueue` and `wakes`.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Select, bindparam, case, func, select, update
from sqlalchemy.sql.dml import ReturningUpdate

from chandlery.contracts.messages import Reconcile
from chandlery.store.schema import WORK_QUEUE as W
from chandlery.store.sets_of_values import is_one_of_given
from chandlery.store.work.work_claims import ON_HOLD
from chandlery.store.work.work_releases import DELIVERY, OF_UID
from chandlery.telemetry.tracing.traceparent import current_traceparent

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement
    from sqlalchemy.ext.asyncio import AsyncConnection

_NOW: Final = "made_due_at"
_DELIVERED: Final = "delivered_at"
_CAUSE: Final = "cause"


class HeldRows:
    """Rows that one transaction keeps from everybody else, to make them due at its end."""

    def __init__(self, connection: "AsyncConnection", now: datetime) -> None:
        self._connection = connection
        self._now = now
        self._rows: dict[str, Any] = {}
        self._due: dict[bool, list[dict[str, Any]]] = {False: [], True: []}
        """By whether it is a new generation."""

    async def lock(self, uids: Collection[str]) -> None:
        """Lock these rows, in one order, before any object."""
        query = _held_rows(is_postgresql=self._connection.dialect.name == "postgresql")
        self._rows |= {row.uid: row for row in await self._connection.execute(query, {"uids": list(uids)})}

    def make_due(self, uid: str, *, is_new_generation: bool) -> Reconcile | None:
        """Have this object looked at; returns the command, or None if its row is not held."""
        row = self._rows.get(uid)
        if row is None:
            return None
        cause = current_traceparent()
        due = {OF_UID: uid, _NOW: self._now, _DELIVERED: self._now + DELIVERY, _CAUSE: cause}
        self._due[is_new_generation].append(due)
        return Reconcile(kind=row.kind, uid=uid, lane=row.lane, traceparent=cause)

    async def flush(self) -> None:
        """Write what has been made due."""
        for is_new, due in self._due.items():
            if due:
                await self._connection.execute(_MAKE_DUE[is_new], due)
                due.clear()


@cache
def _held_rows(*, is_postgresql: bool) -> Select[Any]:
    query = select(W.c.uid, W.c.kind, W.c.lane)
    query = query.where(is_one_of_given(W.c.uid, "uids", is_postgresql=is_postgresql))
    return query.order_by(W.c.uid).with_for_update() if is_postgresql else query


def one_by_one(connection: "AsyncConnection", condition: Any) -> Select[tuple[str]]:
    """The uids of rows that are about to be written, each of them locked before."""
    rows = select(W.c.uid).where(condition)
    # All who lock several rows do so in this order: none of them ever waits for one that waits for it.
    return rows.order_by(W.c.uid).with_for_update() if connection.dialect.name == "postgresql" else rows


CommandRow = tuple[str, str, str, str | None]
COMMAND = (W.c.kind, W.c.uid, W.c.lane, W.c.traceparent)
"""What a command is made of."""


def command_of(row: Any) -> Reconcile:
    """The command for the outbox."""
    return Reconcile(kind=row["kind"], uid=row["uid"], lane=row["lane"], traceparent=row["traceparent"])


async def make_due(connection: "AsyncConnection", now: datetime, condition: Any) -> Sequence[Reconcile]:
    """Have all that meets the condition looked at now, even what somebody works on. Returns the commands."""
    return await commands_of(connection, made_due(now, condition, cause=current_traceparent()))


async def commands_of(connection: "AsyncConnection", statement: ReturningUpdate[CommandRow]) -> Sequence[Reconcile]:
    """Run a statement that returns the columns of COMMAND; each row is a command for the outbox."""
    return [command_of(row) for row in (await connection.execute(statement)).mappings().all()]


def is_not_on_hold() -> "ColumnElement[bool]":
    """Whether something else than a wish for the object itself may make it due; see `ON_HOLD`."""
    return W.c.waiting_for.is_distinct_from(ON_HOLD)


def made_due(now: datetime, condition: Any, *, cause: Any) -> ReturningUpdate[CommandRow]:
    """The statement behind `make_due`. `cause` is the span that has brought the news, or how the row finds it."""
    return update(W).where(condition).values(_due(now, now + DELIVERY, cause)).returning(*COMMAND)


def made_due_given(condition: Any) -> ReturningUpdate[CommandRow]:
    """The same for a statement that is kept; `given_due` is what it is given. A trace that the row has is kept."""
    cause = func.coalesce(W.c.traceparent, bindparam(_CAUSE, type_=W.c.traceparent.type))
    now, delivered = (bindparam(name, type_=W.c.due_at.type) for name in (_NOW, _DELIVERED))
    return update(W).where(condition).values(_due(now, delivered, cause)).returning(*COMMAND)


def given_due(now: datetime, cause: str | None) -> dict[str, Any]:
    """See `made_due_given`."""
    return {_NOW: now, _DELIVERED: now + DELIVERY, _CAUSE: cause}


def _due(now: Any, delivered: Any, cause: Any) -> dict[str, Any]:
    return {
        "due_at": now,
        "revision": W.c.revision + 1,
        "waiting_for": None,
        "attempt": 0,
        # Whoever holds the lease finds the new revision when the round ends; the sweep keeps to the lease's end.
        "enqueue_after": case((W.c.lease_until > now, W.c.lease_until), else_=delivered),
        "traceparent": cause,
    }


_MADE_DUE = (
    update(W)
    .where(W.c.uid == bindparam(OF_UID))
    .values(
        _due(
            bindparam(_NOW, type_=W.c.due_at.type),
            bindparam(_DELIVERED, type_=W.c.due_at.type),
            bindparam(_CAUSE, type_=W.c.traceparent.type),
        )
    )
)
_MAKE_DUE = {False: _MADE_DUE, True: _MADE_DUE.values(desired_at=bindparam(_NOW, type_=W.c.due_at.type))}
