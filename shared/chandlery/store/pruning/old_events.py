"""Recorded events that are old, or too many of one object. They go without a word in the change log.

Comes in: the moment before which events are old, how many of an object are kept, and where the step before has ended.
Called by: retention.
"""

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import func, select, tuple_

from chandlery.model.objects import kinds
from chandlery.model.objects.metadata import to_timestamp
from chandlery.store.pruning.steps import Place, Step, last_place, remove_found, remove_surplus
from chandlery.store.schema import OBJECTS

if TYPE_CHECKING:
    from sqlalchemy import Select
    from sqlalchemy.ext.asyncio import AsyncConnection

_E = OBJECTS[kinds.EVENT.kind]
_PLACE: Final = (_E.c.created_at, _E.c.uid)
_OF_ONE: Final = ("namespace", "involved_name", "involved_uid")


class OldEvents:
    """The events, as this transaction sees them."""

    def __init__(self, connection: "AsyncConnection") -> None:
        self._connection = connection

    async def forget(self, before: datetime, *, limit: int, after: Place | None = None) -> Step:
        """Look at so many that were created before the moment; those that were counted again since stay."""
        some = _behind(after, *_PLACE, _E.c.spec["lastTimestamp"].as_string().label("last"))
        some = some.where(_E.c.created_at < before).order_by(*_PLACE)
        reached = await last_place(self._connection, some.with_only_columns(*_PLACE), limit=limit)
        looked_at = some.limit(limit).subquery()
        old = select(looked_at.c.uid).where(func.coalesce(looked_at.c.last, "") < to_timestamp(before))
        return Step(await remove_found(self._connection, _E.c.uid, old), reached)

    async def forget_surplus(self, *, keep: int, since: datetime, limit: int, after: Place | None = None) -> Step:
        """Of the objects of so many events since the moment, take away all but the latest; at most so many."""
        some = _behind(after, *(_E.c[name] for name in _OF_ONE)).where(_E.c.created_at >= since).order_by(*_PLACE)
        reached = await last_place(self._connection, some.with_only_columns(*_PLACE), limit=limit)
        removed = await remove_surplus(
            self._connection,
            _E,
            key="uid",
            of_one=_OF_ONE,
            newest_first=_E.c.resource_version.desc(),
            among=some.limit(limit),
            keep=keep,
            limit=limit,
        )
        # What is too much for one step is found at the same place by the next.
        return Step(removed, (after or (since, "")) if removed == limit else reached)


def _behind(place: Place | None, *columns: Any) -> "Select[Any]":
    query = select(*columns)
    return query if place is None else query.where(_E.c.created_at >= place[0], tuple_(*_PLACE) > tuple_(*place))
