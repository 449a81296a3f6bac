# ruff: noqa: E501 - queries and questions stand whole
"""The first look: is something wrong, whose is it, what waits, who is there."""

from typing import Final

from dashboards import limits
from dashboards.parts import (
    BROKER,
    BYTES,
    ITS_NAMESPACE,
    MESSAGING,
    OVERVIEW,
    PER_SECOND,
    PROCESS,
    SECONDS,
    SHARE,
    Cell,
    Dashboard,
    Lines,
    Number,
    Row,
    Steps,
    Table,
    rates,
    values,
)
from dashboards.queries import failed_calls, grown, quantile, share

_CALLS: Final = "chandlery_broker_call_duration_seconds"
_HANGS: Final = "max by (broker) (chandlery_broker_calls_oldest_seconds) > 20"

_SILENT: Final = "min by (instance) (up == 0 and on (instance) max_over_time(chandlery_build_info[1h]))"
_KEYLESS: Final = (
    f"{grown('chandlery_unreadable_texts_total', '10m')} > 0 "
    'or chandlery_degraded{check="key-provider"} == 1 or chandlery_ready{check="data-keys"} == 0'
)
_IN_TROUBLE: Final = (
    f"({failed_calls('broker', over='5m')} > 0.25) "
    "or (max by (broker) (chandlery_broker_circuit_open) == 1) "
    "or (max by (broker) (chandlery_backlog_oldest_seconds) > 600) "
    f"or ({_HANGS})"
)
_ERRORS: Final = share(
    'sum (rate(chandlery_api_requests_total{code=~"5.."}[5m]))', "sum (rate(chandlery_api_requests_total[5m]))"
)

_NOW: Final = Row(
    title="Is something wrong?",
    panels=(
        Number(
            title="Alerts to act on now",
            asks="Does an alert fire that somebody has to be woken for? Its section in docs/troubleshooting.md says what to type.",
            expr='count(ALERTS{alertname=~"Chandlery.+", alertstate="firing", severity="page"})',
            steps=limits.ANY,
        ),
        Number(
            title="Brokers in trouble",
            asks="How many service brokers fail a quarter of their calls, hang, are paused, or have work due for ten minutes? The table below names them.",
            expr=f"count({_IN_TROUBLE})",
            steps=limits.ANY,
        ),
        Number(
            title="API requests failed",
            asks="Which part of the API requests has been answered with 5xx in the last five minutes?",
            expr=_ERRORS,
            unit=SHARE,
            steps=Steps(0.001, 0.01),
            none="-",
        ),
        Number(
            title="Oldest work due",
            asks="For how long has the oldest object been due that nobody works on?",
            expr="max(chandlery_backlog_oldest_seconds)",
            unit=SECONDS,
            steps=limits.OLD_WORK,
            link=BROKER,
        ),
        Number(
            title="Oldest message unsent",
            asks="Is the outbox stuck? A message is on the bus milliseconds after its commit.",
            expr="max(chandlery_outbox_oldest_seconds)",
            unit=SECONDS,
            steps=limits.OLD_MESSAGE,
            link=MESSAGING,
        ),
        Number(
            title="Watches behind",
            asks="By how much are watches late to tell of changes, at the gateway that is most behind?",
            expr="max(chandlery_change_log_lag_seconds)",
            unit=SECONDS,
            steps=limits.WATCHES_BEHIND,
            link=MESSAGING,
        ),
        Number(
            title="Processes not ready",
            asks="How many processes say that they are not ready, or do not answer Prometheus?",
            expr=f"count(min by (instance) (chandlery_ready) == 0 or {_SILENT})",
            steps=limits.ANY,
            link=PROCESS,
        ),
        Number(
            title="Keys missing",
            asks="Is a key missing? Processes that cannot have one, and that could not decrypt a stored text in the last ten minutes.",
            expr=f"count(min by (instance) ({_KEYLESS}))",
            steps=limits.ANY,
            link=MESSAGING,
        ),
        Table(
            title="Alerts that fire",
            asks="Which alerts fire, and for what? Each has a section of its name in docs/troubleshooting.md.",
            labels={
                "alertname": "alert",
                "severity": "severity",
                "broker": "broker",
                "worker": "worker",
                "instance": "instance",
            },
            cells=(
                Cell(
                    title="firing",
                    expr='sum by (alertname, severity, broker, worker, instance) (ALERTS{alertname=~"Chandlery.+", alertstate="firing"})',
                ),
            ),
            worst="severity",
            height=5,
        ),
    ),
)
_BROKERS: Final = Row(
    title="Which service broker?",
    panels=(
        Table(
            title="Service brokers",
            asks="Which service broker is slow, fails or hangs, and what waits for it? A click on its name opens its dashboard.",
            labels={"broker": "broker"},
            cells=(
                Cell(title="paused", expr="max by (broker) (chandlery_broker_circuit_open)", steps=limits.ANY),
                Cell(
                    title="waits for",
                    expr="max by (broker) (chandlery_broker_calls_oldest_seconds)",
                    unit=SECONDS,
                    steps=limits.UNANSWERED,
                ),
                Cell(
                    title="calls failed", expr=failed_calls("broker", over="5m"), unit=SHARE, steps=limits.FAILED_CALLS
                ),
                Cell(
                    title="slow calls take",
                    expr=quantile(0.9, _CALLS, "broker", over="5m"),
                    unit=SECONDS,
                    steps=limits.SLOW_CALLS,
                ),
                Cell(title="under way", expr="sum by (broker) (chandlery_broker_calls_under_way)"),
                Cell(
                    title="waiting",
                    expr='sum by (broker) (max by (worker, kind, broker) (chandlery_backlog{broker!=""}))',
                ),
                Cell(
                    title="oldest",
                    expr='max by (broker) (chandlery_backlog_oldest_seconds{broker!=""})',
                    unit=SECONDS,
                    steps=limits.OLD_WORK,
                ),
                Cell(
                    title="not Ready",
                    expr='sum by (broker) (max by (kind, broker, ready) (chandlery_objects{ready!="True"}))',
                ),
            ),
            worst="oldest",
            link=BROKER,
        ),
        Lines(
            title="Broker calls failed",
            asks="Which service broker fails, and since when? 5xx, no connection, no answer in time.",
            exprs={"{{broker}}": failed_calls("broker")},
            unit=SHARE,
            steps=limits.FAILED_CALLS,
        ),
        Lines(
            title="Broker calls, nine in ten take less",
            asks="Which service broker is slow?",
            exprs={"{{broker}}": quantile(0.9, _CALLS, "broker")},
            unit=SECONDS,
            steps=limits.SLOW_CALLS,
        ),
        values(
            "Longest wait for an answer",
            "Which service broker hangs? Its line rises as time goes by, up to CHANDLERY_OSB_TIMEOUT_SECONDS.",
            of="chandlery_broker_calls_oldest_seconds",
            by="broker",
            how="max",
            unit=SECONDS,
            steps=limits.UNANSWERED,
        ),
    ),
)
_WORK: Final = Row(
    title="What waits, and for how long?",
    panels=(
        Lines(
            title="Work due",
            asks="How much waits, for which worker? Objects that are due and that nobody works on.",
            exprs={"{{worker}} {{kind}}": "sum by (worker, kind) (max by (worker, kind, broker) (chandlery_backlog))"},
            is_stacked=True,
        ),
        Lines(
            title="Oldest work due",
            asks="For which service broker has work waited longest?",
            exprs={"{{worker}} {{broker}}": "max by (worker, broker) (chandlery_backlog_oldest_seconds) > 0"},
            unit=SECONDS,
            steps=limits.OLD_WORK,
        ),
        Lines(
            title="Time to Ready, nine in ten take less",
            asks="How long do users wait for Ready, and for which service broker?",
            exprs={"{{kind}} {{broker}}": quantile(0.9, "chandlery_time_to_ready_seconds", "kind, broker", over="15m")},
            unit=SECONDS,
            steps=limits.SLOW_READY,
        ),
        rates(
            "Rounds by outcome",
            "What do the workers do, and what fails?",
            of="chandlery_rounds_total",
            by="kind, outcome",
            is_stacked=True,
        ),
        Lines(
            title="Objects that are not Ready",
            asks="How many instances and bindings of which service broker are not Ready?",
            exprs={
                "{{kind}} {{broker}} {{ready}}": 'max by (kind, broker, ready) (chandlery_objects{ready!="True"})',
            },
            is_stacked=True,
        ),
        rates(
            "Writes by users",
            "What do users change?",
            of="chandlery_writes_total",
            by="kind, verb",
            legend="{{verb}} {{kind}}",
            is_stacked=True,
        ),
    ),
)
_API: Final = Row(
    title="How is the API?",
    panels=(
        rates(
            "Requests by code",
            "How much is asked of the API, and how much of it fails?",
            of="chandlery_api_requests_total",
            by="code",
            is_stacked=True,
        ),
        Lines(
            title="Requests, 99 in a hundred take less",
            asks="Is the API slow, and for which requests?",
            exprs={"{{verb}}": quantile(0.99, "chandlery_api_request_duration_seconds", "verb")},
            unit=SECONDS,
            steps=limits.SLOW_REQUESTS,
        ),
        Lines(
            title="Seats taken",
            asks="Is the gateway busy? The part of its seats that are taken, and who waits or is sent away.",
            exprs={
                "{{class}} taken": "sum by (class) (chandlery_api_seats_taken) / sum by (class) (chandlery_api_seats)",
            },
            unit=SHARE,
            steps=Steps(0.8, 1),
        ),
        Lines(
            title="Requests that wait",
            asks="Do clients queue, and are some sent away with 429?",
            exprs={
                "{{class}} waiting": "sum by (class) (chandlery_api_requests_waiting)",
                "{{class}} sent away each second": "sum by (class) (rate(chandlery_api_requests_refused_total[$__rate_interval]))",
            },
        ),
        Lines(
            title="Seconds in the queue, 99 in a hundred wait less",
            asks="For how long do clients queue?",
            exprs={"{{class}}": quantile(0.99, "chandlery_api_request_wait_seconds", "class")},
            unit=SECONDS,
            steps=Steps(1, 5),
        ),
        values(
            "Watches",
            "How many clients follow changes, and of what?",
            of="chandlery_watches",
            by="route",
            how="sum",
            is_stacked=True,
        ),
    ),
)
_PROCESSES: Final = Row(
    title="Who is there?",
    panels=(
        Table(
            title="Processes",
            asks="Which processes run, of which version, and is one of them unwell? A click opens its dashboard.",
            labels={"instance": "instance", "services": "services", "version": "version"},
            cells=(
                Cell(
                    title="answers",
                    expr="min by (instance, services, version) (up * on (instance) group_right () "
                    "max by (instance, services, version) (last_over_time(chandlery_build_info[10m])))",
                    steps=limits.YES,
                ),
                Cell(title="ready", expr="min by (instance) (chandlery_ready)", steps=limits.YES),
                Cell(title="on the bus", expr="min by (instance) (chandlery_bus_connected)", steps=limits.YES),
                Cell(
                    title="event loop late",
                    expr=quantile(0.99, "chandlery_event_loop_delay_seconds", "instance", over="5m"),
                    unit=SECONDS,
                    steps=limits.LATE_LOOP,
                ),
                Cell(
                    title="memory",
                    expr="max by (instance) (process_resident_memory_bytes and on (instance) chandlery_build_info)",
                    unit=BYTES,
                ),
                Cell(
                    title="warnings a minute",
                    expr='60 * sum by (instance) (rate(chandlery_log_lines_total{level=~"warning|error|critical"}[5m]))',
                    steps=Steps(5, 60),
                ),
            ),
            worst="event loop late",
            link=PROCESS,
        ),
        values(
            "Processes of each worker",
            "Are there workers at all?",
            of="chandlery_replicas",
            by="worker",
            how="max",
            steps=Steps(1, 0.5),
        ),
        values(
            "Work in hand",
            "Are the workers busy?",
            of="chandlery_work_in_hand",
            by="instance",
            how="sum",
            is_stacked=True,
        ),
        Lines(
            title="Warnings and errors in the log",
            asks="Does a process complain more than usual?",
            exprs={
                "{{instance}} {{level}}": 'sum by (instance, level) (rate(chandlery_log_lines_total{level=~"warning|error|critical"}[$__rate_interval]))'
            },
            unit=PER_SECOND,
        ),
    ),
)
DASHBOARD: Final = Dashboard(
    uid=OVERVIEW,
    title="Chandlery / Overview",
    asks="Is something wrong, whose is it, what waits and for how long? What is red comes first.",
    variables=(ITS_NAMESPACE,),
    rows=(_NOW, _BROKERS, _WORK, _API, _PROCESSES),
)
