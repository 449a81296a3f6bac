"""Brings spans to an exporter of the SDK, and tells once when they do not arrive, and once when they do again.

The SDK's own log lines tell it for each batch, with the text of an exception in which the collector's address may stand
with its password. They are not repeated (`process/logs/library_lines.py`); what matters of them is said here.
"""

from collections.abc import Sequence

import structlog
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

log = structlog.get_logger(__name__)


class ToldExporter(SpanExporter):
    """Belongs to the thread of its processor."""

    def __init__(self, exporter: SpanExporter, *, place: str) -> None:
        """`place` is where the spans go, for people."""
        self._exporter = exporter
        self._place = place
        self._is_failing = False
        self._is_over = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """See SpanExporter."""
        try:
            result = self._exporter.export(spans)
        except Exception as error:  # noqa: BLE001 - whatever it is, the next batch may arrive
            self._tell(SpanExportResult.FAILURE, type(error).__name__)
            return SpanExportResult.FAILURE
        self._tell(result, "")
        return result

    def shutdown(self) -> None:
        """See SpanExporter. What does not arrive after this is told by whoever could not wait for it."""
        self._is_over = True
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """See SpanExporter."""
        return self._exporter.force_flush(timeout_millis)

    def _tell(self, result: SpanExportResult, why: str) -> None:
        is_failing = result is not SpanExportResult.SUCCESS
        if is_failing is self._is_failing or self._is_over:
            return
        self._is_failing = is_failing
        if is_failing:
            log.warning(
                f"traces cannot be sent to {self._place}; they are lost until it takes them",
                action="export_traces",
                reason=why,
            )
        else:
            log.info(f"traces are sent to {self._place} again", action="export_traces")
