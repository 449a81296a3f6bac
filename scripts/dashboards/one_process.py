# ruff: noqa: E501 - queries and questions stand whole
"""One process: is it well, what does it do, what does it need."""

from typing import Final

from dashboards import limits
from dashboards.parts import (
    BYTES,
    COUNT,
    ITS_NAMESPACE,
    MOMENT,
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
    Variable,
    rates,
    values,
)
from dashboards.queries import RATE, quantile

_THIS: Final = 'instance="$instance"'
_OF: Final = f"{{{_THIS}}}"

_NOW: Final = Row(
    title="How is $instance?",
    panels=(
        Number(
            title="Checks that fail",
            asks="Is it ready? The table beside tells which check is not fine.",
            expr=f"count(chandlery_ready{_OF} == 0)",
            steps=limits.ANY,
        ),
        Number(
            title="Connected to the bus",
            asks="Is RabbitMQ there, for this process?",
            expr=f"min(chandlery_bus_connected{_OF})",
            steps=limits.YES,
            none="-",
        ),
        Number(
            title="Event loop late",
            asks="Does something hold the event loop? 99 in a hundred turns of a timer are less late.",
            expr=quantile(0.99, "chandlery_event_loop_delay_seconds", "", where=_OF, over="5m"),
            unit=SECONDS,
            steps=limits.LATE_LOOP,
            none="-",
        ),
        Number(
            title="Connections to the database",
            asks="Does everybody wait for a connection? The part of its pool that is in use.",
            expr=f'sum(chandlery_database_connections{{{_THIS}, state="in use"}}) / sum(chandlery_database_connections_limit{_OF})',
            unit=SHARE,
            steps=limits.FULL_POOL,
            none="-",
        ),
        Number(
            title="Work in hand",
            asks="Is it busy? Objects that it works on.",
            expr=f"sum(chandlery_work_in_hand{_OF})",
            none="-",
        ),
        Number(
            title="Memory",
            asks="How much memory does it have?",
            expr=f"max(process_resident_memory_bytes{_OF})",
            unit=BYTES,
            none="-",
        ),
        Number(
            title="Started",
            asks="When did it start? Again and again means that it is ended: kubectl describe pod tells why.",
            expr=f"1000 * max(process_start_time_seconds{_OF})",
            unit=MOMENT,
            none="-",
        ),
        Number(
            title="Certificate ends",
            asks="Which certificate has to be renewed? The first of those that it shows.",
            expr=f"1000 * min(chandlery_certificate_expiry_timestamp_seconds{_OF})",
            unit=MOMENT,
            none="none",
        ),
        Table(
            title="Checks of /readyz",
            asks="Why is this process not ready? Ready is 0 for what it cannot do without, missing 1 for what it works without.",
            labels={"check": "check"},
            cells=(
                Cell(title="ready", expr=f"min by (check) (chandlery_ready{_OF})", steps=limits.YES),
                Cell(title="missing", expr=f"max by (check) (chandlery_degraded{_OF})", steps=Steps(1, 2)),
            ),
            worst="ready",
            width=8,
        ),
        Lines(
            title="Event loop late, 99 in a hundred less",
            asks="Does something hold the event loop, and since when? Nothing of ours takes more than 50 ms at a stretch.",
            exprs={
                "99 %": quantile(0.99, "chandlery_event_loop_delay_seconds", "", where=_OF),
                "half": quantile(0.5, "chandlery_event_loop_delay_seconds", "", where=_OF),
            },
            unit=SECONDS,
            steps=limits.LATE_LOOP,
        ),
        rates(
            "Log lines by level",
            "Does it complain more than usual?",
            of=f"chandlery_log_lines_total{_OF}",
            by="level",
            is_stacked=True,
        ),
    ),
)
_DOES: Final = Row(
    title="What does it do?",
    panels=(
        rates(
            "API requests by route",
            "Which requests does this gateway serve?",
            of=f"chandlery_api_requests_total{_OF}",
            by="route, verb",
            legend="{{verb}} {{route}}",
            is_stacked=True,
        ),
        Lines(
            title="API requests, 99 in a hundred take less",
            asks="Which requests are slow at this gateway?",
            exprs={
                "{{verb}} {{route}}": quantile(0.99, "chandlery_api_request_duration_seconds", "route, verb", where=_OF)
            },
            unit=SECONDS,
            steps=limits.SLOW_REQUESTS,
        ),
        rates(
            "Rounds",
            "What does this worker do, and what comes of it?",
            of=f"chandlery_rounds_total{_OF}",
            by="kind, action, outcome",
            is_stacked=True,
        ),
        Lines(
            title="Rounds, nine in ten take less",
            asks="Are rounds slow? A round has the call to the service broker in it.",
            exprs={"{{kind}}": quantile(0.9, "chandlery_round_duration_seconds", "kind", where=_OF)},
            unit=SECONDS,
        ),
        values(
            "Broker calls under way",
            "Which service broker does it wait for?",
            of=f"chandlery_broker_calls_under_way{_OF}",
            by="broker",
            how="sum",
            is_stacked=True,
        ),
        rates(
            "Messages handled",
            "Do handlers fail?",
            of=f"chandlery_messages_handled_total{_OF}",
            by="type, kind, outcome",
            is_stacked=True,
        ),
        rates(
            "Events sent to watches",
            "How much do watches cost this gateway?",
            of=f"chandlery_watch_events_total{_OF}",
            by="route",
            is_stacked=True,
        ),
        Lines(
            title="Watches behind",
            asks="Does this gateway tell of changes late, or does its watch hub stand still?",
            exprs={
                "behind": f"max(chandlery_change_log_lag_seconds{_OF})",
                "since it last read": f"max(chandlery_watch_hub_turn_age_seconds{_OF})",
            },
            unit=SECONDS,
            steps=limits.WATCHES_BEHIND,
        ),
        rates(
            "Decisions of the authorizer",
            "Are users refused more than usual?",
            of=f"chandlery_authorization_decisions_total{_OF}",
            by="decision",
        ),
        rates(
            "Reviews by the cluster",
            "How much does the gateway ask of the cluster, and does it get answers?",
            of=f"chandlery_cluster_reviews_total{_OF}",
            by="outcome",
        ),
    ),
)
_NEEDS: Final = Row(
    title="What does it need?",
    panels=(
        Lines(
            title="Processor",
            asks="How much of a processor does it use? Near its limit it is throttled, and late in everything.",
            exprs={"processors": f"sum(rate(process_cpu_seconds_total{_OF}{RATE}))"},
        ),
        Lines(
            title="Memory",
            asks="Does its memory grow?",
            exprs={"resident": f"max(process_resident_memory_bytes{_OF})"},
            unit=BYTES,
        ),
        Lines(
            title="Open files",
            asks="Does it come near the limit of open files?",
            exprs={
                "open": f"max(process_open_fds{_OF})",
                "limit": f"max(process_max_fds{_OF})",
            },
        ),
        Lines(
            title="Connections to the database",
            asks="How far is the pool from its limit?",
            exprs={
                "{{state}}": f"sum by (state) (chandlery_database_connections{_OF})",
                "limit": f"sum(chandlery_database_connections_limit{_OF})",
            },
        ),
        Lines(
            title="Transactions, 99 in a hundred take less",
            asks="Is the database slow, for this process?",
            exprs={
                "99 %": quantile(0.99, "chandlery_database_transaction_duration_seconds", "", where=_OF),
                "half": quantile(0.5, "chandlery_database_transaction_duration_seconds", "", where=_OF),
            },
            unit=SECONDS,
            steps=limits.SLOW_TRANSACTIONS,
        ),
        values(
            "Data keys in memory",
            "Can this process read what is stored?",
            of=f"chandlery_data_keys{_OF}",
            by="provider",
            how="sum",
            unit=COUNT,
        ),
    ),
)
DASHBOARD: Final = Dashboard(
    uid=PROCESS,
    title="Chandlery / Process",
    asks="One process: is it well, what does it do, what does it need?",
    variables=(
        ITS_NAMESPACE,
        Variable(name="service", title="Service", of="chandlery_build_info", label="services"),
        Variable(name="instance", title="Instance", of='chandlery_build_info{services=~"$service"}', has_all=False),
    ),
    rows=(_NOW, _DOES, _NEEDS),
)
