"""One operation as the history keeps it: what is read from the database, and shown by the gateway. Plain data."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class StoredOperation:
    """One row, with its words in plain."""

    name: str
    kind: str
    """Of the object."""
    namespace: str
    object_name: str
    object_uid: str
    instance_name: str
    operation: str
    reason: str
    requested_by: str
    broker: str
    external_id: str
    attempts: int
    outcome: str
    broker_status: int | None
    message: str | None
    failure_status: int | None
    failure: str | None
    trace_id: str
    started_at: datetime
    ended_at: datetime | None
