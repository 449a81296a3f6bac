"""Whether the database role can do what its service needs, and no more. Pure."""

from collections.abc import Sequence
from typing import Final

from chandlery.process.commands.doctor.check import Result, fail, in_a_row, ok, some_of, warn
from chandlery.store.roles.grants import ROLES, Privilege, Role, role_name
from chandlery.store.roles.held_privileges import HeldPrivileges

_MIGRATE: Final = "run `chandlery migrate --roles` as the owner of the tables"


def grants(held: HeldPrivileges, *, prefix: str, service: Role | None) -> Result:
    """`service` is whose role it is meant to be; None if that is not said, and to be told from the role."""
    if held.is_superuser:
        return warn(
            f"{held.login} is a superuser of PostgreSQL, and no service needs that",
            "use a role that owns the database alone, or one for each service: `chandlery migrate --roles`",
        )
    if held.owns_tables:
        return _owner(held, prefix)
    if service is None and len(held.member_of) == 1:
        (service,) = held.member_of
    if service is not None:
        return _of_service(held, service, prefix)
    able = [each for each in ROLES if not _lacks(held, each, prefix)]
    if able:
        return ok(f"{held.login} may do what the {in_a_row(able)} need{'' if len(able) > 1 else 's'}")
    nearest = min(ROLES, key=lambda each: len(_lacks(held, each, prefix)))
    lacks = _lacks(held, nearest, prefix)
    return fail(
        f"{held.login} may do the work of no service: for that of the {nearest} it lacks {some_of(lacks)}",
        f"GRANT {role_name(prefix, nearest)} TO {held.login}, or name the service with --service; {_MIGRATE}",
    )


def _owner(held: HeldPrivileges, prefix: str) -> Result:
    if held.roles:
        return warn(
            f"{held.login} owns the tables, and there are roles for the services: more than any of them needs",
            f"log in as {role_name(prefix, ROLES[0])} and its like in CHANDLERY_DATABASE_URL",
        )
    return ok(f"{held.login} owns the tables, and may do what all services need")


def _of_service(held: HeldPrivileges, service: Role, prefix: str) -> Result:
    if lacks := _lacks(held, service, prefix):
        return fail(f"{held.login} lacks what the {service} needs: {some_of(lacks)}", _MIGRATE)
    if held.makes_others:
        return warn(
            f"{held.login} may make roles or databases, and no service needs that",
            f'ALTER ROLE "{held.login}" NOCREATEROLE NOCREATEDB',
        )
    more = ["make tables"] if held.makes_tables else []
    more += map(_shown, held.surplus(service, prefix=prefix))
    if more:
        return warn(f"{held.login} may do more than the {service} needs: {some_of(more)}", _MIGRATE)
    return ok(f"{held.login} may do what the {service} needs, and no more")


def _lacks(held: HeldPrivileges, service: Role, prefix: str) -> Sequence[str]:
    rights = [_shown(each) for each in held.missing(service, prefix=prefix)]
    return [*rights, *(f"USAGE on {name}" for name in held.lacks_sequences(service))]


def _shown(privilege: Privilege) -> str:
    return f"{privilege.right} on {privilege.table}{f'.{privilege.column}' if privilege.column else ''}"
