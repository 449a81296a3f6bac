"""`helm upgrade` from an earlier release: nothing changes that nobody may change, and old pods can go on."""

import json
import re

import pytest

from tests.unit.deploy.conftest import ROOT
from tests.unit.deploy.sets.object_references import given_texts
from tests.unit.deploy.sets.release_changes import Objects, breaks, earlier, releases
from tests.unit.deploy.sets.value_sets import Body, rendered, values_of

_KEPT = [(release, name) for release in releases() for name in earlier(release)]


@pytest.mark.parametrize(("release", "name"), _KEPT, ids=[f"{name}-of-{release}" for release, name in _KEPT])
def test_upgrade_breaks_nothing(release: str, name: str) -> None:
    before, after = earlier(release)[name], rendered(name, is_upgrade=True).objects
    assert list(breaks(before, after, given_texts(values_of(name)))) == []


def test_the_last_release_is_among_those_that_are_kept() -> None:
    released = re.findall(r"^## \[(\d+\.\d+\.\d+)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(released) <= set(releases()), f"say `python -m {breaks.__module__} VERSION deploy/chart/chandlery`"
    assert len(_KEPT) >= 4


@pytest.mark.parametrize("name", ["trial", "operators"])
def test_upgrade_of_the_same_release_breaks_nothing(name: str) -> None:
    """Secrets are made up anew without a cluster, so they are not looked at."""
    given = given_texts(values_of(name))
    before = tuple(body for body in rendered(name).objects if body["kind"] not in ("Secret", "Job"))
    assert list(breaks(before, rendered(name, is_upgrade=True).objects, given)) == []


@pytest.mark.parametrize(
    ("kind", "path", "value", "told"),
    [
        ("Deployment", "spec.selector.matchLabels.new", "a", "has another selector"),
        ("StatefulSet", "spec.serviceName", "other", "has another serviceName"),
        ("StatefulSet", "spec.volumeClaimTemplates", [], "has another volumeClaimTemplates"),
        ("StatefulSet", "metadata.name", "other", "is gone"),
        ("Secret", "metadata.name", "other", "is gone"),
        ("Secret", "data", {}, "an old pod cannot start again"),
        ("Service", "spec.clusterIP", "10.0.0.1", "has another clusterIP"),
        ("Service", "spec.selector.new", "a", "does not lead to the old pods"),
    ],
)
def test_a_change_that_nobody_may_make_is_seen(kind: str, path: str, value: object, told: str) -> None:
    before = tuple(body for body in rendered("trial").objects if body["kind"] != "Job")
    after = _changed(before, kind, path, value)
    assert told in "; ".join(breaks(before, after, set()))


def _changed(objects: Objects, kind: str, path: str, value: object) -> Objects:
    copies: list[Body] = json.loads(json.dumps(objects))
    for body in copies:
        if body["kind"] == kind:
            *parents, last = path.split(".")
            place = body
            for parent in parents:
                place = place[parent]
            place[last] = value
    return tuple(copies)
