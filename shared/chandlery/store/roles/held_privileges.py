"""What the login that asks may do with our tables, and how that compares to the duties of a service.

Comes in: a connection. Goes out: the rights that count, by whatever way they were come by: grants to the role or to
everybody, membership, ownership.
Called by: `chandlery doctor`.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from chandlery.store.database_errors import explained
from chandlery.store.revisions import place_of
from chandlery.store.roles.grants import ROLES, Privilege, Role, duties, numbered, privileges, role_name

_LOGIN: Final = text(
    """
    SELECT current_user::text AS name, rolsuper AS is_superuser, rolcreaterole OR rolcreatedb AS makes_others,
        has_schema_privilege(current_schema(), 'CREATE') AS makes_tables,
        (SELECT bool_and(pg_has_role(t.relowner, 'USAGE')) FROM pg_class AS t
            WHERE t.relnamespace = current_schema()::regnamespace AND t.relkind = 'r' AND t.relname = ANY(:tables))
            AS owns_tables
    FROM pg_roles WHERE rolname = current_user
    """
)
_SERVICES: Final = text(
    "SELECT rolname, pg_has_role(oid, 'USAGE') AS is_member FROM pg_roles WHERE rolname = ANY(:names)"
)
_HELD: Final = text(
    """
    SELECT t.relname, r.name, '' AS column
    FROM pg_class AS t, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS r (name)
    WHERE t.relnamespace = current_schema()::regnamespace AND t.relkind = 'r' AND t.relname = ANY(:tables)
        AND has_table_privilege(t.oid, r.name)
    UNION ALL
    SELECT t.relname, r.name, c.attname
    FROM pg_class AS t, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE']) AS r (name), pg_attribute AS c
    WHERE t.relnamespace = current_schema()::regnamespace AND t.relkind = 'r' AND t.relname = ANY(:tables)
        AND c.attrelid = t.oid AND c.attnum > 0 AND NOT c.attisdropped
        AND NOT has_table_privilege(t.oid, r.name) AND has_column_privilege(t.oid, c.attnum, r.name)
    """
)
_SEQUENCES: Final = text(
    "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind = 'S' "
    "AND relname = ANY(:names) AND NOT has_sequence_privilege(oid, 'USAGE')"
)


@dataclass(frozen=True, kw_only=True)
class HeldPrivileges:
    """What one login may do."""

    login: str
    is_superuser: bool = False
    makes_others: bool = False
    """Whether it may make roles or databases."""
    makes_tables: bool = False
    owns_tables: bool = False
    roles: Collection[Role] = ()
    """Roles of services that are there, with that prefix."""
    member_of: Collection[Role] = ()
    """Those of them that it is, or is a member of."""
    held: frozenset[Privilege] = frozenset()
    """Without the name of the role."""
    closed_sequences: Sequence[str] = ()
    """Sequences that number rows, and that it may not use."""

    def missing(self, role: Role, *, prefix: str) -> Sequence[Privilege]:
        """What a service needs and this login may not do."""
        whole = {(each.table, each.right) for each in self.held if not each.column}
        return sorted(
            each
            for each in _wanted(prefix, role, writes_status=False)
            if each not in self.held and (each.table, each.right) not in whole
        )

    def surplus(self, role: Role, *, prefix: str) -> Sequence[Privilege]:
        """What this login may do and the service has no need of. A status that the gateway may write is none of it."""
        allowed = _wanted(prefix, role, writes_status=True)
        whole = {(each.table, each.right) for each in allowed if not each.column}
        return sorted(each for each in self.held - allowed if (each.table, each.right) not in whole)

    def lacks_sequences(self, role: Role) -> Sequence[str]:
        """Sequences that the service needs and this login may not use."""
        needed = {
            f"{table}_{column}_seq" for table, column in numbered().items() if duties()[table][role].inserts is None
        }
        return sorted(needed & set(self.closed_sequences))


async def held_privileges(engine: AsyncEngine, *, prefix: str) -> HeldPrivileges:
    """Ask PostgreSQL. Raises Unavailable; Refused if waiting does not help."""
    tables = sorted(duties())
    names = {role_name(prefix, role): role for role in ROLES}
    sequences = [f"{table}_{column}_seq" for table, column in numbered().items()]
    try:
        async with engine.connect() as connection:
            login = (await connection.execute(_LOGIN, {"tables": tables})).mappings().one()
            services = (await connection.execute(_SERVICES, {"names": list(names)})).all()
            held = (await connection.execute(_HELD, {"tables": tables})).all()
            closed = (await connection.execute(_SEQUENCES, {"names": sequences})).scalars().all()
    except (DBAPIError, OSError) as error:
        raise explained(error, place=place_of(engine)) or error from error
    return HeldPrivileges(
        login=login["name"],
        is_superuser=login["is_superuser"],
        makes_others=login["makes_others"],
        makes_tables=login["makes_tables"],
        owns_tables=bool(login["owns_tables"]),
        roles=[names[row.rolname] for row in services],
        member_of=[names[row.rolname] for row in services if row.is_member],
        held=frozenset(Privilege("", table, right, column) for table, right, column in held),
        closed_sequences=list(closed),
    )


def _wanted(prefix: str, role: Role, *, writes_status: bool) -> frozenset[Privilege]:
    name = role_name(prefix, role)
    return frozenset(
        Privilege("", each.table, each.right, each.column)
        for each in privileges(prefix, writes_status=writes_status)
        if each.role == name
    )
