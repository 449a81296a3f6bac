# ruff: noqa: E501 - queries and questions stand whole
"""What lies between the processes: outbox and bus, the database, the keys, the logs of who did what."""

from typing import Final

from dashboards import limits
from dashboards.parts import (
    BYTES,
    ITS_NAMESPACE,
    MESSAGING,
    PROCESS,
    SECONDS,
    SHARE,
    Dashboard,
    Lines,
    Number,
    Row,
    Steps,
    growth,
    rates,
    values,
)
from dashboards.queries import grown, quantile

_KEYS_FAILED: Final = 'chandlery_key_uses_total{outcome="failed"}'

_NOW: Final = Row(
    title="Is something stuck?",
    panels=(
        Number(
            title="Oldest message unsent",
            asks="Is the outbox stuck? A message is on the bus milliseconds after its commit.",
            expr="max(chandlery_outbox_oldest_seconds)",
            unit=SECONDS,
            steps=limits.OLD_MESSAGE,
        ),
        Number(
            title="Not on the bus",
            asks="How many processes are not connected to RabbitMQ? All of them: it is away. One: look at that one.",
            expr="count(min by (instance) (chandlery_bus_connected) == 0)",
            steps=limits.ANY,
            link=PROCESS,
        ),
        Number(
            title="Dead letters",
            asks="Is there anything for chandlery deadletters?",
            expr="sum(max by (queue) (chandlery_dead_letters))",
            steps=Steps(1, 100),
        ),
        Number(
            title="Transactions failed",
            asks="Which part of the transactions has failed in the last five minutes?",
            expr='sum(rate(chandlery_database_transactions_total{outcome="failed"}[5m])) / sum(rate(chandlery_database_transactions_total[5m]))',
            unit=SHARE,
            steps=Steps(0.01, 0.05),
        ),
        Number(
            title="Fullest pool",
            asks="Does everybody wait for a connection to the database, in some process?",
            expr='max(sum by (instance) (chandlery_database_connections{state="in use"}) / sum by (instance) (chandlery_database_connections_limit))',
            unit=SHARE,
            steps=limits.FULL_POOL,
        ),
        Number(
            title="Texts not decrypted",
            asks="Is a key missing? Stored texts that could not be decrypted in the last ten minutes.",
            expr=f"sum({grown('chandlery_unreadable_texts_total', '10m')})",
            steps=limits.ANY,
        ),
        Number(
            title="Key provider failed",
            asks="Does the key provider answer? What it was asked for in the last ten minutes and did not do.",
            expr=f"sum({grown(_KEYS_FAILED, '10m')})",
            steps=limits.ANY,
        ),
        Number(
            title="Disk left",
            asks="Will the disk be full? The least that is left where a process writes files.",
            expr="min(chandlery_disk_free_bytes / chandlery_disk_size_bytes)",
            unit=SHARE,
            steps=Steps(0.2, 0.1),
            none="no files",
        ),
    ),
)
_MESSAGES: Final = Row(
    title="Do messages arrive?",
    panels=(
        Lines(
            title="Messages in the outbox",
            asks="Does the outbox grow?",
            exprs={"messages": "max(chandlery_outbox_messages)"},
        ),
        Lines(
            title="Oldest message in the outbox",
            asks="Since when is the outbox stuck?",
            exprs={"age": "max(chandlery_outbox_oldest_seconds)"},
            unit=SECONDS,
            steps=limits.OLD_MESSAGE,
        ),
        rates(
            "Messages given to the bus",
            "Does the bus take messages?",
            of="chandlery_messages_published_total",
            by="type, outcome",
            is_stacked=True,
        ),
        Lines(
            title="Seconds until the bus has them, 99 in a hundred less",
            asks="Is the bus slow?",
            exprs={"99 %": quantile(0.99, "chandlery_publish_duration_seconds", "")},
            unit=SECONDS,
            steps=Steps(0.25, 1),
        ),
        rates(
            "Messages handled",
            "Do handlers fail, or give messages back?",
            of="chandlery_messages_handled_total",
            by="type, outcome",
            is_stacked=True,
        ),
        Lines(
            title="Seconds of a handler, nine in ten less",
            asks="What keeps a queue waiting?",
            exprs={"{{type}} {{kind}}": quantile(0.9, "chandlery_message_handle_duration_seconds", "type, kind")},
            unit=SECONDS,
        ),
        values(
            "Dead letters",
            "Which kind of message was given up on, and when?",
            of="chandlery_dead_letters",
            by="queue",
            how="max",
        ),
        values(
            "Connected to the bus",
            "Which process is not connected to RabbitMQ, and since when?",
            of="chandlery_bus_connected",
            by="instance",
            how="min",
            steps=Steps(1, 0.5),
        ),
        growth(
            "Connections to the bus lost in an hour",
            "Does the connection to RabbitMQ break again and again?",
            of="chandlery_bus_connections_lost_total",
            by="instance",
            over="1h",
        ),
        rates(
            "Sweeps",
            "Does anybody sweep? Without it nothing that was lost is sent again.",
            of="chandlery_sweeps_total",
            by="outcome",
        ),
        rates(
            "Sent again by the sweep",
            "Do commands get lost, or do workers not keep up?",
            of="chandlery_swept_objects_total",
            by="kind",
            is_stacked=True,
        ),
        rates(
            "Leases lost", "Are processes halted, or is the database slow?", of="chandlery_leases_lost_total", by="kind"
        ),
    ),
)
_STORE: Final = Row(
    title="How is the database?",
    panels=(
        rates(
            "Transactions by outcome",
            "Does the database fail us? Those repeated have lost a race or their connection.",
            of="chandlery_database_transactions_total",
            by="outcome",
            is_stacked=True,
        ),
        Lines(
            title="Transactions, 99 in a hundred take less",
            asks="Is the database slow?",
            exprs={"{{instance}}": quantile(0.99, "chandlery_database_transaction_duration_seconds", "instance")},
            unit=SECONDS,
            steps=limits.SLOW_TRANSACTIONS,
        ),
        Lines(
            title="Connections in use",
            asks="Which process has no connection left? The part of its pool that is in use.",
            exprs={
                "{{instance}}": 'sum by (instance) (chandlery_database_connections{state="in use"}) / sum by (instance) (chandlery_database_connections_limit)'
            },
            unit=SHARE,
            steps=limits.FULL_POOL,
        ),
        Lines(
            title="Watches behind",
            asks="Do watches tell of changes late? A transaction that stays open holds back all later changes.",
            exprs={
                "{{instance}} behind": "max by (instance) (chandlery_change_log_lag_seconds)",
                "{{instance}} since it last read": "max by (instance) (chandlery_watch_hub_turn_age_seconds)",
            },
            unit=SECONDS,
            steps=limits.WATCHES_BEHIND,
        ),
        Lines(
            title="Size of the database",
            asks="Does the database grow?",
            exprs={"size": "max(chandlery_database_size_bytes)"},
            unit=BYTES,
        ),
        values(
            "Disk left",
            "Will the disk be full, and when?",
            of="chandlery_disk_free_bytes",
            by="instance, folder",
            how="min",
            unit=BYTES,
        ),
    ),
)
_KEYS: Final = Row(
    title="Keys, logins, audit",
    panels=(
        rates(
            "Key provider by outcome",
            "Does the key provider answer?",
            of="chandlery_key_uses_total",
            by="provider, operation, outcome",
        ),
        rates(
            "Texts encrypted and decrypted",
            "How much are the keys used?",
            of="chandlery_sealed_texts_total",
            by="operation",
        ),
        growth(
            "Texts not decrypted",
            "Is a key missing, or was something changed in the database?",
            of="chandlery_unreadable_texts_total",
            by="instance, reason",
            over="10m",
            steps=limits.ANY,
        ),
        rates(
            "Credentials not accepted",
            "Does somebody guess, or has a token run out?",
            of="chandlery_authentication_failures_total",
            by="reason",
            steps=Steps(0.5, 1),
        ),
        growth(
            "Audit events lost",
            "Is the audit log complete?",
            of="chandlery_audit_events_lost_total",
            by="sink",
            over="15m",
            steps=limits.ANY,
        ),
        Lines(
            title="Certificates end in",
            asks="Which certificate has to be renewed?",
            exprs={"{{certificate}}": "min by (certificate) (chandlery_certificate_expiry_timestamp_seconds) - time()"},
            unit=SECONDS,
            steps=Steps(14 * 86_400, 2 * 86_400),
        ),
    ),
)
DASHBOARD: Final = Dashboard(
    uid=MESSAGING,
    title="Chandlery / Messaging and store",
    asks="Do messages arrive, how is the database, are all keys there?",
    variables=(ITS_NAMESPACE,),
    rows=(_NOW, _MESSAGES, _STORE, _KEYS),
)
