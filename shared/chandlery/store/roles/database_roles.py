"""Makes a database role for each service, with the grants of `grants.py`, and keeps them so with each migration.

Comes in: a connection of the tables' owner, in the transaction of the migration.
Goes out: what was done, in sentences without secrets. No role gets a password here.
Called by: `migrate.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from chandlery.model.faults import Refused
from chandlery.store.database_errors import FORBIDDEN, sqlstate
from chandlery.store.roles.grants import ROLES, Privilege, privileges, role_name
from chandlery.store.roles.role_statements import changes, creation, entrance, guards, revocations, sequences

_EXISTING: Final = text("SELECT rolname FROM pg_roles WHERE rolname = ANY(:names)")
_PRIVILEGES: Final = text(
    """
    SELECT r.rolname, t.relname, a.privilege_type, '' AS name
    FROM pg_class AS t, aclexplode(t.relacl) AS a, pg_roles AS r
    WHERE t.relnamespace = current_schema()::regnamespace AND t.relkind = 'r'
      AND r.oid = a.grantee AND r.rolname = ANY(:names)
    UNION ALL
    SELECT r.rolname, t.relname, a.privilege_type, c.attname
    FROM pg_class AS t, pg_attribute AS c, aclexplode(c.attacl) AS a, pg_roles AS r
    WHERE t.relnamespace = current_schema()::regnamespace AND t.relkind = 'r' AND c.attrelid = t.oid
      AND r.oid = a.grantee AND r.rolname = ANY(:names)
    """
)


@dataclass(frozen=True, kw_only=True)
class RolePlan:
    """How the roles are to be."""

    prefix: str
    """What their names begin with, as in `chandlery_gateway`."""
    writes_status: bool = False
    """Whether the gateway writes the status of objects, for clients of the API that do."""
    makes: bool = False
    """Whether roles that are missing are made; otherwise only those that have been given grants are kept in order."""

    @property
    def names(self) -> Sequence[str]:
        """Of all roles."""
        return [role_name(self.prefix, role) for role in ROLES]


def keep_roles(connection: Connection, plan: RolePlan) -> Sequence[str]:
    """Make roles and grants as planned; returns what was done, nothing if nobody has asked for roles here.

    Raises Refused if the login may not do so.
    """
    has = _privileges(connection, plan)
    if not plan.makes and not has:
        return []
    names = {"names": list(plan.names)}
    missing = set(plan.names) - set(connection.execute(_EXISTING, names).scalars())
    if missing and not plan.makes:
        return []
    told = _created(connection, plan, missing)
    done = changes(has, privileges(plan.prefix, writes_status=plan.writes_status))
    opened = [entrance(plan.prefix)] if plan.makes else []
    for statement in (*opened, *sequences(plan.prefix), *guards(), *done):
        connection.exec_driver_sql(statement)
    changed = sorted(name for name in plan.names if any(f'"{name}"' in statement for statement in done))
    if changed:
        told.append(f"the grants of {', '.join(changed)} were brought to what this release needs")
    return told or ["roles and grants are as they should be"]


def roles_sql(plan: RolePlan) -> str:
    """All that `keep_roles` does, whatever there is, for somebody to run by hand as the owner of the tables."""
    creations = [
        f"DO $role$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{name}') THEN {statement}; END IF; "
        "END $role$"
        for name, statement in zip(plan.names, creation(plan.prefix, plan.names), strict=True)
    ]
    wanted = privileges(plan.prefix, writes_status=plan.writes_status)
    statements = (
        *creations,
        entrance(plan.prefix),
        *revocations(plan.prefix),
        *changes((), wanted),
        *sequences(plan.prefix),
        *guards(),
    )
    return "\n".join(("BEGIN;", *(f"{statement};" for statement in statements), "COMMIT;", ""))


def _created(connection: Connection, plan: RolePlan, missing: set[str]) -> list[str]:
    for statement in creation(plan.prefix, missing):
        try:
            connection.exec_driver_sql(statement)
        except DBAPIError as error:
            if sqlstate(error) != FORBIDDEN:
                raise
            raise Refused(
                f"the database has no role {', '.join(sorted(missing))}, and this login may not make roles; use one "
                "that has CREATEROLE, or have an administrator run what `chandlery migrate --roles --sql` prints"
            ) from error
    return [
        f"the role {name} was made; it has no password: give it one (\\password {name} in psql) or a certificate"
        for name in sorted(missing)
    ]


def _privileges(connection: Connection, plan: RolePlan) -> frozenset[Privilege]:
    found = connection.execute(_PRIVILEGES, {"names": list(plan.names)})
    wanted_tables = {each.table for each in privileges(plan.prefix)}
    return frozenset(
        Privilege(role, table, right, column) for role, table, right, column in found if table in wanted_tables
    )
