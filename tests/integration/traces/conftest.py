"""All four services in one process, as `chandlery up` runs them, with an exporter that keeps spans in memory."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import aiohttp
import pytest
import pytest_asyncio
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanContext

from chandlery.process import composition
from chandlery.telemetry.tracing.tracing import Tracing
from tests.conformance import platform_backends
from tests.conformance.platform import Platform
from tests.conformance.scripted.scripted_broker import ScriptedBroker
from tests.support.waiting import eventually


def ids(span: ReadableSpan) -> SpanContext:
    context = span.get_span_context()
    assert context is not None
    return context


@dataclass
class Spans:
    """What has been recorded."""

    exporter: InMemorySpanExporter = field(default_factory=InMemorySpanExporter)

    def all(self) -> Sequence[ReadableSpan]:
        return self.exporter.get_finished_spans()

    def of(self, trace_id: int, name: str = "") -> list[ReadableSpan]:
        """The spans of a trace whose names begin so, by the time at which they began."""
        found = [span for span in self.all() if ids(span).trace_id == trace_id and span.name.startswith(name)]
        return sorted(found, key=lambda span: span.start_time or 0)

    async def until(self, trace_id: int, name: str, count: int = 1) -> list[ReadableSpan]:
        """As soon as so many of a name have ended."""
        return await eventually(
            lambda: self.of(trace_id, name), lambda found: len(found) >= count, what=f"{count} of {name}"
        )

    def above(self, span: ReadableSpan) -> list[str]:
        """The names from the span up to the first of its trace."""
        by_id = {ids(each).span_id: each for each in self.all()}
        names = []
        at: ReadableSpan | None = span
        while at is not None:
            names.append(at.name)
            at = by_id.get(at.parent.span_id) if at.parent is not None else None
        return names


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def spans(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Spans]:
    yield Spans()


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def backend(
    spans: Spans, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[platform_backends.PlatformBackend]:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(spans.exporter))
    with pytest.MonkeyPatch.context() as patch:
        tracing = Tracing(provider.get_tracer("chandlery"))
        patch.setattr(composition, "make_tracing", lambda *_given, **_named: tracing)
        async with platform_backends.embedded(tmp_path_factory.mktemp("traced")) as running:
            yield running
    provider.shutdown()


@pytest_asyncio.fixture(loop_scope="session")
async def broker() -> AsyncIterator[ScriptedBroker]:
    async with ScriptedBroker() as broker:
        yield broker


@pytest_asyncio.fixture(loop_scope="session")
async def platform(backend: platform_backends.PlatformBackend, broker: ScriptedBroker) -> AsyncIterator[Platform]:
    """A namespace with an offering at a broker."""
    async with aiohttp.ClientSession(backend.urls[0]) as session:
        platform = Platform(backend, broker, session, 1)
        await platform.api.made("/api/v1/namespaces", {"metadata": {"name": platform.namespace}})
        platform.offers()
        await platform.registers()
        yield platform
        await backend.clear()
