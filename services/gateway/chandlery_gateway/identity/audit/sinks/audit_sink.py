"""What is done with a batch of events: one method, for each place where they can go."""

from collections.abc import Sequence
from typing import Protocol

from chandlery.model.faults import Fault
from chandlery.store.audit.audit_entries import AuditEntry


class SinkFailed(Fault):
    """The audit log could not be written."""


class AuditSink(Protocol):
    """Where events go."""

    @property
    def name(self) -> str:
        """How metrics call it: one word."""

    @property
    def place(self) -> str:
        """How the log calls it, such as `the file /var/log/audit.log`."""

    async def write(self, entries: Sequence[AuditEntry]) -> None:
        """Write all of them, or raise SinkFailed and have written none that a second try would double."""
