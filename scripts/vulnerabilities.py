"""Looks whether a locked package has a known vulnerability, without the network, in an export of OSV.

    vulnerabilities.py DATA [--locks requirements/runtime.txt …]

Run by `make vulnerabilities DATA=…`. DATA is the zip that OSV publishes for PyPI
(https://osv-vulnerabilities.storage.googleapis.com/PyPI/all.zip), a folder of its records, or one record.
Exit status: 0 nothing found, 1 something found, 2 nothing checked.
"""

import argparse
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

from packaging.utils import NormalizedName
from packaging.version import Version

from machine.console import run_command, say
from machine.places import REPOSITORY
from supply_chain.accepted import Accepted, read_accepted, still_open
from supply_chain.locks import read_lock
from supply_chain.osv import Advisory, advisories
from supply_chain.osv_export import read_export, unusable

_REQUIREMENTS: Final = REPOSITORY / "requirements"
_ACCEPTED: Final = _REQUIREMENTS / "accepted-vulnerabilities.toml"
_OLD_DAYS: Final = 30

Locked = Mapping[NormalizedName, Mapping[Version, list[str]]]
"""Package -> version -> the locks that have it."""


def main(arguments: list[str] | None = None) -> int:
    """Check; the exit status."""
    given = _parser().parse_args(arguments)
    locked = read_locks(given.locks or sorted(_REQUIREMENTS.glob("*.txt")))
    found, count, newest = search(given.data, locked)
    today = given.today
    accepted = read_accepted(given.accepted)
    _tell_of(accepted, found, today=today)
    if newest and (today - newest).days > _OLD_DAYS:
        say(f"the newest record is of {newest}: fetch a newer export")
    remaining = merged(still_open(found, accepted, today=today))
    for each in remaining:
        print(_sentence(each, locked))
    versions = sum(map(len, locked.values()))
    say(f"{versions} locked versions held against {count} records: {len(remaining)} vulnerabilities")
    return 1 if remaining else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Looks for known vulnerabilities of locked packages, offline.")
    parser.add_argument("data", type=Path, help="the zip that OSV publishes for PyPI, a folder of its records, or one")
    parser.add_argument("--locks", type=Path, nargs="+", help="locks to look at; default: all")
    parser.add_argument("--accepted", type=Path, default=_ACCEPTED, help="what is accepted, until when, and why")
    parser.add_argument("--today", type=date.fromisoformat, default=datetime.now(UTC).date(), help=argparse.SUPPRESS)
    return parser


def read_locks(paths: Iterable[Path]) -> Locked:
    """Everything that the locks have. Raises MachineFault for one without packages."""
    locked: dict[NormalizedName, dict[Version, list[str]]] = {}
    for path in paths:
        try:
            pinned = read_lock(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise unusable(f"{path} cannot be read: {error.strerror}") from None
        if not pinned:
            raise unusable(f"{path} locks no package")
        for each in pinned:
            locked.setdefault(each.name, {}).setdefault(each.version, []).append(path.name)
    return locked


def search(data: Path, locked: Locked) -> tuple[list[Advisory], int, date | None]:
    """What has been found, in how many records, and of which day the newest of these is."""
    found: list[Advisory] = []
    count, newest = 0, ""
    for place, record in read_export(data):
        count += 1
        try:
            found += advisories(record, locked)
            newest = max(newest, str(record.get("modified", "")))
        except (ValueError, AttributeError, TypeError) as error:
            raise unusable(f"{place} is not a record of OSV: {error}") from None
    return found, count, _day(newest)


def merged(found: Iterable[Advisory]) -> list[Advisory]:
    """One for each vulnerability: the same is told of by several records, which know each other as aliases."""
    groups: list[Advisory] = []
    for each in found:
        same = [group for group in groups if _is_same(group, each)]
        groups = [group for group in groups if group not in same]
        groups.append(_joined([each, *same]))
    return sorted(groups, key=lambda each: (each.package, each.version, sorted(each.ids)))


def _is_same(one: Advisory, other: Advisory) -> bool:
    return (one.package, one.version) == (other.package, other.version) and bool(one.ids & other.ids)


def _joined(same: list[Advisory]) -> Advisory:
    first = same[0]
    return Advisory(
        ids=frozenset().union(*(each.ids for each in same)),
        package=first.package,
        version=first.version,
        summary=next((each.summary for each in same if each.summary), ""),
        fixed_in=tuple(map(str, sorted({Version(text) for each in same for text in each.fixed_in}))),
        is_certain=any(each.is_certain for each in same),
    )


def _sentence(found: Advisory, locked: Locked) -> str:
    locks = ", ".join(locked[found.package][found.version])
    remedy = f"fixed in {', '.join(found.fixed_in)}" if found.fixed_in else "no fixed version is known"
    doubt = "" if found.is_certain else " (the record's versions cannot be compared: look yourself)"
    names = ", ".join(sorted(found.ids))
    return f"{found.package} {found.version} ({locks}): {names}: {found.summary or 'no summary'}{doubt}; {remedy}"


def _tell_of(accepted: Iterable[Accepted], found: Iterable[Advisory], *, today: date) -> None:
    seen: set[str] = set().union(*(each.ids for each in found))
    for each in accepted:
        if each.id not in seen:
            say(f"{each.id} is accepted, but no locked package has it any more: remove the entry")
        elif each.until < today:
            say(f"{each.id} was accepted until {each.until}: look at it again ({each.reason})")
        else:
            say(f"{each.id} is accepted until {each.until}: {each.reason}")


def _day(text: Any) -> date | None:
    try:
        return date.fromisoformat(str(text)[:10])
    except ValueError:
        return None


if __name__ == "__main__":
    run_command(main)
