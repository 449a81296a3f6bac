"""One row of the audit log: the event as text, and the columns by which it is found. Pure.

The text is an `Event` of Kubernetes' `audit.k8s.io/v1`. The gateway makes entries of requests, workers of what they do
with credentials (`engine/rounds/credential_trail.py`).
"""

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditEntry:
    """An event of the audit log, ready to be written."""

    name: str
    """Sorts by time; see `time_ordered_ids`."""
    event: str
    username: str = ""
    verb: str = ""
    resource: str = ""
    namespace: str = ""
    object_name: str = ""
    object_uid: str = ""
    code: int = 0
    related_uids: tuple[str, ...] = field(default=())
    """Of further objects that it is about. It is found by them as by its own."""

    @property
    def size(self) -> int:
        """About how many bytes it takes in memory."""
        return len(self.event) + 40 * len(self.related_uids) + _OVERHEAD


_OVERHEAD = 600


@dataclass(frozen=True, kw_only=True)
class AuditFilter:
    """Which events are meant."""

    where: tuple[tuple[str, str | int], ...] = ()
    """Columns and what they hold."""
    where_not: tuple[tuple[str, str | int], ...] = ()
    audit_id: str = ""
    """Of the request: an event for each of its stages that was recorded."""
    uid: str = ""
    """Of an object that they are about, be it beside others."""
    since: datetime | None = None
    before: str = ""
    """Only what sorts before this name, which is older."""
