"""All four services in one process, as `chandlery up` runs them, with an exporter that keeps spans in memory."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Final

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

CLIENT: Final = 0x00F067AA0BA902B7
"""The span of a client that tests send along."""


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

    async def until(self, trace_id: int, name: str, count: int = 1, *, event: str = "") -> list[ReadableSpan]:
        """As soon as so many of a name have ended, and, if an event is named, the one that has it as the last."""
        return await eventually(
            lambda: self.of(trace_id, name),
            lambda found: len(found) >= count and (not event or event in [each.name for each in found[-1].events]),
            what=f"{count} of {name} {event}",
        )

    async def above(self, span: ReadableSpan) -> list[str]:
        """The names from the span up to the first of ours in its trace; what is above may end later."""
        chain = await eventually(
            lambda: self._chain(span),
            lambda found: found[-1].parent is None or found[-1].parent.span_id == CLIENT,
            what=f"all spans above {span.name}",
        )
        return [each.name for each in chain]

    def _chain(self, span: ReadableSpan) -> list[ReadableSpan]:
        by_id = {ids(each).span_id: each for each in self.all()}
        chain = [span]
        while (parent := chain[-1].parent) is not None and parent.span_id in by_id:
            chain.append(by_id[parent.span_id])
        return chain


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
