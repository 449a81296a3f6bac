"""Metrics of the database, and of the keys that seal what is in it."""

from typing import Final

from chandlery.telemetry.metric import SHORT_SECONDS, Counter, Gauge, Histogram

TRANSACTIONS: Final = Counter(
    name="chandlery_database_transactions_total",
    labels=("outcome",),
    meaning="Transactions: committed; rolled back for what they were begun for (a refusal, a dry run); repeated, as "
    "they had lost a race or their connection, or lacked a data key; failed, as the database or a key was not to be "
    "had, or they were repeated in vain.",
    question="Does the database fail us?",
)
TRANSACTION_SECONDS: Final = Histogram(
    name="chandlery_database_transaction_duration_seconds",
    meaning="Seconds of a transaction, with its wait for a connection.",
    question="Is the database slow?",
    bounds=SHORT_SECONDS,
)
CONNECTIONS: Final = Gauge(
    name="chandlery_database_connections",
    labels=("state",),
    meaning="Connections of this process's pool that are in use, and that are idle.",
    question="Does everybody wait for a connection?",
)
CONNECTIONS_LIMIT: Final = Gauge(
    name="chandlery_database_connections_limit",
    meaning="Connections that this process's pool has at most.",
    question="How far is the pool from its limit?",
)
DATABASE_BYTES: Final = Gauge(
    name="chandlery_database_size_bytes",
    meaning="Size of the database, looked up by one process for all.",
    question="Does the database grow?",
)
DISK_FREE_BYTES: Final = Gauge(
    name="chandlery_disk_free_bytes",
    labels=("folder",),
    meaning="Free bytes where this process writes files: its SQLite database, its audit log.",
    question="Will the disk be full?",
)
DISK_BYTES: Final = Gauge(
    name="chandlery_disk_size_bytes",
    labels=("folder",),
    meaning="Size of the file system where this process writes files.",
    question="How much of the disk is left, in parts of the whole?",
)
KEY_USES: Final = Counter(
    name="chandlery_key_uses_total",
    labels=("provider", "operation", "outcome"),
    meaning="Data keys that a provider of key-encryption keys was asked to wrap or unwrap: done, or failed.",
    question="Does the key provider answer?",
)
SEALED_TEXTS: Final = Counter(
    name="chandlery_sealed_texts_total",
    labels=("operation",),
    meaning="Texts that were encrypted and decrypted with a data key.",
    question="How much are the keys used?",
)
UNREADABLE_TEXTS: Final = Counter(
    name="chandlery_unreadable_texts_total",
    labels=("reason",),
    meaning="Stored texts that could not be decrypted: key missing, changed, or old form.",
    question="Is a key missing?",
)
DATA_KEYS: Final = Gauge(
    name="chandlery_data_keys",
    labels=("provider",),
    meaning="Data keys that this process has in memory, by provider.",
    question="Can this process read what is stored?",
)
EVERY: Final = (
    TRANSACTIONS,
    TRANSACTION_SECONDS,
    CONNECTIONS,
    CONNECTIONS_LIMIT,
    DATABASE_BYTES,
    DISK_FREE_BYTES,
    DISK_BYTES,
    KEY_USES,
    SEALED_TEXTS,
    UNREADABLE_TEXTS,
    DATA_KEYS,
)
