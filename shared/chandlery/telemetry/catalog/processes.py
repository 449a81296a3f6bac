"""Metrics of a process as such. prometheus-client adds those of memory, processor time and open files by itself."""

from typing import Final

from chandlery.telemetry.metric import SHORT_SECONDS, Counter, Gauge, Histogram

BUILD_INFO: Final = Gauge(
    name="chandlery_build_info",
    labels=("version", "services"),
    meaning="Always 1; tells the version, and which services run in this process.",
    question="Which versions are at work?",
)
READY: Final = Gauge(
    name="chandlery_ready",
    labels=("check",),
    meaning="0 if a check of /readyz makes the process unready, as it was when it was last made, else 1.",
    question="Why is this process not ready?",
)
DEGRADED: Final = Gauge(
    name="chandlery_degraded",
    labels=("check",),
    meaning="1 if a check of /readyz fails that the process works without, as it was when it was last made, else 0.",
    question="What is missing although this process is ready?",
)
REPLICAS: Final = Gauge(
    name="chandlery_replicas",
    labels=("worker",),
    meaning="Processes of a worker that have told the database so lately, counted by one process for all.",
    question="Are there workers at all?",
)
EVENT_LOOP_DELAY_SECONDS: Final = Histogram(
    name="chandlery_event_loop_delay_seconds",
    meaning="Seconds by which the event loop was late for a timer that fires every half second.",
    question="Does something hold the event loop?",
    bounds=SHORT_SECONDS,
)
CERTIFICATE_EXPIRY: Final = Gauge(
    name="chandlery_certificate_expiry_timestamp_seconds",
    labels=("certificate",),
    meaning="When a certificate that this process shows ends, in Unix time: `gateway` to its clients, "
    "`database-client` and `rabbitmq-client` to these servers.",
    question="Which certificate has to be renewed?",
)
LOG_LINES: Final = Counter(
    name="chandlery_log_lines_total",
    labels=("level",),
    meaning="Lines written to the log, by level; folded ones count each.",
    question="Does a process complain more than usual?",
)
EVERY: Final = (
    BUILD_INFO,
    READY,
    DEGRADED,
    REPLICAS,
    EVENT_LOOP_DELAY_SECONDS,
    CERTIFICATE_EXPIRY,
    LOG_LINES,
)
