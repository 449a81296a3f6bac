"""Versions, the changelog's sections and the list of releases: decisions behind `make version` and `make release`."""

from datetime import date
from itertools import pairwise

import pytest

from machine.console import MachineFault
from releasing import changelog, release_list
from releasing.release_checks import ReleaseFacts, problems
from releasing.versions import chart_version, checked, is_later, is_release

_CHANGELOG = """\
# Changelog

## [Unreleased]

## [0.2.0] - 2027-02-28

### Added

- A thing.

## [0.1.0] - 2026-11-30

### Added

- Everything.
"""
_LIST = """\
| version | date | commit | mended until |
|---|---|---|---|
| 0.2.0 | 2027-02-28 | `v0.2.0` | 2027-08-28 |
"""
_READY = ReleaseFacts(
    version="0.2.0",
    differences=(),
    changed_files=(),
    changelog=_CHANGELOG,
    releases=_LIST,
    commit="a" * 40,
    tagged_commit="",
)


@pytest.mark.parametrize(
    ("version", "of_chart"),
    [("0.2.0", "0.2.0"), ("0.2.0rc1", "0.2.0-rc.1"), ("0.2.0.dev0", "0.2.0-dev.0"), ("10.20.30", "10.20.30")],
)
def test_chart_has_the_version_in_the_form_of_semver(version: str, of_chart: str) -> None:
    assert chart_version(version) == of_chart


@pytest.mark.parametrize("text", ["", "1", "0.2", "v0.2.0", "0.2.0-dev.0", "0.2.0+local", "00.2.0", "0.2.0.post1"])
def test_what_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(MachineFault, match="is no version of Chandlery"):
        checked(text)


def test_versions_are_in_the_order_of_what_becomes_of_them() -> None:
    order = ["0.1.0", "0.2.0.dev0", "0.2.0.dev1", "0.2.0rc1", "0.2.0", "0.10.0"]
    assert all(is_later(after, before) for before, after in pairwise(order))
    assert [version for version in order if is_release(version)] == ["0.1.0", "0.2.0", "0.10.0"]


def test_section_is_what_stands_below_its_title_alone() -> None:
    assert changelog.section(_CHANGELOG, "0.2.0") == "### Added\n\n- A thing.\n"
    assert changelog.section(_CHANGELOG, "0.1.0") == "### Added\n\n- Everything.\n"
    assert changelog.latest_release(_CHANGELOG) == "0.2.0"
    assert not changelog.has_unreleased(_CHANGELOG)


def test_release_turns_what_is_unreleased_into_its_section() -> None:
    before = _CHANGELOG.replace("## [0.2.0] - 2027-02-28\n\n", "")
    assert changelog.released(before, "0.2.0", date(2027, 2, 28)) == _CHANGELOG
    with pytest.raises(MachineFault, match=r"has a section \[0\.1\.0\] already"):
        changelog.released(before, "0.1.0", date(2027, 2, 28))


@pytest.mark.parametrize(
    ("day", "end"),
    [
        ("2026-11-30", "2027-05-30"),
        ("2026-08-31", "2027-02-28"),
        ("2027-08-31", "2028-02-29"),
        ("2026-06-30", "2026-12-30"),
    ],
)
def test_release_is_mended_for_half_a_year(day: str, end: str) -> None:
    assert release_list.mended_until(date.fromisoformat(day)) == date.fromisoformat(end)


def test_release_is_listed_once() -> None:
    listed = release_list.with_release(_LIST, "0.3.0", date(2027, 5, 31))
    assert listed.splitlines()[2] == "| 0.3.0 | 2027-05-31 | `v0.3.0` | 2027-11-30 |"
    with pytest.raises(MachineFault, match=r"lists 0\.2\.0 already"):
        release_list.with_release(_LIST, "0.2.0", date(2027, 5, 31))


def test_release_that_is_ready_has_nothing_in_its_way() -> None:
    assert list(problems(_READY, rehearses=False)) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"changelog": _CHANGELOG.replace("[Unreleased]", "[Unreleased]\n\n### Fixed\n\n- More.")},
            "below [Unreleased]",
        ),
        ({"changelog": _CHANGELOG.replace("- A thing.", "")}, "says nothing below [0.2.0]"),
        ({"changelog": _CHANGELOG.replace("2027-02-28", "2027-02-27")}, "docs/releases.md has the date 2027-02-28"),
        ({"releases": _LIST.replace("0.2.0", "0.1.0")}, "docs/releases.md has no row for it"),
        ({"version": "0.1.0"}, "the latest release in CHANGELOG.md is 0.2.0, and pyproject.toml says 0.1.0"),
        ({"tagged_commit": "b" * 40}, "the tag v0.2.0 is on commit bbbbbbbbbbbb, and this is aaaaaaaaaaaa"),
        ({"changed_files": ["?? a", " M b", "M  c", "A  d", "?? e", "?? f"]}, "(a, b, c, d, e and 1 more)"),
        ({"differences": ["compose.yaml has another"]}, "compose.yaml has another"),
    ],
)
def test_what_is_in_the_way_of_a_release_is_said(change: dict[str, object], said: str) -> None:
    facts = ReleaseFacts(**{**vars(_READY), **change})
    assert said in "; ".join(problems(facts, rehearses=False))
