"""The operations of an object that have not ended: kept with its row of work from round to round. Plain data.

Nothing of them is secret, and little is kept: what else the history tells of an operation is in its own row by then.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pydantic import ConfigDict

from chandlery.model.history.recorded_operations import OperationName
from chandlery.model.objects.wire import JsonObject, WireModel

_BY_ID = frozenset({OperationName.UNBIND, OperationName.ORPHAN_MITIGATION})
"""Of these a binding may have several at a time: of itself, and of credentials that it had before."""


class OperationKey(NamedTuple):
    """By which a round finds the operation that its request is part of."""

    operation: OperationName
    external_id: str = ""

    @classmethod
    def of(cls, operation: OperationName, external_id: str) -> "OperationKey":
        """The id counts for deletions only: a rotation that is tried again asks for another one."""
        return cls(operation, external_id if operation in _BY_ID else "")


class OpenOperation(WireModel):
    """An operation that is under way, or waits to be tried again."""

    model_config = ConfigDict(extra="ignore")

    operation: OperationName
    external_id: str
    started_at: float
    """Unix time."""
    attempts: int = 0

    @property
    def key(self) -> OperationKey:
        """See OperationKey."""
        return OperationKey.of(self.operation, self.external_id)


def read_open(stored: Sequence[JsonObject]) -> tuple[OpenOperation, ...]:
    """As a row of work has them. Those of a later release, which this one has no name for, are left out."""
    known = set(OperationName)
    return tuple(OpenOperation.model_validate(each) for each in stored if each.get("operation") in known)


def write_open(some: Iterable[OpenOperation]) -> list[JsonObject]:
    """The inverse."""
    return [each.to_wire() for each in some]
