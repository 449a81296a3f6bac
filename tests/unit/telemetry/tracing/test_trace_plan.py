"""What OpenTelemetry's variables ask for."""

import pytest

from chandlery.telemetry.tracing.trace_plan import trace_plan

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}


@pytest.mark.parametrize(
    ("environment", "exporters"),
    [
        ({}, ()),
        ({"OTEL_SERVICE_NAME": "shop", "OTEL_TRACES_SAMPLER": "always_on"}, ()),
        (ENDPOINT, ("otlp",)),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, ("otlp",)),
        ({**ENDPOINT, "OTEL_TRACES_EXPORTER": "none"}, ()),
        ({**ENDPOINT, "OTEL_TRACES_EXPORTER": ""}, ("otlp",)),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, ("otlp",)),
        ({"OTEL_TRACES_EXPORTER": "console,otlp"}, ("otlp", "console")),
        ({**ENDPOINT, "OTEL_SDK_DISABLED": "TRUE"}, ()),
        ({**ENDPOINT, "OTEL_SDK_DISABLED": "perhaps"}, ("otlp",)),
    ],
)
def test_spans_are_recorded_when_a_variable_says_where_they_go(
    environment: dict[str, str], exporters: tuple[str, ...]
) -> None:
    assert trace_plan(environment).exporters == exporters


@pytest.mark.parametrize(
    ("environment", "complaint"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER names an exporter that is not known here"),
        ({**ENDPOINT, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "OTEL_EXPORTER_OTLP_PROTOCOL has no effect"),
        ({**ENDPOINT, "OTEL_TRACES_SAMPLER": "sometimes"}, "OTEL_TRACES_SAMPLER is not one of"),
        (
            {**ENDPOINT, "OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "1%"},
            "OTEL_TRACES_SAMPLER_ARG is not a number from 0 to 1",
        ),
    ],
)
def test_a_value_that_is_not_known_is_told_and_passed_over(environment: dict[str, str], complaint: str) -> None:
    (told,) = trace_plan(environment).complaints
    assert told.startswith(complaint)


@pytest.mark.parametrize(
    ("named", "propagators"),
    [("", ("tracecontext",)), ("tracecontext,baggage", ("tracecontext",)), ("b3", ("b3",)), ("b3,none", ())],
)
def test_propagators_are_those_that_are_named_but_for_baggage(named: str, propagators: tuple[str, ...]) -> None:
    assert trace_plan({"OTEL_PROPAGATORS": named}).propagators == propagators
