"""What a migration of this very database would do, before it is done: its steps, whom they make wait, and for how long.

Comes in: the SQL that `migrate` would run, and how many rows each table has about.
Goes out: steps, told from their statements and so never out of date, and sentences for people.
Called by: the command `migrate --check`.

Locks are PostgreSQL's (its manual, 13.3.1 "Table-Level Locks"). A migration is one transaction, so each table is
locked from its first statement to the end of the last.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from chandlery.store.schema import METADATA

Waiting = Literal["reads and writes", "writes", "writes of the same rows"]

_ORDER: Final[tuple[Waiting, ...]] = ("reads and writes", "writes", "writes of the same rows")
_LOCKS: Final[Mapping[Waiting, str]] = {
    "reads and writes": "ACCESS EXCLUSIVE",
    "writes": "SHARE",
    "writes of the same rows": "ROW EXCLUSIVE",
}
_SECONDS_FOR_A_ROW: Final = 10e-6
"""Ten seconds for each million: docs/operations.md#migrations-and-upgrades."""

_STEP: Final = re.compile(r"^-- Running upgrade (?:\S+)? ?-> (\S+)$", re.MULTILINE)
_NAME: Final = r'"?(?P<table>\w+)"?'
_CREATED: Final = re.compile(rf"CREATE (?:TABLE|VIEW) {_NAME}")
_RENAMED: Final = re.compile(rf"ALTER TABLE {_NAME} RENAME TO (?P<new>\w+)")
_CONTRACTS: Final = (
    re.compile(rf"DROP (?:TABLE|VIEW) (?:IF EXISTS )?{_NAME}"),
    re.compile(rf"ALTER TABLE {_NAME} .*\b(?:DROP COLUMN|SET NOT NULL)"),
)
_WAITS: Final[tuple[tuple[re.Pattern[str], Waiting, bool], ...]] = (
    (re.compile(rf"ALTER TABLE {_NAME} .*\bTYPE\b"), "reads and writes", True),
    (re.compile(rf"ALTER TABLE {_NAME}"), "reads and writes", False),
    (re.compile(rf"DROP (?:TABLE|VIEW) (?:IF EXISTS )?{_NAME}"), "reads and writes", False),
    (re.compile(rf"CREATE (?:UNIQUE )?INDEX .*?\bON {_NAME}"), "writes", True),
    (re.compile(rf"(?:UPDATE|DELETE FROM) {_NAME}"), "writes of the same rows", True),
)
"""Statement, who waits for it, and whether it reads all rows."""
_DROPPED_INDEX: Final = re.compile(r"DROP INDEX (?:IF EXISTS )?ix_(?P<rest>\w+)")
_OURS: Final = "alembic_version"


@dataclass(frozen=True)
class MigrationStep:
    """One revision."""

    revision: str
    waits: Mapping[str, Waiting]
    """Table -> who waits for it. Tables that the migration makes are left out."""
    rows_of: Sequence[str] = ()
    """Tables all of whose rows are read, once for each time."""
    contracted: Sequence[str] = ()
    """Tables of which it takes something away that the release before may use."""

    @property
    def kind(self) -> Literal["expands", "contracts"]:
        return "contracts" if self.contracted else "expands"


def steps_of(sql: str) -> Sequence[MigrationStep]:
    """The steps of what `migration_sql` has made for PostgreSQL."""
    parts = _STEP.split(sql)
    made: set[str] = {_OURS}
    return [_step(revision, text, made) for revision, text in zip(parts[1::2], parts[2::2], strict=True)]


def estimated_seconds(steps: Sequence[MigrationStep], rows: Mapping[str, int]) -> float:
    """How long the whole may take on a machine that is not busy."""
    return sum(rows.get(table, 0) * _SECONDS_FOR_A_ROW for step in steps for table in step.rows_of)


def told(steps: Sequence[MigrationStep], summaries: Mapping[str, str], rows: Mapping[str, int]) -> Iterator[str]:
    """Lines for people: each step with what it is for and its kind, then whom all of them make wait."""
    count = f"{len(steps)} migration{'' if len(steps) == 1 else 's'}"
    yield f"{count} would be done, in one transaction:"
    for step in steps:
        lost = f": what the release before may use of {', '.join(step.contracted)} goes" if step.contracted else ""
        yield f"  {step.revision} {step.kind}{lost}. {summaries.get(step.revision, '')}".rstrip()
    strongest: dict[str, Waiting] = {}
    for step in steps:
        for table, waiting in step.waits.items():
            known = strongest.get(table, waiting)
            strongest[table] = min(known, waiting, key=_ORDER.index)
    if not strongest:
        yield "Nobody waits for it."
        return
    yield f"Until its end, about {max(1.0, estimated_seconds(steps, rows)):.0f} s, these wait:"
    for waiting in _ORDER:
        tables = sorted(table for table, found in strongest.items() if found == waiting)
        if tables:
            shown = ", ".join(f"{table} ({_counted(rows[table])})" if table in rows else table for table in tables)
            yield f"  {waiting} ({_LOCKS[waiting]}): {shown}"


def _counted(rows: int) -> str:
    return f"about {rows:,} rows"


def _step(revision: str, text: str, made: set[str]) -> MigrationStep:
    waits: dict[str, Waiting] = {}
    rows_of: list[str] = []
    statements = [" ".join(each.split()) for each in text.split(";\n")]
    kept_names = {found["table"] for each in statements if (found := _CREATED.match(each))}
    made |= kept_names - {found["table"] for each in statements if (found := _RENAMED.match(each))}
    contracted: list[str] = []
    for statement in statements:
        for table in _taken_away(statement, kept_names):
            contracted += [table] if table not in made else []
        wait = _wait_for(statement)
        if wait is not None and wait[0] not in made:
            table, waiting, reads_all = wait
            waits[table] = min(waits.get(table, waiting), waiting, key=_ORDER.index)
            rows_of += [table] if reads_all else []
        if renamed := _RENAMED.match(statement):
            # From here on it goes by a name that nobody else can know yet.
            made.add(renamed["new"])
    return MigrationStep(revision, waits, rows_of, tuple(dict.fromkeys(contracted)))


def _taken_away(statement: str, kept_names: set[str]) -> Iterator[str]:
    """A table that gets another name goes, unless a view has the old one."""
    renamed = _RENAMED.match(statement)
    if renamed and renamed["table"] not in kept_names:
        yield renamed["table"]
    for pattern in _CONTRACTS:
        if found := pattern.match(statement):
            yield found["table"]


def _wait_for(statement: str) -> tuple[str, Waiting, bool] | None:
    for pattern, waiting, reads_all in _WAITS:
        if found := pattern.match(statement):
            return found["table"], waiting, reads_all
    if dropped := _DROPPED_INDEX.match(statement):
        # An index is named after its table and columns.
        of = [table for table in METADATA.tables if dropped["rest"].startswith(f"{table}_")]
        return max(of, key=len, default="an index"), "reads and writes", False
    return None
