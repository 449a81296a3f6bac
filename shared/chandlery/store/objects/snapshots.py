"""One moment of the database, told in positions of the change log: what had been committed by then, and what had not.

A page of a list carries it to the next one, which may be served by another gateway (`past_objects`).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import and_, or_

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

ORDINALS = 65536
"""How many changes one transaction may make."""


@dataclass(frozen=True)
class Snapshot:
    """What a reader of that moment saw: all below the horizon, and up to the end what was not under way."""

    horizon: int
    end: int
    """No position from here on had been given out."""
    under_way: tuple[int, ...] = ()
    """Numbers of the transactions between the two that had not ended."""

    @classmethod
    def at(cls, version: int) -> "Snapshot":
        """What a resource version below the horizon stands for: all changes up to it and no other."""
        return cls(version + 1, version + 1)

    @property
    def version(self) -> int:
        """The resource version to watch from: nothing up to it is missing, something beyond it may be there."""
        return self.horizon - 1

    def sees(self, position: int) -> bool:
        """Whether the change at this position is in it."""
        if position < self.horizon:
            return True
        return position < self.end and position // ORDINALS not in self.under_way

    def hides(self, column: "ColumnElement[int]") -> "ColumnElement[bool]":
        """The same for a column of positions, the other way round: whether the change is not in it."""
        later = column >= self.end
        if self.under_way:
            within = [column.between(number * ORDINALS, (number + 1) * ORDINALS - 1) for number in self.under_way]
            later = or_(later, *within)
        return and_(column >= self.horizon, later)
