"""Builds the audit log from the settings, and keeps it going: its sinks, its policy, which follows its file.

`main` makes one, gives its `auditor` to the application, runs it beside, and closes it when all requests are answered.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import structlog

from chandlery.process.followed_files import FollowedFiles
from chandlery.settings.settings import Settings
from chandlery.store.database import Database
from chandlery.telemetry.catalog.api_requests import AUDIT_EVENTS_LOST
from chandlery.telemetry.metrics import NO_METRICS, Metrics, Sample
from chandlery_gateway.identity.audit.audit_trail import AuditTrail
from chandlery_gateway.identity.audit.auditor import Auditor, NullAuditor
from chandlery_gateway.identity.audit.policy.audit_policy import DEFAULT_POLICY, AuditPolicy
from chandlery_gateway.identity.audit.policy.policy_reading import read_policy
from chandlery_gateway.identity.audit.sinks.audit_sink import AuditSink
from chandlery_gateway.identity.audit.sinks.batched_sink import BatchedSink
from chandlery_gateway.identity.audit.sinks.file_sink import STDOUT, FileSink, StdoutSink
from chandlery_gateway.identity.audit.sinks.table_sink import TableSink

log = structlog.get_logger(__name__)


class AuditLog:
    """The audit log of one gateway."""

    def __init__(self, settings: Settings, database: Database, metrics: Metrics = NO_METRICS) -> None:
        """Raises ConfigurationFault that names the setting, and what is wrong with the file."""
        path = settings.audit_policy_file
        self._policy_file = path
        self._files = FollowedFiles("the audit policy", [path] if path else [])
        self.sinks = tuple(BatchedSink(sink) for sink in _sinks(settings, database))
        metrics.collect(AUDIT_EVENTS_LOST, lambda: [Sample((sink.name,), sink.counts.lost) for sink in self.sinks])
        self._trail = AuditTrail(_policy(path), self.sinks, refuses=settings.audit_unwritable == "refuse")
        self.auditor: Auditor = self._trail if self.sinks else NullAuditor()

    async def run(self) -> None:
        """Write what is recorded, and follow the policy; ends by cancellation."""
        async with asyncio.TaskGroup() as group:
            for sink in self.sinks:
                group.create_task(sink.run())
            if self._policy_file is not None:
                group.create_task(self._files.follow(self._read_again))

    async def close(self) -> None:
        """Write what is left."""
        await asyncio.gather(*(sink.close() for sink in self.sinks))

    def _read_again(self) -> None:
        self._trail.policy = _policy(self._policy_file)


def check_audit(settings: Settings) -> None:
    """Raises ConfigurationFault for a policy or a file that cannot be used."""
    _policy(settings.audit_policy_file)
    _file_sink(settings)


def _policy(path: Path | None) -> AuditPolicy:
    return DEFAULT_POLICY if path is None else read_policy(path)


def _sinks(settings: Settings, database: Database) -> Iterator[AuditSink]:
    if settings.audit_table:
        yield TableSink(database)
    if sink := _file_sink(settings):
        yield sink


def _file_sink(settings: Settings) -> AuditSink | None:
    if not settings.audit_log:
        return None
    if settings.audit_log == STDOUT:
        return StdoutSink()
    return FileSink(
        Path(settings.audit_log),
        most_bytes=settings.audit_log_mebibytes << 20,
        kept_files=settings.audit_log_files,
        syncs=settings.audit_unwritable == "refuse",
    )
