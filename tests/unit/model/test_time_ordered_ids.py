"""Ids by which things can be put in the order they happened in, and found by time."""

import uuid
from datetime import UTC, datetime

from chandlery.model.text.time_ordered_ids import first_id_of, time_ordered_id

MICROSECOND = 1_000


def test_an_id_is_a_uuid_of_version_7_and_no_other_has_it() -> None:
    ids = [uuid.UUID(time_ordered_id()) for _ in range(100)]
    assert {(each.version, each.variant) for each in ids} == {(7, uuid.RFC_4122)}
    assert len(set(ids)) == 100


def test_ids_sort_by_the_microsecond_they_were_made_in() -> None:
    moment = 1_764_520_000_000_000_000
    made = [time_ordered_id(moment + number * MICROSECOND) for number in range(3_000)]
    assert made == sorted(made)


def test_what_was_made_at_a_moment_or_later_sorts_after_its_first_id() -> None:
    moment = datetime(2026, 11, 30, 12, 0, 0, 123_457, tzinfo=UTC)
    nanoseconds = round(moment.timestamp() * 1_000_000) * 1_000
    first = first_id_of(moment)
    assert time_ordered_id(nanoseconds - MICROSECOND) < first <= time_ordered_id(nanoseconds)


def test_a_moment_before_there_were_ids_sorts_before_all_of_them() -> None:
    first = first_id_of(datetime(1926, 11, 30, tzinfo=UTC))
    assert first == "00000000-0000-7000-8000-000000000000"
    assert uuid.UUID(first).version == 7
