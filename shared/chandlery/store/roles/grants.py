"""Who may do what to each table: one row for each, with a duty for each role. Pure; a table without a row fails a test.

The architecture's rule "who owns what", told to the database: the gateway writes what users say and no status, workers
write a status and no spec, and nobody but the owner of the tables changes the schema.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

from chandlery.model.objects import kinds
from chandlery.store.roles.duties import (
    BODY,
    BORN_WITH,
    MARKS,
    NOTHING,
    OWNS,
    PRUNES,
    QUEUES,
    READS,
    STATUS,
    Duty,
    Right,
)
from chandlery.store.schema import LOOKUPS, METADATA, OBJECTS
from chandlery.store.sealing.spec_sealing import SEALED

Role = Literal["gateway", "provisioner", "binder", "syncer"]
ROLES: Final[tuple[Role, ...]] = ("gateway", "provisioner", "binder", "syncer")
REVISIONS: Final = "alembic_version"
"""Alembic's own table: which revision the schema is at."""

Row = tuple[Duty, Duty, Duty, Duty]
"""In the order of ROLES."""

_LOOKED_UP: Final = frozenset(column for columns in LOOKUPS.values() for column in columns)
_SAID: Final = BODY | MARKS | _LOOKED_UP
_REFERENCES: Final = frozenset(
    {"clusterServiceClassRef", "clusterServicePlanRef", "serviceClassRef", "servicePlanRef", SEALED}
)
"""And what is sealed of a specification, which is another text each time it is written (`spec_sealing`)."""

_SERVES: Final = Duty(inserts=_SAID | BORN_WITH, updates=_SAID, deletes=True)
"""The gateway: all but the status, which a new object has none of yet."""
_CLOSES: Final = replace(_SERVES, updates=_SAID | {STATUS})
"""The same; and the moment at which a namespace begins to go shows in its status, as in Kubernetes."""
_REPORTED: Final = MARKS | {STATUS, "labels"}
_REPORTS: Final = Duty(updates=_REPORTED, deletes=True)
"""A worker on its own kind: the status, and the end."""
_RESOLVES: Final = replace(_REPORTS, updates=_REPORTED | {"class_ref", "plan_ref"}, refers=_REFERENCES)
"""The same, and to which class and plan an instance refers."""
_ENDS: Final = Duty(updates=MARKS | {"annotations", "owner_references", "managed_fields"}, deletes=True)
"""Who takes an object along with another: a namespace, an owner, an instance."""

_ACCESS: Final[Row] = (_SERVES, NOTHING, NOTHING, _ENDS)
"""Who may do what is the gateway's to know; the syncer empties namespaces."""
_GATHERS: Final = replace(_ENDS, refers=frozenset({"rules"}))
"""A cluster role that goes takes its rules from those that gather them (`aggregated_roles`)."""

OBJECT_ROWS: Final[Mapping[str, Row]] = {
    kinds.CLUSTER_SERVICE_BROKER.kind: (_SERVES, READS, READS, _REPORTS),
    kinds.SERVICE_BROKER.kind: (_SERVES, READS, READS, _REPORTS),
    kinds.CLUSTER_SERVICE_CLASS.kind: (_SERVES, READS, READS, OWNS),
    kinds.SERVICE_CLASS.kind: (_SERVES, READS, READS, OWNS),
    kinds.CLUSTER_SERVICE_PLAN.kind: (_SERVES, READS, READS, OWNS),
    kinds.SERVICE_PLAN.kind: (_SERVES, READS, READS, OWNS),
    kinds.SERVICE_INSTANCE.kind: (_SERVES, _RESOLVES, READS, _ENDS),
    kinds.SERVICE_BINDING.kind: (_SERVES, _ENDS, _REPORTS, _ENDS),
    kinds.NAMESPACE.kind: (_CLOSES, READS, READS, OWNS),
    # The syncer keeps copies of brokers' Secrets that are elsewhere, and takes a namespace's along with it.
    kinds.SECRET.kind: (_SERVES, READS, OWNS, OWNS),
    kinds.ROLE.kind: _ACCESS,
    kinds.CLUSTER_ROLE.kind: (_SERVES, NOTHING, NOTHING, _GATHERS),
    kinds.ROLE_BINDING.kind: _ACCESS,
    kinds.CLUSTER_ROLE_BINDING.kind: _ACCESS,
    kinds.SERVICE_ACCOUNT.kind: _ACCESS,
    kinds.EVENT.kind: (OWNS, OWNS, OWNS, OWNS),
}
_EVERYBODY: Final[Row] = (OWNS, OWNS, OWNS, OWNS)
_LOG: Final[Row] = (PRUNES, PRUNES, PRUNES, PRUNES)
_KEEPS: Final = Duty(inserts=None, updates=None)
"""Nobody but the owner of the tables removes a data key: what it seals would be lost."""
_KEYS: Final[Row] = (_KEEPS, _KEEPS, _KEEPS, _KEEPS)
_QUEUE: Final[Row] = (QUEUES, QUEUES, QUEUES, QUEUES)
_FORGETS: Final = Duty(deletes=True)
"""Reads, and takes away what is old."""
_FORSAKES: Final = replace(_FORGETS, updates=frozenset({"outcome", "ended_at"}))
"""The same, and says of an operation whose object it takes away that nobody knows its end."""

TABLE_ROWS: Final[Mapping[str, Row]] = {
    "work_queue": _EVERYBODY,
    "interests": _LOG,
    "late_wakes": _QUEUE,
    "external_ids": _LOG,
    "owner_links": _LOG,
    "garbage": _EVERYBODY,
    "changes": _LOG,
    "outbox": _QUEUE,
    "leases": _EVERYBODY,
    "circuits": _EVERYBODY,
    "rate_limits": (NOTHING, OWNS, OWNS, OWNS),
    "account_tokens": (OWNS, NOTHING, NOTHING, NOTHING),
    "marks": _EVERYBODY,
    "data_keys": _KEYS,
    "audit_events": _LOG,
    "audit_subjects": _LOG,
    "operations": (_FORSAKES, OWNS, OWNS, _FORSAKES),
    REVISIONS: (READS, READS, READS, READS),
}
"""Tables that make the system run: all processes share its upkeep (`engine/upkeep`), and wake each other."""


@dataclass(frozen=True, order=True)
class Privilege:
    """One right of one role to a table, or to one column of it."""

    role: str
    table: str
    right: Right
    column: str = ""


def role_name(prefix: str, role: Role) -> str:
    """What the role is called on the server."""
    return f"{prefix}_{role}"


def duties(*, writes_status: bool = False) -> Mapping[str, Mapping[Role, Duty]]:
    """Each table's name with what each role may do to it. `writes_status` lets the gateway write every status."""
    rows = {**{OBJECTS[kind].name: row for kind, row in OBJECT_ROWS.items()}, **TABLE_ROWS}
    found = {name: dict(zip(ROLES, row, strict=True)) for name, row in rows.items()}
    if writes_status:
        for name in (OBJECTS[kind].name for kind in OBJECT_ROWS):
            if found[name]["gateway"] in (_SERVES, _CLOSES):
                found[name]["gateway"] = OWNS
    return found


def privileges(prefix: str, *, writes_status: bool = False) -> frozenset[Privilege]:
    """All that the roles are to have."""
    return frozenset(
        Privilege(role_name(prefix, role), table, right, column)
        for table, of_roles in duties(writes_status=writes_status).items()
        for role, duty in of_roles.items()
        for right, columns in duty.rights(_columns(table)).items()
        for column in (columns or {""})
    )


def guarded() -> Mapping[str, frozenset[str]]:
    """Tables of which some role may change references alone, with the keys of `spec` that these are."""
    found = {table: [duty.refers for duty in of_roles.values()] for table, of_roles in duties().items()}
    return {table: frozenset().union(*keys) for table, keys in found.items() if any(keys)}


def numbered() -> Mapping[str, str]:
    """Tables whose rows are numbered by a sequence, with the column that has the number."""
    return {
        table.name: column.name
        for table in METADATA.tables.values()
        for column in table.primary_key
        if column.autoincrement is True
    }


def _columns(table: str) -> frozenset[str]:
    return frozenset(column.name for column in METADATA.tables[table].columns) if table != REVISIONS else frozenset()
