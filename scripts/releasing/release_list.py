"""The table of releases in `docs/releases.md`: version, date, commit or tag, and until when it is mended. Pure."""

import re
from datetime import date
from typing import Final

from machine.console import MachineFault
from releasing.versions import tag

_HEAD: Final = "| version | date | commit | mended until |\n|---|---|---|---|\n"
_MONTHS: Final = 6
"""That a minor release is mended for at least; docs/releases.md promises it."""
_ROW: Final = r"(?m)^\| {version} \| (?P<date>\d{{4}}-\d\d-\d\d) \|"
_LAST_MONTH: Final = 12


def with_release(text: str, version: str, day: date) -> str:
    """The page with a row for the release on top. Raises MachineFault where the table is not as expected."""
    if _HEAD not in text:
        raise MachineFault(f"docs/releases.md has no table that begins with {_HEAD.splitlines()[0]!r}")
    if date_of(text, version):
        raise MachineFault(f"docs/releases.md lists {version} already: a version is released once")
    row = f"| {version} | {day.isoformat()} | `{tag(version)}` | {mended_until(day).isoformat()} |\n"
    return text.replace(_HEAD, _HEAD + row, 1)


def date_of(text: str, version: str) -> str:
    """The date of a release in the table; empty where it is not listed."""
    found = re.search(_ROW.format(version=re.escape(version)), text)
    return found["date"] if found else ""


def mended_until(day: date) -> date:
    """Half a year later: the same day of the month, or the last one before."""
    months = day.month + _MONTHS
    year, month = (day.year + 1, months - _LAST_MONTH) if months > _LAST_MONTH else (day.year, months)
    for last in (day.day, 30, 29, 28):
        try:
            return date(year, month, last)
        except ValueError:
            continue
    raise AssertionError("every month has 28 days")
