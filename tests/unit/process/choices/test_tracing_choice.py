"""How a process traces, by OpenTelemetry's variables: what is recorded, and what it says where they are wrong."""

import os
import sys
from collections.abc import AsyncIterator, Iterable, MutableMapping
from contextlib import AsyncExitStack
from typing import Any, Final

import pytest
import structlog
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased
from opentelemetry.trace import Span

from chandlery.process.choices.tracing_choice import make_tracing
from chandlery.settings.settings import Settings
from chandlery.telemetry.tracing.id_tracer import IdTracer
from chandlery.telemetry.tracing.traceparent import below, span_context_of
from chandlery.telemetry.tracing.tracing import Tracing

NOWHERE: Final = "http://user:hunter2@127.0.0.1:9"
ALL: Final = "every trace is recorded"
MANY: Final = 20_000


class Made:
    """A process's tracing, and what it said when it was made."""

    def __init__(self, tracing: Tracing, lines: Iterable[MutableMapping[str, Any]]) -> None:
        self.tracing = tracing
        self.told = [line["event"] for line in lines]

    def begun(self, traceparent: str | None = None) -> Span:
        """A span below the one of a client, or one that begins a trace."""
        return self.tracing.tracer.start_span("x", context=below(span_context_of(traceparent)))


class Maker:
    """Makes it as a process does that was started with these variables."""

    def __init__(self, patch: pytest.MonkeyPatch, at_end: AsyncExitStack) -> None:
        self._patch = patch
        self._at_end = at_end

    def __call__(self, **variables: str) -> Made:
        # The SDK reads the environment itself.
        for name, value in variables.items():
            self._patch.setenv(name, value)
        with structlog.testing.capture_logs() as lines:
            tracing = make_tracing(Settings(), service="gateway", owner="me", at_end=self._at_end.push_async_callback)
        return Made(tracing, lines)


@pytest.fixture
async def make(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Maker]:
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    async with AsyncExitStack() as at_end:
        yield Maker(monkeypatch, at_end)


def sampled(trace_id: int) -> str:
    return f"00-{trace_id:032x}-00f067aa0ba902b7-01"


# What is sampled


async def test_one_in_a_hundred_is_the_same_hundredth_in_every_process(make: Maker) -> None:
    """By the id alone, so that a trace is whole however many processes it goes through."""
    made = make(OTEL_TRACES_EXPORTER="otlp", OTEL_TRACES_SAMPLER="traceidratio", OTEL_TRACES_SAMPLER_ARG="0.01")
    bound = TraceIdRatioBased.get_bound_for_rate(0.01)
    recorded = {id_: made.begun(sampled(id_)).is_recording() for id_ in (1, bound - 1, bound, (1 << 64) - 1)}
    assert recorded == {1: True, bound - 1: True, bound: False, (1 << 64) - 1: False}
    # Among 20 000 there are 200, give or take seven standard deviations.
    assert 100 < sum(made.begun().is_recording() for _ in range(MANY)) < 300
    assert made.told == []


async def test_one_in_a_hundred_of_ours_leaves_a_clients_decision_alone(make: Maker) -> None:
    made = make(
        OTEL_TRACES_EXPORTER="otlp", OTEL_TRACES_SAMPLER="parentbased_traceidratio", OTEL_TRACES_SAMPLER_ARG="0.01"
    )
    never, always = (1 << 64) - 1, 1
    assert made.begun(sampled(never)).is_recording()
    assert not made.begun(f"{sampled(always)[:-2]}00").is_recording()
    assert 100 < sum(made.begun().is_recording() for _ in range(MANY)) < 300


async def test_what_is_not_sampled_has_its_ids_all_the_same(make: Maker) -> None:
    made = make(OTEL_TRACES_EXPORTER="otlp", OTEL_TRACES_SAMPLER="always_off")
    context = made.begun(sampled(7)).get_span_context()
    assert (context.trace_id, context.trace_flags.sampled) == (7, False)
    assert made.begun().get_span_context().is_valid


@pytest.mark.parametrize("sampler", ["traceidratio", "parentbased_traceidratio"])
@pytest.mark.parametrize("ratio", ["", "1%", "one", "nan", "-0.1", "1.01", "inf", "0,01"])
async def test_with_a_ratio_that_is_none_every_trace_is_recorded_as_is_told(
    make: Maker, sampler: str, ratio: str
) -> None:
    made = make(OTEL_TRACES_EXPORTER="otlp", OTEL_TRACES_SAMPLER=sampler, OTEL_TRACES_SAMPLER_ARG=ratio)
    assert made.told == [f"OTEL_TRACES_SAMPLER_ARG is not a number from 0 to 1: {ALL}"]
    assert all(made.begun().is_recording() for _ in range(100))


@pytest.mark.parametrize("sampler", ["sometimes", " traceidratio", "jaeger_remote"])
async def test_with_a_sampler_that_is_none_every_trace_is_recorded_as_is_told(make: Maker, sampler: str) -> None:
    made = make(OTEL_TRACES_EXPORTER="otlp", OTEL_TRACES_SAMPLER=sampler, OTEL_TRACES_SAMPLER_ARG="0")
    (told,) = made.told
    assert told.startswith("OTEL_TRACES_SAMPLER is not one of") and told.endswith(ALL)
    assert all(made.begun().is_recording() for _ in range(100))


# Whether anything is recorded


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"OTEL_TRACES_SAMPLER": "always_on"},
        {"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": NOWHERE},
        {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_SDK_DISABLED": "true"},
        {"OTEL_TRACES_EXPORTER": "", "OTEL_EXPORTER_OTLP_ENDPOINT": "", "OTEL_TRACES_SAMPLER": ""},
    ],
    ids=["nothing said", "no exporter said", "exporter none", "disabled", "all empty"],
)
async def test_nothing_is_recorded_where_nobody_asks_for_it(make: Maker, variables: dict[str, str]) -> None:
    made = make(**variables)
    assert isinstance(made.tracing.tracer, IdTracer)
    assert made.told == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_BSP_MAX_QUEUE_SIZE", "many"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "-1"),
        ("OTEL_BSP_SCHEDULE_DELAY", "0"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
        ("OTEL_SDK_DISABLED", "yes"),
        ("OTEL_PROPAGATORS", "tracecontext,carrier-pigeon"),
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "few"),
        ("OTEL_TRACES_EXPORTER", "otlp,zipkin"),
    ],
)
async def test_a_wrong_value_is_told_with_its_name_and_stops_no_process(make: Maker, name: str, value: str) -> None:
    made = make(OTEL_EXPORTER_OTLP_ENDPOINT=NOWHERE, **{name: value})
    assert made.begun().get_span_context().is_valid
    assert any(name in told for told in made.told), made.told
    assert "hunter2" not in repr(made.told)


@pytest.fixture
def without_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is where the extra is not installed."""
    monkeypatch.delitem(sys.modules, "chandlery.telemetry.tracing.sdk_tracing", raising=False)
    for name in ("opentelemetry.sdk", "opentelemetry.sdk.resources", "opentelemetry.exporter"):
        monkeypatch.setitem(sys.modules, name, None)


@pytest.mark.parametrize("variable", ["OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT"])
@pytest.mark.usefixtures("without_sdk")
async def test_without_the_extra_the_process_starts_and_says_what_to_install(make: Maker, variable: str) -> None:
    made = make(**{variable: "otlp" if variable == "OTEL_TRACES_EXPORTER" else NOWHERE})
    (told,) = made.told
    assert told.startswith(f"{variable} asks for traces")
    assert told.endswith("pip install 'chandlery[otlp]'")
    assert "hunter2" not in told
    assert made.begun().get_span_context().is_valid
    assert not made.begun().is_recording()


@pytest.mark.usefixtures("without_sdk")
async def test_without_the_extra_nothing_is_said_where_nobody_asks_for_traces(make: Maker) -> None:
    assert make().told == []
