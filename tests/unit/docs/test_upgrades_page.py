"""The page about upgrades tells the truth about schemas and releases."""

import re
import tomllib
from itertools import pairwise
from typing import Final

from packaging.version import Version

from chandlery.store.revisions import NEWEST_REVISION, REVISIONS
from tests.e2e.stacks.programs import REPOSITORY

_PAGE: Final = (REPOSITORY / "docs" / "upgrades.md").read_text(encoding="utf-8")
_ROW: Final = re.compile(
    r"^\| (?P<release>\d[\d.]*) \| `(?P<schema>\w+)` \| (?P<up_to>\d[\d.]*) \| (?P<since>[\d.]*) ?\|$", re.MULTILINE
)
_ROWS: Final = [found.groupdict() for found in _ROW.finditer(_PAGE)]


def _minor(release: str) -> tuple[int, int]:
    version = Version(release)
    return version.major, version.minor


def test_the_table_ends_with_this_release_and_its_schema() -> None:
    version = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert _minor(_ROWS[-1]["release"]) == _minor(version)
    assert _ROWS[-1]["schema"] == NEWEST_REVISION


def test_every_listed_release_has_a_row_with_a_schema_that_is_known() -> None:
    listed = re.findall(r"^\| (\d[\d.]*) \| \d{4}", (REPOSITORY / "docs" / "releases.md").read_text(), re.MULTILINE)
    assert {_minor(each) for each in listed} <= {_minor(row["release"]) for row in _ROWS}
    places = [REVISIONS.index(row["schema"]) for row in _ROWS]
    assert places == sorted(places)


def test_each_release_works_on_the_schema_of_the_next_one_and_is_upgraded_to_it() -> None:
    for before, after in pairwise(_ROWS):
        assert _minor(before["up_to"]) == _minor(after["release"])
        assert _minor(after["since"]) == _minor(before["release"])
