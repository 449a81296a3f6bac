"""What is told of each object of a dump, and of all of them together. Plain data."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from chandlery.model.objects.kinds import AnyObject, Kind
from chandlery.model.objects.wire import JsonObject
from chandlery.process.takeover import Stance

Place = tuple[str, str]
"""Namespace and name; the namespace is empty for objects that are in none."""


class Verdict(StrEnum):
    """What becomes of an object."""

    CREATE = "create"
    THERE = "already there"
    UNFIT = "does not fit"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One object of the dump."""

    kind: Kind
    place: Place
    verdict: Verdict
    stance: Stance | None = None
    """Of instances and bindings that are created, and of those that an earlier import has held."""
    why: str = ""
    """Why it does not fit and what helps; what is left to do for one that is held, or follows on what is polled."""
    remarks: tuple[str, ...] = ()
    """What is told of one that fits all the same."""


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """An object that is to be stored, with its work."""

    document: AnyObject
    lane: str = ""
    stance: Stance | None = None
    memory: JsonObject = field(default_factory=dict)
    sealed: JsonObject | None = field(default=None, repr=False)

    @property
    def uid(self) -> str:
        """The one that it is stored with."""
        return self.document.metadata.uid or ""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What is told of an object, and what is to be stored, if anything is."""

    entry: Entry
    prepared: Prepared | None = None


@dataclass
class Summary:
    """How many objects of which kind have come to what."""

    counts: Counter[tuple[str, Verdict]] = field(default_factory=Counter)
    stances: Counter[Stance] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    """About the whole."""

    def count(self, entries: Iterable[Entry]) -> None:
        """Add these."""
        for entry in entries:
            self.counts[entry.kind.kind, entry.verdict] += 1
            if entry.stance is not None:
                self.stances[entry.stance] += 1

    def total(self, verdict: Verdict) -> int:
        """How many have come to this."""
        return sum(count for (_, found), count in self.counts.items() if found == verdict)
