"""What a migration would do is told from its own SQL: its kind, and who waits."""

import pytest

from chandlery.store.migrate import migration_sql, summaries
from chandlery.store.migration_plan import MigrationStep, estimated_seconds, steps_of, told
from chandlery.store.revisions import REVISIONS

_HEAD = "-- Running upgrade a -> b\n\n"
_STATEMENTS = [
    pytest.param("ALTER TABLE events ADD COLUMN x TEXT", {"events": "reads and writes"}, 0, id="column"),
    pytest.param("CREATE INDEX ix_events_x ON events (x)", {"events": "writes"}, 1, id="index"),
    pytest.param("UPDATE events SET x = 'y'", {"events": "writes of the same rows"}, 1, id="update"),
    pytest.param("ALTER TABLE events ALTER COLUMN x TYPE text", {"events": "reads and writes"}, 1, id="type"),
    pytest.param("DROP INDEX ix_work_queue_lane", {"work_queue": "reads and writes"}, 0, id="dropped index"),
    pytest.param("CREATE TABLE new (x TEXT);\n\nCREATE INDEX ix_new_x ON new (x)", {}, 0, id="new table"),
    pytest.param("UPDATE alembic_version SET version_num = 'b'", {}, 0, id="our own mark"),
]
_TAKEN_AWAY = [
    pytest.param("DROP TABLE events", ("events",), id="table"),
    pytest.param("ALTER TABLE events DROP COLUMN x", ("events",), id="column"),
    pytest.param("ALTER TABLE events ALTER COLUMN x SET NOT NULL", ("events",), id="not null"),
    pytest.param("ALTER TABLE events RENAME TO facts", ("events",), id="name"),
    pytest.param("ALTER TABLE events RENAME TO facts;\n\nCREATE VIEW events AS SELECT 1", (), id="name that stays"),
    pytest.param("ALTER TABLE events ADD COLUMN x TEXT", (), id="nothing"),
]


def _step(statements: str) -> MigrationStep:
    [step] = steps_of(f"BEGIN;\n\n{_HEAD}{statements};\n\nCOMMIT;\n\n")
    return step


@pytest.mark.parametrize(("statements", "waits", "reads"), _STATEMENTS)
def test_who_waits_for_a_statement_is_told(statements: str, waits: dict[str, str], reads: int) -> None:
    step = _step(statements)
    assert (step.waits, len(step.rows_of)) == (waits, reads)


@pytest.mark.parametrize(("statements", "contracted"), _TAKEN_AWAY)
def test_what_takes_something_away_contracts(statements: str, contracted: tuple[str, ...]) -> None:
    step = _step(statements)
    assert (step.contracted, step.kind) == (contracted, "contracts" if contracted else "expands")


def test_all_migrations_so_far_are_known_with_a_summary_and_expand() -> None:
    steps = steps_of(migration_sql("postgresql"))
    assert [step.revision for step in steps] == list(REVISIONS)
    assert {step.revision for step in steps if step.kind == "contracts"} == set()
    assert all(summaries()[revision] for revision in REVISIONS)


def test_an_empty_database_has_nobody_who_would_wait() -> None:
    assert [step.revision for step in steps_of(migration_sql("postgresql")) if step.waits] == []


def test_the_plan_names_each_step_and_whoever_waits_for_how_many_rows() -> None:
    steps = steps_of(migration_sql("postgresql", "2026_12_02_traces"))
    lines = list(told(steps, summaries(), {"serviceinstances": 2_000_000}))
    assert lines[0] == "1 migration would be done, in one transaction:"
    assert lines[1].startswith("  2026_12_03_many_objects expands. What a million objects need")
    assert lines[2] == "Until its end, about 20 s, these wait:"
    assert lines[3] == "  reads and writes (ACCESS EXCLUSIVE): events"
    assert lines[4] == "  writes (SHARE): secrets, servicebindings, serviceinstances (about 2,000,000 rows)"
    assert estimated_seconds(steps, {"serviceinstances": 2_000_000}) == pytest.approx(20)
