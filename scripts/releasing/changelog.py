"""The changelog: its sections, and how what is unreleased becomes a release. Pure; the form is Keep a Changelog's."""

import re
from datetime import date
from typing import Final

from machine.console import MachineFault

UNRELEASED: Final = "Unreleased"
_TITLE: Final = re.compile(r"^## \[(?P<name>[^\]]+)\](?: - (?P<date>\d{4}-\d\d-\d\d))?$", re.MULTILINE)
_ENTRY: Final = re.compile(r"^- ", re.MULTILINE)


def section(text: str, version: str) -> str:
    """What is below the title of that version. Raises MachineFault where there is no title, or nothing below it."""
    titles = list(_TITLE.finditer(text))
    for title, following in zip(titles, [*titles[1:], None], strict=True):
        if title["name"] == version:
            body = text[title.end() : following.start() if following else len(text)].strip()
            if not _ENTRY.search(body):
                raise MachineFault(f"CHANGELOG.md says nothing below [{version}]: a release without changes is none")
            return f"{body}\n"
    raise MachineFault(f"CHANGELOG.md has no section [{version}]: `make version VERSION={version}` makes it")


def date_of(text: str, version: str) -> str:
    """The date in the title of a version; empty where there is none."""
    return next((title["date"] or "" for title in _TITLE.finditer(text) if title["name"] == version), "")


def latest_release(text: str) -> str:
    """The version right below what is unreleased. Raises MachineFault where there is none."""
    for title in _TITLE.finditer(text):
        if title["name"] != UNRELEASED:
            return title["name"]
    raise MachineFault("CHANGELOG.md has no release")


def has_unreleased(text: str) -> bool:
    """Whether changes stand below [Unreleased]."""
    try:
        section(text, UNRELEASED)
    except MachineFault:
        return False
    return True


def released(text: str, version: str, day: date) -> str:
    """The text with what is unreleased as the section of that version. Raises MachineFault where nothing is."""
    section(text, UNRELEASED)
    if any(title["name"] == version for title in _TITLE.finditer(text)):
        raise MachineFault(f"CHANGELOG.md has a section [{version}] already: a version is released once")
    title = f"## [{UNRELEASED}]"
    return text.replace(title, f"{title}\n\n## [{version}] - {day.isoformat()}", 1)
