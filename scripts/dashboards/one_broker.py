# ruff: noqa: E501 - queries and questions stand whole
"""One service broker: what it answers, what waits for it, what its users get."""

from typing import Final

from dashboards import limits
from dashboards.parts import (
    BROKER,
    ITS_NAMESPACE,
    MOMENT,
    SECONDS,
    SHARE,
    Dashboard,
    Lines,
    Number,
    Row,
    Steps,
    Variable,
    growth,
    rates,
    values,
)
from dashboards.queries import failed_calls, grown, quantile

_THIS: Final = 'broker="$broker"'
_OF: Final = f"{{{_THIS}}}"
_CALLS: Final = "chandlery_broker_call_duration_seconds"
_LATE: Final = f'{_CALLS}_count{{{_THIS}, status="timeout"}}'

_NOW: Final = Row(
    title="How is $broker?",
    panels=(
        Number(
            title="Paused by processes",
            asks="How many processes pause calls to it, because it has failed them too often in a row?",
            expr=f"sum(chandlery_broker_circuit_open{_OF})",
            steps=limits.ANY,
        ),
        Number(
            title="Calls failed",
            asks="Which part of the calls of the last five minutes came to 5xx, to no connection or to no answer in time?",
            expr=failed_calls("broker", where=_THIS, over="5m"),
            unit=SHARE,
            steps=limits.FAILED_CALLS,
            none="no calls",
        ),
        Number(
            title="Not answered in time",
            asks="Does it hang? Calls of the last five minutes that ended by CHANDLERY_OSB_TIMEOUT_SECONDS.",
            expr=f"sum({grown(_LATE, '5m')})",
            steps=Steps(1, 2),
        ),
        Number(
            title="Longest wait",
            asks="Does it hang now? For how long we have waited for the oldest answer that is not there yet.",
            expr=f"max(chandlery_broker_calls_oldest_seconds{_OF})",
            unit=SECONDS,
            steps=limits.UNANSWERED,
        ),
        Number(
            title="Nine in ten calls take less",
            asks="Is it slow?",
            expr=quantile(0.9, _CALLS, "", where=_OF, over="5m"),
            unit=SECONDS,
            steps=limits.SLOW_CALLS,
            none="no calls",
        ),
        Number(
            title="Oldest work due",
            asks="For how long has the oldest of its objects been due that nobody works on?",
            expr=f"max(chandlery_backlog_oldest_seconds{_OF})",
            unit=SECONDS,
            steps=limits.OLD_WORK,
        ),
        Number(
            title="Not Ready",
            asks="How many of its instances and bindings are not Ready?",
            expr=f'sum(max by (kind, ready) (chandlery_objects{{{_THIS}, ready!="True"}}))',
        ),
        Number(
            title="Catalog read",
            asks="When was its catalog last read?",
            expr=f"1000 * max(chandlery_catalog_last_sync_timestamp_seconds{_OF})",
            unit=MOMENT,
            none="never",
        ),
    ),
)
_ANSWERS: Final = Row(
    title="What does it answer?",
    panels=(
        rates(
            "Calls by status",
            "What comes of the calls: which class of status, or no answer at all?",
            of=f"{_CALLS}_count{_OF}",
            by="status",
            is_stacked=True,
        ),
        Lines(
            title="Calls by operation, nine in ten take less",
            asks="Which operation is slow? What takes longer than a few seconds should be asynchronous.",
            exprs={"{{operation}}": quantile(0.9, _CALLS, "operation", where=_OF)},
            unit=SECONDS,
            steps=limits.SLOW_CALLS,
        ),
        Lines(
            title="Calls failed, by operation",
            asks="Which operation fails?",
            exprs={"{{operation}}": failed_calls("operation", where=_THIS)},
            unit=SHARE,
            steps=limits.FAILED_CALLS,
        ),
        values(
            "Calls under way, by process",
            "Does it hang, and for whom? If it hangs for one process alone, look at that process' network.",
            of=f"chandlery_broker_calls_under_way{_OF}",
            by="instance",
            how="sum",
            is_stacked=True,
        ),
        rates(
            "Calls put off",
            "Who holds calls back: the circuit, because it fails, or its rate limit?",
            of=f"chandlery_broker_calls_deferred_total{_OF}",
            by="reason",
            is_stacked=True,
        ),
        growth(
            "Pauses begun in an hour",
            "Does it come and go?",
            of=f"chandlery_broker_circuit_openings_total{_OF}",
            by="instance",
            over="1h",
        ),
    ),
)
_WAITS: Final = Row(
    title="What waits for it?",
    panels=(
        values(
            "Work due",
            "How much waits for it, for which worker?",
            of=f"chandlery_backlog{_OF}",
            by="worker, kind",
            how="max",
            is_stacked=True,
        ),
        values(
            "Oldest work due",
            "How long has the oldest of it waited?",
            of=f"chandlery_backlog_oldest_seconds{_OF}",
            by="worker, kind",
            how="max",
            unit=SECONDS,
            steps=limits.OLD_WORK,
        ),
        Lines(
            title="Time to Ready",
            asks="How long do its users wait for Ready? Half of them less than the lower line, nine in ten less than the upper.",
            exprs={
                "{{kind}}, half": quantile(0.5, "chandlery_time_to_ready_seconds", "kind", where=_OF, over="15m"),
                "{{kind}}, nine in ten": quantile(
                    0.9, "chandlery_time_to_ready_seconds", "kind", where=_OF, over="15m"
                ),
            },
            unit=SECONDS,
            steps=limits.SLOW_READY,
        ),
        values(
            "Objects by Ready",
            "How many of its instances and bindings are Ready, and how many are not?",
            of=f"chandlery_objects{_OF}",
            by="kind, ready",
            how="max",
            is_stacked=True,
        ),
        growth(
            "Leftovers removed",
            "Does it let go of what failed creations may have left?",
            of=f"chandlery_orphan_mitigations_total{_OF}",
            by="kind, outcome",
            over="1h",
        ),
        growth(
            "Credentials renewed in an hour",
            "Are credentials renewed?",
            of=f"chandlery_credential_rotations_total{_OF}",
            by="outcome",
            over="1h",
        ),
    ),
)
_OFFERS: Final = Row(
    title="What does it offer?",
    panels=(
        values(
            "Credentials that expire",
            "Whose credentials will stop working, and nobody renews them?",
            of=f"chandlery_bindings_expiring{_OF}",
            by="within",
            how="max",
            legend="within a {{within}}",
        ),
        growth(
            "Catalogs read in an hour",
            "Can its catalog be read?",
            of=f"chandlery_catalog_syncs_total{_OF}",
            by="outcome",
            over="1h",
        ),
        growth(
            "Offerings changed in an hour",
            "Did an offering change, and when?",
            of=f"chandlery_catalog_changes_total{_OF}",
            by="change",
            over="1h",
        ),
    ),
)
DASHBOARD: Final = Dashboard(
    uid=BROKER,
    title="Chandlery / Service broker",
    asks="One service broker: does it answer, what waits for it, and how long do its users wait?",
    variables=(
        ITS_NAMESPACE,
        Variable(
            name="broker",
            title="Service broker",
            of='{__name__=~"chandlery_objects|chandlery_broker_call_duration_seconds_count|chandlery_broker_calls_under_way"}',
            has_all=False,
        ),
    ),
    rows=(_NOW, _ANSWERS, _WAITS, _OFFERS),
)
