"""`chandlery migrate --check` and `--dry-run`: current, behind or ahead, and what would be done."""

import asyncio
from collections.abc import Callable
from weakref import WeakSet

import pytest
from alembic import command
from click.testing import CliRunner, Result
from sqlalchemy import Connection

from chandlery.process.commands.migrate_command import migrate as migrate_command
from chandlery.process.logs import tally
from chandlery.store import migrate as migrations
from chandlery.store.connection.engine import open_engine
from chandlery.store.migrate import migration_sql
from chandlery.store.revisions import NEWEST_REVISION, REVISIONS
from tests.integration.later_schema import LATER, expand

Run = Callable[..., Result]
_BEHIND = REVISIONS[-3]


@pytest.fixture
def run(empty_database_url: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command, on an empty database of each sort, in a process that has counted nothing for the log before."""
    monkeypatch.setattr(tally, "_TALLIES", WeakSet())
    monkeypatch.setenv("CHANDLERY_DATABASE_URL", empty_database_url)
    return lambda *words: CliRunner().invoke(migrate_command, words)


def _go_back(connection: Connection) -> None:
    config = migrations._config()
    config.attributes["connection"] = connection
    command.downgrade(config, _BEHIND)


def _brought(url: str, *, ahead: bool) -> None:
    async def work() -> None:
        engine = open_engine(url, application_name="chandlery-test")
        try:
            async with engine.begin() as connection:
                await (expand(connection) if ahead else connection.run_sync(_go_back))
        finally:
            await engine.dispose()

    asyncio.run(work())


def test_an_empty_database_is_behind(run: Run) -> None:
    check = run("--check")
    assert (check.exit_code, check.output) == (1, "the database is empty: run `chandlery migrate`\n")
    assert run("--dry-run").output.startswith("BEGIN")


def test_a_current_database_lacks_nothing(run: Run) -> None:
    assert run().exit_code == 0
    check = run("--check")
    assert (check.exit_code, check.output) == (0, f"the database is at revision {NEWEST_REVISION}\n")
    assert run("--dry-run").output == ""


def test_a_database_behind_is_told_what_would_be_done_and_stays_as_it_is(run: Run, empty_database_url: str) -> None:
    assert run().exit_code == 0
    _brought(empty_database_url, ahead=False)
    for _ in range(2):
        check = run("--check")
        assert check.exit_code == 1
        first, head, *steps = check.output.splitlines()
        assert first == (
            f"the database is at revision {_BEHIND}, this release needs {NEWEST_REVISION}: run `chandlery migrate`"
        )
        assert "in one transaction" in head
        assert [step.split()[0].rstrip(".") for step in steps[:2]] == list(REVISIONS[-2:])
    is_postgresql = empty_database_url.startswith("postgresql")
    assert ("reads and writes (ACCESS EXCLUSIVE): events" in check.output) is is_postgresql
    dialect = "postgresql" if is_postgresql else "sqlite"
    assert run("--dry-run").output == migration_sql(dialect, _BEHIND)
    assert run().exit_code == 0
    assert run("--check").exit_code == 0


def test_a_database_ahead_is_left_to_the_release_that_made_it(run: Run, empty_database_url: str) -> None:
    assert run().exit_code == 0
    _brought(empty_database_url, ahead=True)
    check = run("--check")
    assert check.exit_code == 0
    assert check.output == (
        f"the database is at revision {LATER} of a later release; this release works with it and changes nothing\n"
    )
    assert run("--dry-run").output == ""


@pytest.mark.parametrize("words", [("--check", "--sql"), ("--dry-run", "--check"), ("--dry-run", "--roles")])
def test_words_that_make_no_sense_together_are_refused(words: tuple[str, ...]) -> None:
    done = CliRunner().invoke(migrate_command, words)
    assert done.exit_code == 2
    assert "cannot be combined" in done.output
