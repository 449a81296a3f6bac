"""Metrics of the calls to service brokers, and of what holds them back."""

from typing import Final

from chandlery.telemetry.metric import Counter, Gauge, Histogram

BROKER_CALL_SECONDS: Final = Histogram(
    name="chandlery_broker_call_duration_seconds",
    labels=("broker", "operation", "status"),
    meaning="Seconds that calls to service brokers took, by operation and by class of the HTTP status (2xx, 4xx, 5xx), "
    "or by why there was none: timeout, connection, or refused, because the egress rules forbid it or the broker "
    "cannot be called as it is declared.",
    question="Which service broker is slow, and which one fails?",
)
BROKER_CALLS_UNDER_WAY: Final = Gauge(
    name="chandlery_broker_calls_under_way",
    labels=("broker",),
    meaning="Calls to the service broker that this process waits for.",
    question="Which service broker hangs?",
)
OLDEST_CALL_SECONDS: Final = Gauge(
    name="chandlery_broker_calls_oldest_seconds",
    labels=("broker",),
    meaning="Seconds for which this process has waited for the oldest of them; nothing is told without one.",
    question="For how long has a service broker not answered?",
)
CALLS_DEFERRED: Final = Counter(
    name="chandlery_broker_calls_deferred_total",
    labels=("broker", "reason"),
    meaning="Calls that were put off: the circuit is open, or the rate limit has no turn yet.",
    question="Who is held back, and why?",
)
CIRCUIT_OPEN: Final = Gauge(
    name="chandlery_broker_circuit_open",
    labels=("broker",),
    meaning="1 if calls to the service broker are paused, as this process sees it, else 0.",
    question="Which service broker is given a rest?",
)
CIRCUIT_OPENINGS: Final = Counter(
    name="chandlery_broker_circuit_openings_total",
    labels=("broker",),
    meaning="How often this process began to pause calls to the service broker.",
    question="Which service broker comes and goes?",
)
EVERY: Final = (
    BROKER_CALL_SECONDS,
    BROKER_CALLS_UNDER_WAY,
    OLDEST_CALL_SECONDS,
    CALLS_DEFERRED,
    CIRCUIT_OPEN,
    CIRCUIT_OPENINGS,
)
