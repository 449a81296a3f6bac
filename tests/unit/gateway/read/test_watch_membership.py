"""What a change is to somebody who watches a selection."""

import pytest

from chandlery.store.objects.changes import ChangeVerb, LoggedChange
from chandlery_gateway.watch.watch_stream import Membership, told_as

ADDED, MODIFIED, DELETED = ChangeVerb.ADDED, ChangeVerb.MODIFIED, ChangeVerb.DELETED


@pytest.mark.parametrize(
    ("verb", "was_match", "is_match", "told"),
    [
        (ADDED, False, True, ADDED),
        (ADDED, False, False, None),
        (MODIFIED, False, True, ADDED),
        (MODIFIED, True, True, MODIFIED),
        (MODIFIED, True, False, DELETED),
        (MODIFIED, False, False, None),
        (DELETED, True, True, DELETED),
        (DELETED, True, False, DELETED),
        (DELETED, False, True, None),
        (DELETED, False, False, None),
        (MODIFIED, None, True, MODIFIED),
        (MODIFIED, None, False, DELETED),
        (DELETED, None, True, DELETED),
        (DELETED, None, False, DELETED),
        (ADDED, None, True, ADDED),
    ],
)
def test_an_object_enters_stays_and_leaves(
    verb: ChangeVerb, was_match: bool | None, is_match: bool, told: ChangeVerb | None
) -> None:
    assert told_as(verb, was_match=was_match, is_match=is_match) == told


def _change(verb: ChangeVerb) -> LoggedChange:
    return LoggedChange(1, "Secret", "ns", "db", verb, {})


def test_a_watch_remembers_who_has_entered() -> None:
    members = Membership(can_change=True)
    members.note("u")
    told = [members.follow(_change(MODIFIED), uid="u", is_match=is_match) for is_match in (True, False, False, True)]
    assert told == [MODIFIED, DELETED, None, ADDED]


def test_a_watch_is_unsure_of_an_object_once() -> None:
    members = Membership(can_change=True)
    members.note_unsure(frozenset({("ns", "db")}))
    assert [members.follow(_change(MODIFIED), uid="u", is_match=False) for _ in range(2)] == [DELETED, None]


def test_an_object_of_the_same_name_is_another_one() -> None:
    members = Membership(can_change=True)
    members.note("u")
    assert members.follow(_change(DELETED), uid="u", is_match=True) == DELETED
    assert members.follow(_change(ADDED), uid="v", is_match=True) == ADDED


def test_without_a_selector_changes_are_told_as_they_are() -> None:
    members = Membership(can_change=False)
    assert [members.follow(_change(verb), uid="u", is_match=True) for verb in ChangeVerb] == list(ChangeVerb)
    assert [members.follow(_change(verb), uid="u", is_match=False) for verb in ChangeVerb] == [None] * 3
