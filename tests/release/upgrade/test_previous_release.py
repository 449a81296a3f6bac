"""Which release an upgrade begins with: also on the commit that is about to become one, which nobody has tagged yet."""

import pytest

from machine.console import MachineFault
from tests.release.upgrade.previous_release import listed_releases, newest_before, previous_release

_PAGE = """\
| version | date | commit | mended until |
|---|---|---|---|
| 0.2.0 | 2027-02-28 | `v0.2.0` | 2027-08-28 |
| 0.10.0 | 2029-02-28 | `v0.10.0` | 2029-08-28 |
| 0.1.0 | 2026-11-30 | `e4f8c337a4c2dc3c9ceb7fdee70b0c61b9d0ac6c` | 2027-05-30 |
"""


@pytest.mark.parametrize(
    ("version", "before"),
    [("0.2.0.dev0", "0.1.0"), ("0.2.0", "0.1.0"), ("0.3.0.dev0", "0.2.0"), ("0.10.0", "0.2.0"), ("1.0.0", "0.10.0")],
)
def test_upgrade_begins_with_the_newest_release_before_the_version(version: str, before: str) -> None:
    assert newest_before(version, listed_releases(_PAGE)).version == before


def test_first_release_is_an_upgrade_of_nothing() -> None:
    with pytest.raises(MachineFault, match=r"lists no release before 0\.1\.0$"):
        newest_before("0.1.0", listed_releases(_PAGE))


def test_release_before_this_checkout_is_listed_with_its_commit() -> None:
    assert len(previous_release().commit) == 40, "git fetch --unshallow --tags"
