"""How a process traces, by OpenTelemetry's variables: with the SDK, or with ids alone.

Apart from `composition.py`, so that nothing of the SDK is imported where nobody asks for it.
"""

import os
from collections.abc import Callable, Coroutine, Mapping
from importlib.metadata import entry_points, version
from typing import Any

import structlog
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.propagators.textmap import TextMapPropagator
from opentelemetry.trace import Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from chandlery.settings.settings import Settings
from chandlery.telemetry.tracing.id_tracer import IdTracer
from chandlery.telemetry.tracing.trace_plan import PROPAGATORS, TracePlan, trace_plan
from chandlery.telemetry.tracing.tracing import Tracing

log = structlog.get_logger(__name__)

AtEnd = Callable[[Callable[[], Coroutine[Any, Any, None]]], object]
_EXTRA = "pip install 'chandlery[otlp]'"
_SEVERAL = "+"


def make_tracing(
    settings: Settings, *, service: str, owner: str, at_end: AtEnd, environment: Mapping[str, str] = os.environ
) -> Tracing:
    """With what the process traces. What cannot be had is told in the log.

    `at_end` is given what is to be done at the end of the process, after all else, to send the last spans.
    """
    plan = trace_plan(environment)
    for complaint in plan.complaints:
        log.warning(complaint, action="set_up_traces")
    tracer = _sdk_tracer(plan, service, owner, at_end) if plan.exporters else None
    return Tracing(
        tracer or IdTracer(),
        propagator=_propagator(plan),
        continues_clients=settings.traces_from_clients,
        goes_on=settings.traces_to_brokers,
    )


def _sdk_tracer(plan: TracePlan, service: str, owner: str, at_end: AtEnd) -> Tracer | None:
    try:
        # Some variables are read when it is imported.
        from chandlery.telemetry.tracing.sdk_tracing import SdkTracing  # noqa: PLC0415 - an extra

        sdk = SdkTracing(plan, resource=_resource(service, owner))
    except ImportError:
        log.warning(
            f"{plan.asked_by} asks for traces, but what records them is not installed. Every request has its trace "
            f"id all the same. To have traces recorded, install it: {_EXTRA}",
            action="set_up_traces",
        )
        return None
    except (ValueError, RuntimeError) as error:
        log.warning(f"traces are not recorded: {error}", action="set_up_traces")
        return None
    at_end(sdk.close)
    return sdk.tracer(version=version("chandlery"))


def _resource(service: str, owner: str) -> Mapping[str, str]:
    # A process with all services is called by the name of the whole.
    name = "chandlery" if _SEVERAL in service else f"chandlery-{service}"
    return {"service.name": name, "service.version": version("chandlery"), "service.instance.id": owner}


def _propagator(plan: TracePlan) -> TextMapPropagator:
    found = [each for name in plan.propagators if (each := _propagator_called(name)) is not None]
    return found[0] if len(found) == 1 else CompositePropagator(found)


def _propagator_called(name: str) -> TextMapPropagator | None:
    if name == "tracecontext":
        return TraceContextTextMapPropagator()
    for entry in entry_points(group="opentelemetry_propagator", name=name):
        made: TextMapPropagator = entry.load()()
        return made
    log.warning(f"{PROPAGATORS} names {name}, which is not installed; it is passed over", action="set_up_traces")
    return None
