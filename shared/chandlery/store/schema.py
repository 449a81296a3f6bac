"""The tables. One per kind with the common metadata, and those that make the system run: see each one's docstring.

What is looked up has a real column with an index; everything else of an object stays JSON.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from chandlery.model.objects import kinds
from chandlery.model.objects.kinds import KINDS, Kind

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
METADATA = MetaData(naming_convention=NAMING)

BIG = BigInteger().with_variant(Integer, "sqlite")
NAME = String(collation="C").with_variant(String(), "sqlite")
"""Compared byte by byte, whatever the language of the database: lists are in Kubernetes' order."""
SEARCHABLE_JSON = JSON().with_variant(JSONB, "postgresql")

_BROKER = {"broker_name": ("spec.clusterServiceBrokerName", "spec.serviceBrokerName")}
_OFFERING = {"external_name": ("spec.externalName",), "external_id": ("spec.externalID",), **_BROKER}
_PLAN = {**_OFFERING, "class_name": ("spec.clusterServiceClassRef.name", "spec.serviceClassRef.name")}

LOOKUPS: dict[str, dict[str, tuple[str, ...]]] = {
    kinds.CLUSTER_SERVICE_CLASS.kind: _OFFERING,
    kinds.SERVICE_CLASS.kind: _OFFERING,
    kinds.CLUSTER_SERVICE_PLAN.kind: _PLAN,
    kinds.SERVICE_PLAN.kind: _PLAN,
    kinds.SERVICE_INSTANCE.kind: {
        "external_id": ("spec.externalID",),
        "class_ref": ("spec.clusterServiceClassRef.name", "spec.serviceClassRef.name"),
        "plan_ref": ("spec.clusterServicePlanRef.name", "spec.servicePlanRef.name"),
    },
    kinds.SERVICE_BINDING.kind: {"external_id": ("spec.externalID",), "instance_name": ("spec.instanceRef.name",)},
    kinds.EVENT.kind: {"involved_uid": ("involvedObject.uid",), "involved_name": ("involvedObject.name",)},
}
"""Kind -> column -> the fields it is taken from; the first that has a value counts."""


def _object_table(kind: Kind) -> Table:
    lookups = [Column(name, String, nullable=False, server_default="") for name in LOOKUPS.get(kind.kind, {})]
    table = Table(
        kind.plural,
        METADATA,
        Column("uid", String(36), primary_key=True),
        Column("namespace", NAME, nullable=False, server_default=""),
        Column("name", NAME, nullable=False),
        Column("generate_name", Text),
        Column("resource_version", BIG, nullable=False),
        Column("generation", Integer, nullable=False, server_default="1"),
        Column("created_at", DateTime(timezone=True), nullable=False),
        Column("deleted_at", DateTime(timezone=True)),
        Column("labels", SEARCHABLE_JSON),
        Column("annotations", JSON),
        Column("finalizers", JSON),
        Column("owner_references", JSON),
        Column("managed_fields", Text),
        Column("spec", JSON, nullable=False),
        Column("status", JSON),
        *lookups,
        UniqueConstraint("namespace", "name"),
    )
    for column in lookups:
        if column.name not in _BY_SEVERAL:
            Index(None, table.c[column.name])
    if kind.kind in _LABELLED:
        # With its list of what is to be sorted in, one write in thousands would wait for all of that.
        labels = Index(
            None,
            table.c.labels,
            postgresql_using="gin",
            postgresql_ops={"labels": "jsonb_path_ops"},
            postgresql_with={"fastupdate": "off"},
        )
        labels.ddl_if(dialect="postgresql")
    return table


_BY_SEVERAL = frozenset({"involved_name"})
"""Columns whose index has others behind them."""
_LABELLED = frozenset(kind.kind for kind in (kinds.SERVICE_INSTANCE, kinds.SERVICE_BINDING, kinds.SECRET))
"""Kinds of which there may be a million, so that who selects by a label finds them by an index. PostgreSQL alone."""
OBJECTS: dict[str, Table] = {kind.kind: _object_table(kind) for kind in KINDS.values()}
_E = OBJECTS[kinds.EVENT.kind].c
Index("ix_events_created_at", _E.created_at)
Index(None, _E.involved_name, _E.namespace, _E.involved_uid)

WORK_QUEUE = Table(
    "work_queue",
    METADATA,
    Column("uid", String(36), primary_key=True),
    Column("kind", String, nullable=False),
    Column("lane", String, nullable=False),
    Column("due_at", DateTime(timezone=True)),
    Column("enqueue_after", DateTime(timezone=True)),
    Column("attempt", Integer, nullable=False, server_default="0"),
    Column("revision", Integer, nullable=False, server_default="0"),
    Column("waiting_for", String),
    Column("lease_owner", String),
    Column("lease_until", DateTime(timezone=True)),
    Column("fence", Integer, nullable=False, server_default="0"),
    Column("sealed", Text),
    Column("memory", JSON, nullable=False, server_default="{}"),
    Column("turn_at", DateTime(timezone=True)),
    Column("desired_at", DateTime(timezone=True)),
    Column("ready", String),
    Column("expires_at", DateTime(timezone=True)),
    Column("open_operations", JSON(none_as_null=True)),
    Column("traceparent", String(55)),
    Column("last_traceparent", String(55)),
)
"""One small row per object that a worker looks after.

`sealed` is what a worker has to find again and nobody else may read, `memory` are its plain notes. `revision` counts
how often the desired state has changed. `turn_at` is the object's turn at a service broker with a rate limit.
`traceparent` is the span that made it due, `last_traceparent` the round before; see `work_claims`.

What metrics tell of objects stands here, where it can be counted: `desired_at` is the moment of the write whose desired
state is not reached yet, `ready` the status of the condition Ready, `expires_at` the end of a binding's credentials.
`open_operations` are those of the history that have not ended; not among the notes, whose keys an older release knows.
"""
Index("ix_work_queue_enqueue_after", WORK_QUEUE.c.enqueue_after)
Index(
    "ix_work_queue_waiting_for",
    WORK_QUEUE.c.waiting_for,
    postgresql_where=text("waiting_for IS NOT NULL"),
    sqlite_where=text("waiting_for IS NOT NULL"),
)
Index("ix_work_queue_lane", WORK_QUEUE.c.kind, WORK_QUEUE.c.lane, WORK_QUEUE.c.ready)
Index(
    "ix_work_queue_expires_at",
    WORK_QUEUE.c.expires_at,
    postgresql_where=text("expires_at IS NOT NULL"),
    sqlite_where=text("expires_at IS NOT NULL"),
)

INTERESTS = Table(
    "interests", METADATA, Column("key", String, primary_key=True), Column("uid", String(36), primary_key=True)
)
"""What objects at rest want to be woken by, such as a Secret whose changes they follow."""
Index("ix_interests_uid", INTERESTS.c.uid)

LATE_WAKES = Table(
    "late_wakes",
    METADATA,
    Column("id", BIG, primary_key=True, autoincrement=True),
    Column("uid", String(36), nullable=False),
)
"""Whom a waker could not wake at once, because somebody held their row of work at that moment; see `wakes`."""

EXTERNAL_IDS = Table(
    "external_ids",
    METADATA,
    Column("lane", String, primary_key=True),
    Column("kind", String, primary_key=True),
    Column("external_id", String, primary_key=True),
    Column("uid", String(36), nullable=False),
)
"""Which object goes by which id at which service broker: the first that has it there keeps it; see `external_ids`."""
Index("ix_external_ids_uid", EXTERNAL_IDS.c.uid)

OWNER_LINKS = Table(
    "owner_links",
    METADATA,
    Column("owner_uid", String, primary_key=True),
    Column("uid", String(36), primary_key=True),
    Column("kind", String, nullable=False),
    Column("owner_kind", String, nullable=False),
    Column("is_blocking", Boolean, nullable=False),
)
"""The owner references of all objects, to be found from the owner's end, too; see `owner_links`."""
Index("ix_owner_links_uid", OWNER_LINKS.c.uid)

GARBAGE = Table(
    "garbage",
    METADATA,
    Column("uid", String(36), primary_key=True),
    Column("kind", String, nullable=False),
    Column("due_at", DateTime(timezone=True), nullable=False),
    Column("marks", Integer, nullable=False, server_default="0"),
)
"""What the garbage collector is to look at: objects that may have lost their owners, owners that wait for others."""
Index("ix_garbage_due_at", GARBAGE.c.due_at)

CHANGES = Table(
    "changes",
    METADATA,
    Column("position", BIG, primary_key=True, autoincrement=False),
    Column("kind", String, nullable=False),
    Column("namespace", NAME, nullable=False),
    Column("name", NAME, nullable=False),
    Column("verb", String(8), nullable=False),
    Column("object", JSON, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("previous", BIG),
)
"""The append-only log behind `watch`. A position is also the object's resourceVersion, `previous` the one before."""

OUTBOX = Table(
    "outbox",
    METADATA,
    Column("id", BIG, primary_key=True, autoincrement=True),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("message", Text, nullable=False),
)
"""Messages committed with the state they speak of; gone once the bus has confirmed them."""

LEASES = Table(
    "leases",
    METADATA,
    Column("name", String, primary_key=True),
    Column("owner", String, nullable=False),
    Column("until", DateTime(timezone=True), nullable=False),
)
"""Who may do what only one process should do, such as the sweep."""

CIRCUITS = Table(
    "circuits",
    METADATA,
    Column("lane", String, primary_key=True),
    Column("owner", String, primary_key=True),
    Column("opened_at", DateTime(timezone=True), nullable=False),
    Column("retry_at", DateTime(timezone=True), nullable=False),
    Column("message", Text, nullable=False),
)
"""Circuits of service brokers that are open in some process, so that others can tell; see `retry/circuit.py`."""

RATE_LIMITS = Table(
    "rate_limits",
    METADATA,
    Column("lane", String, primary_key=True),
    Column("full_at", DateTime(timezone=True), nullable=False),
)
"""How far the calls of each service broker that has a rate limit are planned; see `retry/rate_limit.py`."""

DATA_KEYS = Table(
    "data_keys",
    METADATA,
    Column("id", String, primary_key=True),
    Column("purpose", String, nullable=False),
    Column("provider", String, nullable=False),
    Column("kek", Text, nullable=False),
    Column("wrapped", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("closed_at", DateTime(timezone=True)),
    Column("writes", BIG, nullable=False, server_default="0"),
)
"""The keys that seal, each wrapped with a key-encryption key that is not in the database, and the root secret.

`writes` is how many texts processes have reserved to seal with it; nothing new is sealed with one that is closed.
"""
AUDIT_EVENTS = Table(
    "audit_events",
    METADATA,
    Column("name", NAME, primary_key=True),
    Column("username", String, nullable=False),
    Column("verb", String, nullable=False),
    Column("resource", String, nullable=False),
    Column("namespace", String, nullable=False),
    Column("object_name", String, nullable=False),
    Column("object_uid", String, nullable=False),
    Column("code", Integer, nullable=False),
    Column("event", Text, nullable=False),
)
"""The audit log. Rows are added, and go when they are old. A name tells when, so that it sorts by time.

Each column has an index in which equal values stand in the order of time; see `audit_store`.
"""
for _column in ("username", "verb", "resource", "namespace", "object_name", "object_uid", "code"):
    Index(f"ix_audit_events_{_column}", AUDIT_EVENTS.c[_column], AUDIT_EVENTS.c.name)

AUDIT_SUBJECTS = Table(
    "audit_subjects",
    METADATA,
    Column("uid", String, primary_key=True),
    Column("event_name", NAME, primary_key=True),
)
"""Which events are about an object beside the one that they name: of a Secret its owners, of a list all it shows."""
Index("ix_audit_subjects_event_name", AUDIT_SUBJECTS.c.event_name)

OPERATIONS = Table(
    "operations",
    METADATA,
    Column("name", NAME, primary_key=True),
    Column("kind", String, nullable=False),
    Column("namespace", NAME, nullable=False),
    Column("object_name", NAME, nullable=False),
    Column("object_uid", String(36), nullable=False),
    Column("instance_name", NAME, nullable=False),
    Column("operation", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("requested_by", String, nullable=False),
    Column("broker", String, nullable=False),
    Column("external_id", String, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("outcome", String, nullable=False),
    Column("broker_status", Integer),
    Column("message", Text),
    Column("failure_status", Integer),
    Column("failure", Text),
    Column("trace_id", String(32), nullable=False),
    Column("started_at", DateTime(timezone=True), nullable=False),
    Column("ended_at", DateTime(timezone=True)),
)
"""What was done at service brokers about instances and bindings: the operation history.

A name tells when the operation began, so that it sorts by time. `failure` is what the last try that failed was
answered. Both texts are sealed where parameters are; see `operation_store`.
"""
for _columns in (("namespace",), ("namespace", "object_name"), ("object_uid",)):
    Index(None, *(OPERATIONS.c[_column] for _column in _columns), OPERATIONS.c.name)

ACCOUNT_TOKENS = Table(
    "account_tokens",
    METADATA,
    Column("id", String(16), primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("account_uid", String(36), nullable=False),
    Column("namespace", NAME, nullable=False),
    Column("account", NAME, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("used_at", DateTime(timezone=True)),
)
"""Tokens of service accounts, as digests; see `account_tokens`."""
Index("ix_account_tokens_account_uid", ACCOUNT_TOKENS.c.account_uid)
Index("ix_account_tokens_expires_at", ACCOUNT_TOKENS.c.expires_at)

MARKS = Table("marks", METADATA, Column("name", String, primary_key=True), Column("value", String, nullable=False))
"""A few facts about the whole: the transaction counter (SQLite), how far the change log was trimmed, the cluster id,
how far old checksums were looked for."""
