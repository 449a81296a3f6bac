"""Judges versions by records of OSV, the format in which PyPI's advisories are exported. Pure.

Source: "Open Source Vulnerability format", https://ossf.github.io/osv-schema/, the section on evaluation.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import InvalidVersion, Version

Record = Mapping[str, Any]

_ECOSYSTEM: Final = "PyPI"
_RANGES: Final = ("ECOSYSTEM", "SEMVER")
_BEGINNING: Final = "0"
_NO_LIMIT: Final = "*"


class NoOsvRecord(ValueError):
    """A document that does not have the form of the records; the text says why."""


@dataclass(frozen=True)
class Advisory:
    """What one record says about one version of one package."""

    ids: frozenset[str]
    """The record's own and its aliases."""
    package: NormalizedName
    version: Version
    summary: str
    fixed_in: tuple[str, ...]
    is_certain: bool = True
    """Not if the record speaks of versions that cannot be compared: then it counts as found."""


def advisories(record: Any, versions: Mapping[NormalizedName, Iterable[Version]]) -> Iterator[Advisory]:
    """What the record says about these versions. Raises NoOsvRecord."""
    if not isinstance(record, Mapping) or not isinstance(record.get("id"), str):
        raise NoOsvRecord("it has no id")
    if record.get("withdrawn"):
        return
    affected = record.get("affected", [])
    if not isinstance(affected, list):
        raise NoOsvRecord("`affected` is no list")
    for each in affected:
        package = each.get("package") or {}
        name = canonicalize_name(str(package.get("name", "")))
        if package.get("ecosystem", "").partition(":")[0] != _ECOSYSTEM or name not in versions:
            continue
        for version in versions[name]:
            verdict = _is_affected(version, each)
            if verdict is not False:
                yield _advisory(record, name, version, each, is_certain=verdict is True)


def _is_affected(version: Version, affected: Record) -> bool | None:
    """None if nobody can tell."""
    verdict: bool | None = False
    for text in affected.get("versions") or ():
        listed = _version(text)
        if listed == version or text == str(version):
            return True
    for each in affected.get("ranges") or ():
        if each.get("type") not in _RANGES:
            continue
        try:
            if _is_in_range(version, each.get("events") or ()):
                return True
        except InvalidVersion:
            verdict = None
    return verdict


def _is_in_range(version: Version, events: Iterable[Record]) -> bool:
    told = [(kind, text) for event in events for kind, text in event.items()]
    limits = [text for kind, text in told if kind == "limit"]
    if limits and not any(text == _NO_LIMIT or version < Version(text) for text in limits):
        return False
    is_in = False
    for kind, at in sorted(((kind, _at(text)) for kind, text in told if kind != "limit"), key=_in_order):
        if kind == "introduced" and (at is None or version >= at):
            is_in = True
        elif at is not None and ((kind == "fixed" and version >= at) or (kind == "last_affected" and version > at)):
            is_in = False
    return is_in


def _at(text: str) -> Version | None:
    return None if text == _BEGINNING else Version(text)


def _in_order(event: tuple[str, Version | None]) -> tuple[bool, Version, bool]:
    kind, at = event
    # What is fixed in a version is so whatever began with it.
    return at is not None, at or Version("0"), kind != "introduced"


def _version(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None


def _advisory(
    record: Record, name: NormalizedName, version: Version, affected: Record, *, is_certain: bool
) -> Advisory:
    events = [event for each in affected.get("ranges") or () for event in each.get("events") or ()]
    fixed = {event["fixed"] for event in events if "fixed" in event and _version(event["fixed"]) is not None}
    later = sorted(Version(text) for text in fixed if Version(text) > version)
    return Advisory(
        ids=frozenset({record["id"], *(record.get("aliases") or ())}),
        package=name,
        version=version,
        summary=_one_line(record.get("summary") or record.get("details") or ""),
        fixed_in=tuple(map(str, later)),
        is_certain=is_certain,
    )


def _one_line(text: object) -> str:
    """The first line, without what would steer the terminal that shows it."""
    return "".join(filter(str.isprintable, str(text).strip().partition("\n")[0]))
