"""Events go to the table of the audit log: a batch is one transaction of two statements."""

from collections.abc import Sequence
from typing import Final

from chandlery.model.faults import Fault
from chandlery.store.audit.audit_entries import AuditEntry
from chandlery.store.database import Database, UnitOfWork
from chandlery_gateway.identity.audit.sinks.audit_sink import SinkFailed


class TableSink:
    """See AuditSink."""

    name: Final = "table"
    place: Final = "the database"

    def __init__(self, database: Database) -> None:
        self._database = database

    async def write(self, entries: Sequence[AuditEntry]) -> None:
        """See AuditSink."""

        async def write(unit: UnitOfWork) -> None:
            await unit.audit.write(entries)

        try:
            await self._database.run(write)
        except Fault as fault:
            raise SinkFailed(fault.message) from fault
