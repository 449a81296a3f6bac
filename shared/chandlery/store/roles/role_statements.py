"""The SQL that makes the roles and their grants what `grants.py` says. Pure; `database_roles.py` runs it, or prints it.

Rules: PostgreSQL, "CREATE ROLE", "GRANT", "CREATE TRIGGER". No password is in any of it.
"""

from collections.abc import Collection, Iterable, Sequence
from itertools import groupby
from typing import Final

from chandlery.store.roles.grants import ROLES, Privilege, Role, duties, guarded, numbered, role_name

GUARD: Final = "chandlery_guard_spec"

# Whoever may raise the generation may say what is wanted; others have a right to `spec` for its references alone.
# Texts are compared first; JSON that was only written in another way is the same. Its NULs no jsonb can hold.
_GUARD: Final = f"""
CREATE OR REPLACE FUNCTION {GUARD}() RETURNS trigger LANGUAGE plpgsql AS $guard$
BEGIN
  IF has_column_privilege(TG_RELID, 'generation', 'UPDATE') THEN
    RETURN NEW;
  END IF;
  IF EXISTS (
    SELECT FROM json_each(OLD.spec) AS had FULL JOIN json_each(NEW.spec) AS has USING (key)
    WHERE key <> ALL (TG_ARGV) AND CASE
      WHEN had.value IS NULL OR has.value IS NULL THEN true
      WHEN had.value::text = has.value::text THEN false
      ELSE replace(had.value::text, '\\u0000', '\\ufffd')::jsonb
        <> replace(has.value::text, '\\u0000', '\\ufffd')::jsonb
    END
  ) THEN
    RAISE insufficient_privilege USING MESSAGE = format('permission denied for the spec in table %s', TG_TABLE_NAME);
  END IF;
  RETURN NEW;
END
$guard$""".strip()


def creation(prefix: str, missing: Collection[str]) -> Sequence[str]:
    """Makes the roles that are missing. They may log in, and have no password."""
    names = [role_name(prefix, role) for role in ROLES]
    return [f"CREATE ROLE {_quoted(name)} LOGIN" for name in names if name in missing]


def entrance(prefix: str) -> str:
    """Lets the roles into the database and its schema, and nobody but the owner add to that."""
    names = _roles(prefix, ROLES)
    return f"""
DO $entrance$ BEGIN
  EXECUTE format('GRANT CONNECT ON DATABASE %I TO {names}', current_database());
  EXECUTE format('GRANT USAGE ON SCHEMA %I TO {names}', current_schema());
  EXECUTE format('REVOKE CREATE ON SCHEMA %I FROM PUBLIC, {names}', current_schema());
END $entrance$""".strip()


def guards() -> Sequence[str]:
    """The trigger that keeps those who write references from writing anything else into `spec`."""
    found = [_GUARD]
    for table, keys in guarded().items():
        words = ", ".join(f"'{key}'" for key in sorted(keys))
        found.append(
            f"CREATE OR REPLACE TRIGGER {GUARD} BEFORE UPDATE OF spec ON {table} "
            f"FOR EACH ROW EXECUTE FUNCTION {GUARD}({words})"
        )
    return found


def sequences(prefix: str) -> Sequence[str]:
    """Lets those who add rows number them."""
    found = []
    for table, column in sorted(numbered().items()):
        adding = [role for role, duty in duties()[table].items() if duty.inserts is None]
        if adding:
            found.append(f"GRANT USAGE ON SEQUENCE {table}_{column}_seq TO {_roles(prefix, adding)}")
    return found


def changes(has: Collection[Privilege], wanted: Collection[Privilege]) -> Sequence[str]:
    """Takes away what is too much, and grants what is missing; nothing if all is as it should be."""
    surplus = set(has) - set(wanted)
    # A right that is taken away from the table goes with all that there is of it to columns.
    whole = {(each.role, each.table, each.right) for each in surplus if not each.column}
    kept = {each for each in has if (each.role, each.table, each.right) not in whole}
    gone = {each for each in surplus if not each.column or (each.role, each.table, each.right) not in whole}
    return [*_statements("REVOKE", "FROM", gone), *_statements("GRANT", "TO", set(wanted) - kept)]


def revocations(prefix: str) -> Sequence[str]:
    """Takes everything away from the roles, for who cannot see what they have."""
    names = _roles(prefix, ROLES)
    return [f"REVOKE ALL ON TABLE {table} FROM {names}" for table in sorted(duties())]


def _statements(verb: str, preposition: str, some: Iterable[Privilege]) -> Sequence[str]:
    ordered = sorted(some)
    found = []
    for (role, table), group in groupby(ordered, key=lambda each: (each.role, each.table)):
        rights = [
            f"{right} ({', '.join(columns)})" if (columns := [each.column for each in of if each.column]) else right
            for right, of in ((right, list(of)) for right, of in groupby(group, key=lambda each: each.right))
        ]
        found.append(f"{verb} {', '.join(rights)} ON TABLE {table} {preposition} {_quoted(role)}")
    return found


def _roles(prefix: str, roles: Iterable[Role]) -> str:
    return ", ".join(_quoted(role_name(prefix, role)) for role in roles)


def _quoted(name: str) -> str:
    return f'"{name}"'
