"""What OpenTelemetry's variables ask for, as a plan. Pure.

Their names and meanings are OpenTelemetry's own ("Environment Variable Specification", "OpenTelemetry Protocol
Exporter"), so that whoever sets them for all processes of a machine sets them for these, too. As it asks of everybody,
a value that is not known is told and passed over: they are not our settings, and no reason not to start. One thing
differs: without a word about an exporter nothing is recorded.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

DISABLED: Final = "OTEL_SDK_DISABLED"
EXPORTER: Final = "OTEL_TRACES_EXPORTER"
SAMPLER: Final = "OTEL_TRACES_SAMPLER"
SAMPLER_ARG: Final = "OTEL_TRACES_SAMPLER_ARG"
PROPAGATORS: Final = "OTEL_PROPAGATORS"
ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")

OTLP: Final = "otlp"
CONSOLE: Final = "console"
NONE: Final = "none"
_EXPORTERS: Final = (OTLP, CONSOLE)
_PROTOCOL: Final = "http/protobuf"
_RATIOS: Final = ("traceidratio", "parentbased_traceidratio")
_SAMPLERS: Final = ("always_on", "always_off", "parentbased_always_on", "parentbased_always_off", *_RATIOS)
_NUMBERS: Final = (
    "OTEL_BSP_SCHEDULE_DELAY",
    "OTEL_BSP_MAX_QUEUE_SIZE",
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
    "OTEL_EXPORTER_OTLP_TIMEOUT",
    "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
)
_DEFAULT_ENDPOINT: Final = "http://localhost:4318"


@dataclass(frozen=True, kw_only=True)
class TracePlan:
    """Whether spans are recorded, and where they go."""

    exporters: tuple[str, ...] = ()
    """`otlp` and `console`; none where nothing is recorded."""
    asked_by: str = ""
    """The variable that asks for them."""
    endpoint: str = ""
    """Of the collector, as it was given. It may have a password in it."""
    propagators: tuple[str, ...] = ("tracecontext",)
    """Names of OpenTelemetry's. Baggage is left out: nothing here has a use for it."""
    complaints: tuple[str, ...] = ()
    """Sentences about what is passed over."""


def trace_plan(environment: Mapping[str, str]) -> TracePlan:
    """The plan. Empty variables count as unset."""
    if environment.get(DISABLED, "").strip().lower() == "true":
        return TracePlan()
    propagators = tuple(dict.fromkeys(_words(environment, PROPAGATORS, default="tracecontext")))
    propagators = () if NONE in propagators else tuple(name for name in propagators if name != "baggage")
    asked_by = next((name for name in (EXPORTER, *ENDPOINTS) if environment.get(name, "").strip()), "")
    asked = _words(environment, EXPORTER, default=OTLP if asked_by else NONE)
    exporters = tuple(name for name in _EXPORTERS if name in asked and NONE not in asked)
    return TracePlan(
        exporters=exporters,
        asked_by=asked_by if exporters else "",
        endpoint=next(filter(None, (environment.get(name, "").strip() for name in ENDPOINTS)), _DEFAULT_ENDPOINT),
        propagators=propagators,
        complaints=(*_unknown_exporters(asked), *(_complaints(environment, exporters) if exporters else ())),
    )


def _unknown_exporters(asked: tuple[str, ...]) -> Iterator[str]:
    for name in asked:
        if name not in (*_EXPORTERS, NONE):
            yield f"{EXPORTER} names an exporter that is not known here; write {OTLP}, {CONSOLE} or {NONE}"


def _complaints(environment: Mapping[str, str], exporters: tuple[str, ...]) -> Iterator[str]:
    for name in PROTOCOLS:
        if OTLP in exporters and environment.get(name, "").strip() not in ("", _PROTOCOL):
            yield (
                f"{name} has no effect: traces are sent by {_PROTOCOL} alone; name the collector's port for that in "
                f"{ENDPOINTS[1]}, as a rule 4318"
            )
    if environment.get(DISABLED, "").strip().lower() not in ("", "true", "false"):
        yield f"{DISABLED} is neither true nor false: traces are recorded"
    # With a blank beside its name the SDK does not know it.
    sampler = environment.get(SAMPLER, "").lower()
    if sampler and sampler not in _SAMPLERS:
        yield f"{SAMPLER} is not one of {', '.join(_SAMPLERS)}: every trace is recorded"
    if sampler in _RATIOS and not _is_ratio(environment.get(SAMPLER_ARG, "")):
        yield f"{SAMPLER_ARG} is not a number from 0 to 1: every trace is recorded"
    for name in _NUMBERS:
        if (given := environment.get(name, "").strip()) and not _is_above_zero(given):
            yield f"{name} is not a number above 0"


def _is_ratio(text: str) -> bool:
    try:
        return 0.0 <= float(text) <= 1.0
    except ValueError:
        return False


def _is_above_zero(text: str) -> bool:
    try:
        return 0.0 < float(text) < float("inf")
    except ValueError:
        return False


def _words(environment: Mapping[str, str], name: str, *, default: str) -> tuple[str, ...]:
    words = environment.get(name, "").strip() or default
    return tuple(word.strip().lower() for word in words.split(",") if word.strip())
