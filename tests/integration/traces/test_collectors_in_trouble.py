"""A collector that hangs, refuses or fails: nobody waits for it, what waits for it is bounded, and the end is near."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from typing import Final

import pytest
import structlog
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from chandlery.telemetry.tracing.sdk_tracing import SdkTracing
from chandlery.telemetry.tracing.trace_plan import trace_plan
from chandlery.telemetry.tracing.traceparent import ROOT
from tests.e2e.stacks.trace_receiver import TraceReceiver, trace_receiver
from tests.support.measured.loop_turns import turns_of_others

QUEUE: Final = 64
BATCH: Final = 16
MANY: Final = 5_000
_VARIABLES: Final = {
    "OTEL_BSP_MAX_QUEUE_SIZE": str(QUEUE),
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": str(BATCH),
    "OTEL_BSP_SCHEDULE_DELAY": "10",
    "OTEL_EXPORTER_OTLP_TIMEOUT": "30",
}
TROUBLES: Final = ("hangs", "refuses", "answers 500", "answers 413", "answers nonsense")


@pytest.fixture
def receiver() -> Iterator[TraceReceiver]:
    with trace_receiver() as receiver:
        yield receiver


@pytest.fixture(params=TROUBLES)
def url(request: pytest.FixtureRequest, receiver: TraceReceiver) -> Iterator[str]:
    """Of a collector that is in trouble."""
    trouble: str = request.param
    with ExitStack() as stack:
        if trouble.startswith("answers"):
            receiver.status = {"500": 500, "413": 413, "nonsense": 299}[trouble.removeprefix("answers ")]
            yield receiver.url
            return
        place = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        port = place.getsockname()[1]
        if trouble == "refuses":
            place.close()
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
async def sdk(url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SdkTracing]:
    for name, value in (_VARIABLES | {"OTEL_EXPORTER_OTLP_ENDPOINT": url}).items():
        monkeypatch.setenv(name, value)
    sdk = SdkTracing(trace_plan({"OTEL_EXPORTER_OTLP_ENDPOINT": url}), resource={"service.name": "x"})
    yield sdk
    await sdk.close(seconds=0.1)


async def test_spans_are_ended_at_once_and_few_of_them_are_kept(sdk: SdkTracing) -> None:
    tracer = sdk.tracer(version="1")
    async with turns_of_others() as turns:
        for number in range(MANY):
            tracer.start_span(f"span {number}", context=ROOT).end()
            if number % BATCH == 0:
                await asyncio.sleep(0)
    (processor,) = sdk._provider._active_span_processor._span_processors
    assert isinstance(processor, BatchSpanProcessor)
    assert len(processor._batch_processor._queue) <= QUEUE
    assert turns.count > MANY // BATCH


async def test_end_of_the_process_is_bounded_and_told(sdk: SdkTracing) -> None:
    sdk.tracer(version="1").start_span("the last one", context=ROOT).end()
    with structlog.testing.capture_logs() as lines:
        async with asyncio.timeout(20):
            await sdk.close(seconds=0.2)
    assert {line["log_level"] for line in lines} <= {"warning"}
