"""Lines are made once for all watches that are told the same in the same form."""

import json
from datetime import UTC, datetime

import pytest

from chandlery.model.objects.core import Secret
from chandlery.model.objects.kinds import SECRET
from chandlery.model.objects.metadata import ObjectMeta
from chandlery.store.objects.changes import ChangeVerb
from chandlery.store.rows import plain_form
from chandlery_gateway.kube.printing.tables import IncludeObject
from chandlery_gateway.kube.query.negotiation import Form, Representation
from chandlery_gateway.watch import watch_lines
from chandlery_gateway.watch.watch_lines import ChangeView, WatchLines

FORMS = (Representation(), Representation(Form.METADATA, "v1"), Representation(Form.TABLE, "v1"))


def a_view() -> ChangeView:
    created = datetime(2024, 1, 1, tzinfo=UTC)
    metadata = ObjectMeta(name="db", namespace="team", uid="u", resource_version="7", creation_timestamp=created)
    return ChangeView(SECRET, plain_form(Secret(metadata=metadata)))


def a_watch(representation: Representation) -> WatchLines:
    """One that has told something already."""
    lines = WatchLines(SECRET, representation, IncludeObject.METADATA)
    lines.bookmark(6)
    return lines


@pytest.mark.parametrize("representation", FORMS, ids=lambda form: form.form.name)
def test_two_watches_of_a_form_are_told_the_very_same_line(representation: Representation) -> None:
    view = a_view()
    line = a_watch(representation).notice(ChangeVerb.MODIFIED, view)
    assert a_watch(representation).notice(ChangeVerb.MODIFIED, view) is line
    assert json.loads(line)["type"] == "MODIFIED"
    # Who sees it enter is told otherwise.
    assert json.loads(a_watch(representation).notice(ChangeVerb.ADDED, view))["type"] == "ADDED"


def test_a_form_has_lines_of_its_own() -> None:
    view = a_view()
    told = [json.loads(a_watch(form).notice(ChangeVerb.ADDED, view))["object"]["kind"] for form in FORMS]
    assert told == ["Secret", "PartialObjectMetadata", "Table"]


def test_a_table_is_made_anew_for_who_has_no_columns_yet_and_when_its_age_has_passed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    view, table = a_view(), Representation(Form.TABLE, "v1")
    line = a_watch(table).notice(ChangeVerb.MODIFIED, view)
    first = WatchLines(SECRET, table, IncludeObject.METADATA).notice(ChangeVerb.MODIFIED, view)
    assert json.loads(first)["object"]["columnDefinitions"]
    assert not json.loads(line)["object"].get("columnDefinitions")
    monkeypatch.setattr(watch_lines, "_SAME_AGE_SECONDS", 0.0)
    assert a_watch(table).notice(ChangeVerb.MODIFIED, view) is not line
