# ruff: noqa: E501 - queries and questions stand whole
"""What lies between the processes: outbox and bus, the database, the keys, the logs of who did what."""

from typing import Final

from dashboards.parts import (
    BYTES,
    MESSAGING,
    PER_SECOND,
    PROCESS,
    SECONDS,
    SHARE,
    Dashboard,
    Lines,
    Number,
    Row,
    Steps,
    Variable,
)
from dashboards.queries import grown, quantile

_RATE: Final = "[$__rate_interval]"
_KEYS_FAILED: Final = 'chandlery_key_uses_total{outcome="failed"}'

_NOW: Final = Row(
    title="Is something stuck?",
    panels=(
        Number(
            title="Oldest message unsent",
            asks="Is the outbox stuck? A message is on the bus milliseconds after its commit.",
            expr="max(chandlery_outbox_oldest_seconds)",
            unit=SECONDS,
            steps=Steps(10, 60),
        ),
        Number(
            title="Not on the bus",
            asks="How many processes are not connected to RabbitMQ? All of them: it is away. One: look at that one.",
            expr="count(min by (instance) (chandlery_bus_connected) == 0)",
            steps=Steps(1, 1),
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
            steps=Steps(0.8, 1),
        ),
        Number(
            title="Texts not decrypted",
            asks="Is a key missing? Stored texts that could not be decrypted in the last ten minutes.",
            expr=f"sum({grown('chandlery_unreadable_texts_total', '10m')})",
            steps=Steps(1, 1),
        ),
        Number(
            title="Key provider failed",
            asks="Does the key provider answer? What it was asked for in the last ten minutes and did not do.",
            expr=f"sum({grown(_KEYS_FAILED, '10m')})",
            steps=Steps(1, 1),
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
            steps=Steps(10, 60),
        ),
        Lines(
            title="Messages given to the bus",
            asks="Does the bus take messages?",
            exprs={"{{type}} {{outcome}}": f"sum by (type, outcome) (rate(chandlery_messages_published_total{_RATE}))"},
            unit=PER_SECOND,
            is_stacked=True,
        ),
        Lines(
            title="Seconds until the bus has them, 99 in a hundred less",
            asks="Is the bus slow?",
            exprs={"99 %": quantile(0.99, "chandlery_publish_duration_seconds", "")},
            unit=SECONDS,
            steps=Steps(0.25, 1),
        ),
        Lines(
            title="Messages handled",
            asks="Do handlers fail, or give messages back?",
            exprs={"{{type}} {{outcome}}": f"sum by (type, outcome) (rate(chandlery_messages_handled_total{_RATE}))"},
            unit=PER_SECOND,
            is_stacked=True,
        ),
        Lines(
            title="Seconds of a handler, nine in ten less",
            asks="What keeps a queue waiting?",
            exprs={"{{type}} {{kind}}": quantile(0.9, "chandlery_message_handle_duration_seconds", "type, kind")},
            unit=SECONDS,
        ),
        Lines(
            title="Dead letters",
            asks="Which kind of message was given up on, and when?",
            exprs={"{{queue}}": "max by (queue) (chandlery_dead_letters)"},
        ),
        Lines(
            title="Connected to the bus",
            asks="Which process is not connected to RabbitMQ, and since when?",
            exprs={"{{instance}}": "min by (instance) (chandlery_bus_connected)"},
            steps=Steps(1, 0.5),
        ),
        Lines(
            title="Connections to the bus lost in an hour",
            asks="Does the connection to RabbitMQ break again and again?",
            exprs={"{{instance}}": f"sum by (instance) ({grown('chandlery_bus_connections_lost_total', '1h')})"},
        ),
        Lines(
            title="Sweeps",
            asks="Does anybody sweep? Without it nothing that was lost is sent again.",
            exprs={"{{outcome}}": f"sum by (outcome) (rate(chandlery_sweeps_total{_RATE}))"},
            unit=PER_SECOND,
        ),
        Lines(
            title="Sent again by the sweep",
            asks="Do commands get lost, or do workers not keep up?",
            exprs={"{{kind}}": f"sum by (kind) (rate(chandlery_swept_objects_total{_RATE}))"},
            unit=PER_SECOND,
            is_stacked=True,
        ),
        Lines(
            title="Leases lost",
            asks="Are processes halted, or is the database slow?",
            exprs={"{{kind}}": f"sum by (kind) (rate(chandlery_leases_lost_total{_RATE}))"},
            unit=PER_SECOND,
        ),
    ),
)
_STORE: Final = Row(
    title="How is the database?",
    panels=(
        Lines(
            title="Transactions by outcome",
            asks="Does the database fail us? Those repeated have lost a race or their connection.",
            exprs={"{{outcome}}": f"sum by (outcome) (rate(chandlery_database_transactions_total{_RATE}))"},
            unit=PER_SECOND,
            is_stacked=True,
        ),
        Lines(
            title="Transactions, 99 in a hundred take less",
            asks="Is the database slow?",
            exprs={"{{instance}}": quantile(0.99, "chandlery_database_transaction_duration_seconds", "instance")},
            unit=SECONDS,
            steps=Steps(0.25, 1),
        ),
        Lines(
            title="Connections in use",
            asks="Which process has no connection left? The part of its pool that is in use.",
            exprs={
                "{{instance}}": 'sum by (instance) (chandlery_database_connections{state="in use"}) / sum by (instance) (chandlery_database_connections_limit)'
            },
            unit=SHARE,
            steps=Steps(0.8, 1),
        ),
        Lines(
            title="Watches behind",
            asks="Do watches tell of changes late? A transaction that stays open holds back all later changes.",
            exprs={
                "{{instance}} behind": "max by (instance) (chandlery_change_log_lag_seconds)",
                "{{instance}} since it last read": "max by (instance) (chandlery_watch_hub_turn_age_seconds)",
            },
            unit=SECONDS,
            steps=Steps(5, 30),
        ),
        Lines(
            title="Size of the database",
            asks="Does the database grow?",
            exprs={"size": "max(chandlery_database_size_bytes)"},
            unit=BYTES,
        ),
        Lines(
            title="Disk left",
            asks="Will the disk be full, and when?",
            exprs={"{{instance}} {{folder}}": "min by (instance, folder) (chandlery_disk_free_bytes)"},
            unit=BYTES,
        ),
    ),
)
_KEYS: Final = Row(
    title="Keys, logins, audit",
    panels=(
        Lines(
            title="Key provider by outcome",
            asks="Does the key provider answer?",
            exprs={
                "{{provider}} {{operation}} {{outcome}}": f"sum by (provider, operation, outcome) (rate(chandlery_key_uses_total{_RATE}))"
            },
            unit=PER_SECOND,
        ),
        Lines(
            title="Texts encrypted and decrypted",
            asks="How much are the keys used?",
            exprs={"{{operation}}": f"sum by (operation) (rate(chandlery_sealed_texts_total{_RATE}))"},
            unit=PER_SECOND,
        ),
        Lines(
            title="Texts not decrypted",
            asks="Is a key missing, or was something changed in the database?",
            exprs={
                "{{instance}} {{reason}}": f"sum by (instance, reason) ({grown('chandlery_unreadable_texts_total', '10m')})"
            },
            steps=Steps(1, 1),
        ),
        Lines(
            title="Credentials not accepted",
            asks="Does somebody guess, or has a token run out?",
            exprs={"{{reason}}": f"sum by (reason) (rate(chandlery_authentication_failures_total{_RATE}))"},
            unit=PER_SECOND,
            steps=Steps(0.5, 1),
        ),
        Lines(
            title="Audit events lost",
            asks="Is the audit log complete?",
            exprs={"{{sink}}": f"sum by (sink) ({grown('chandlery_audit_events_lost_total', '15m')})"},
            steps=Steps(1, 1),
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
    variables=(Variable(name="namespace", title="Namespace", of="chandlery_build_info"),),
    rows=(_NOW, _MESSAGES, _STORE, _KEYS),
)
