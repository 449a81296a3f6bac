"""`chandlery migrate`: brings the schema up, or tells whether that is needed, or prints what it would do."""

import sys
from collections.abc import Sequence

import click

from chandlery.process.commands.service_commands import production_settings, run_to_the_end
from chandlery.process.schema_waits import found_plan, found_revision, role_plan, run_migrations
from chandlery.settings.settings import Settings, load_settings, require
from chandlery.store.connection.database_url import read_database_url
from chandlery.store.migrate import migration_sql
from chandlery.store.revisions import NEWEST_REVISION, is_later, is_older
from chandlery.store.roles.database_roles import roles_sql


@click.command()
@click.option(
    "--check",
    "checks",
    is_flag=True,
    help="Change nothing: tell whether the schema is current, behind or ahead, what would be done, and who would wait; "
    "exit with 0 if nothing is missing, 1 if something is, 2 if a setting is wrong.",
)
@click.option(
    "--timeout",
    "seconds",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Give up after this time.",
)
@click.option(
    "--roles",
    "makes_roles",
    is_flag=True,
    help="Make a database role for each service, with the grants that it needs (PostgreSQL); with --sql, print that.",
)
@click.option("--sql", "prints", is_flag=True, help="Print the SQL for an empty database, without connecting.")
@click.option("--dry-run", "rehearses", is_flag=True, help="Print the SQL for this very database, and change nothing.")
@click.option("--from", "start", metavar="REVISION", help="With --sql: for a database at this revision.")
def migrate(
    checks: bool, seconds: float | None, makes_roles: bool, prints: bool, rehearses: bool, start: str | None
) -> None:
    """Bring the database to the current schema. Safe to run from several places at once.

    Waits for a server that is not there yet; what a person has to mend ends it.
    """
    if sum((checks, prints, rehearses, seconds is not None)) > 1:
        raise click.UsageError("--check, --sql, --dry-run and --timeout cannot be combined")
    if start is not None and (makes_roles or not prints):
        raise click.UsageError("--from needs --sql, and cannot be combined with --roles")
    if (checks or rehearses) and makes_roles:
        raise click.UsageError(f"{'--check' if checks else '--dry-run'} and --roles cannot be combined")
    if prints and makes_roles:
        click.echo(roles_sql(role_plan(load_settings())), nl=False)
        return
    if prints:
        click.echo(migration_sql(_dialect(load_settings()), start), nl=False)
        return
    settings = production_settings("migrate")
    if checks:
        _check(settings)
        return
    if rehearses:
        found = run_to_the_end(found_revision(settings))
        if found is None or is_older(found):
            click.echo(migration_sql(_dialect(settings), found), nl=False)
        return
    require(settings, "database_url")
    click.echo(f"migrating {read_database_url(settings.database_url.get_secret_value()).shown}")
    revision = run_to_the_end(run_migrations(settings, seconds=seconds, makes_roles=makes_roles, say=click.echo))
    click.echo(_told(revision))


def _check(settings: Settings) -> None:
    found, plan = run_to_the_end(_found(settings))
    if found is None:
        click.echo("the database is empty: run `chandlery migrate`")
        sys.exit(1)
    if is_older(found):
        click.echo(
            f"the database is at revision {found}, this release needs {NEWEST_REVISION}: run `chandlery migrate`"
        )
        for line in plan:
            click.echo(line)
        sys.exit(1)
    click.echo(_told(found))


async def _found(settings: Settings) -> tuple[str | None, Sequence[str]]:
    found = await found_revision(settings)
    return found, await found_plan(settings, found) if found is not None and is_older(found) else ()


def _told(revision: str) -> str:
    if is_later(revision):
        return (
            f"the database is at revision {revision} of a later release; this release works with it and changes nothing"
        )
    return f"the database is at revision {revision}"


def _dialect(settings: Settings) -> str:
    url = settings.database_url.get_secret_value()
    return read_database_url(url).backend if url else "postgresql"
