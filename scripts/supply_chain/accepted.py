"""Vulnerabilities that are known and accepted for a while: `requirements/accepted-vulnerabilities.toml`.

[[accepted]]
id = "GHSA-xxxx-xxxx-xxxx"        # or an alias of it
reason = "we never parse what a stranger sends with it"
until = 2027-02-28                # then somebody has to look at it again
"""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from supply_chain.osv import Advisory
from supply_chain.osv_export import unusable

_KEYS: Final = {"id", "reason", "until"}
_SHORTEST_REASON: Final = 20


@dataclass(frozen=True)
class Accepted:
    """One entry."""

    id: str
    reason: str
    until: date


def read_accepted(path: Path) -> list[Accepted]:
    """The entries of the file; raises MachineFault that says what is wrong with one."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise unusable(f"{path} cannot be read: {error}") from None
    entries = document.pop("accepted", [])
    if document:
        raise unusable(f"{path}: unknown: {', '.join(document)}; entries begin with [[accepted]]")
    return [_accepted(entry, path) for entry in entries]


def _accepted(entry: dict[str, object], path: Path) -> Accepted:
    if set(entry) != _KEYS:
        raise unusable(f"{path}: an entry has {', '.join(sorted(_KEYS))}; one has {', '.join(sorted(entry))}")
    named, reason, until = entry["id"], entry["reason"], entry["until"]
    if not isinstance(named, str) or not isinstance(reason, str) or type(until) is not date:
        raise unusable(f"{path}: `id` and `reason` are texts, `until` is a date such as 2027-02-28")
    if len(reason.strip()) < _SHORTEST_REASON:
        raise unusable(f"{path}: the reason of {named} has to say why it does no harm here")
    return Accepted(named, reason, until)


def still_open(found: Iterable[Advisory], accepted: Iterable[Accepted], *, today: date) -> list[Advisory]:
    """What has been found and is not accepted, or no longer."""
    valid = {each.id for each in accepted if each.until >= today}
    return [each for each in found if not each.ids & valid]
