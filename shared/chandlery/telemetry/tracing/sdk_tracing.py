"""Tracing with OpenTelemetry's SDK, which is an extra: the only module that imports it, and only if it is asked to.

Comes in: a plan (`trace_plan.py`); the SDK reads the rest of OpenTelemetry's variables itself.
Goes out: spans, in batches, from a thread of their own. What does not fit its queue while a collector is away is lost;
nobody waits for it.
Called by: `process/choices/tracing_choice.py`, once for each process. Nothing global is set: tests run several in one.
"""

import asyncio
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Final
from urllib.parse import urlsplit

import structlog
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter
from opentelemetry.trace import Tracer

from chandlery.telemetry.tracing.told_exporter import ToldExporter
from chandlery.telemetry.tracing.trace_plan import OTLP, TracePlan

log = structlog.get_logger(__name__)

FLUSH_SECONDS: Final = 3.0
"""At the end of a process, for what has not been sent yet."""


class SdkTracing:
    """The provider of one process."""

    def __init__(self, plan: TracePlan, *, resource: Mapping[str, str]) -> None:
        """`resource` describes the process, where OpenTelemetry's variables do not. Raises ValueError."""
        # What the variables say wins, as for everybody who uses the SDK.
        described = Resource.create(dict(resource)).merge(OTELResourceDetector().detect())
        self._provider = TracerProvider(resource=described, shutdown_on_exit=False)
        self._exporters = [_exporter(name, plan) for name in plan.exporters]
        for exporter in self._exporters:
            self._provider.add_span_processor(BatchSpanProcessor(exporter))

    def tracer(self, *, version: str) -> Tracer:
        """What spans are made with."""
        return self._provider.get_tracer("chandlery", version)

    async def close(self, *, seconds: float = FLUSH_SECONDS) -> None:
        """Send what is left, within so many seconds."""
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def flush() -> None:
            self._provider.shutdown()
            # The loop may be closed by now.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(done.set)

        # A thread that keeps no process from its end.
        threading.Thread(target=flush, daemon=True, name="flushes-traces").start()
        try:
            async with asyncio.timeout(seconds):
                await done.wait()
        except TimeoutError:
            log.warning(f"the last traces could not be sent within {seconds:g} seconds", action="export_traces")
            for exporter in self._exporters:
                # Whoever waits between two tries gives up.
                exporter.shutdown()


def _exporter(name: str, plan: TracePlan) -> SpanExporter:
    if name == OTLP:
        return ToldExporter(OTLPSpanExporter(), place=_place(plan.endpoint))
    return ToldExporter(ConsoleSpanExporter(), place="the console")


def _place(endpoint: str) -> str:
    """Without user and password, which may stand in it."""
    try:
        parts = urlsplit(endpoint)
        place = f"{parts.hostname}:{parts.port}" if parts.port else parts.hostname
    except ValueError:
        place = None
    return place or "the collector"
