"""What the state machine of a service broker may decide, before its task and after it. Plain data, no I/O."""

from dataclasses import dataclass
from enum import StrEnum

from chandlery.reconcile.answers import Answer, CatalogMark
from chandlery.reconcile.offering import Unresolved
from chandlery.reconcile.reconcile_result import Idle
from chandlery_syncer.catalog.catalog_objects import Offerings
from chandlery_syncer.facts.fetched_catalog import FetchedCatalog


class FetchReason(StrEnum):
    """Why a catalog is fetched."""

    SPECIFICATION = "specification"
    """It was never fetched as it is specified now."""
    NOT_READY = "not ready"
    NEVER_FETCHED = "never fetched"
    REQUESTED = "requested"
    """A user asks for it."""
    OUT_OF_DATE = "out of date"
    """Somebody has found out that the catalog is another by now."""
    INTERVAL = "interval"
    """It is old enough."""


@dataclass(frozen=True)
class PostponeRelist:
    """The catalog was found out of date too soon after it was fetched for that."""


@dataclass(frozen=True)
class Inaccessible:
    """The broker cannot be called before somebody provides what is missing."""

    access: Unresolved


@dataclass(frozen=True)
class Blocked:
    """The broker is to go, and instances still need it."""

    instances: int


@dataclass(frozen=True)
class FetchCatalog:
    """Ask the broker for its catalog, or whether it is still the marked one."""

    mark: CatalogMark | None
    reasons: tuple[FetchReason, ...]

    @property
    def is_relist(self) -> bool:
        """Whether that settles that the catalog was found out of date."""
        return FetchReason.OUT_OF_DATE in self.reasons


@dataclass(frozen=True)
class Tidy:
    """Remove leftovers that nobody uses any more."""


@dataclass(frozen=True)
class Dismantle:
    """The broker goes, and its classes and plans with it; `is_forced` although instances need it."""

    is_forced: bool = False


Task = FetchCatalog | Tidy | Dismantle
Action = Idle | PostponeRelist | Inaccessible | Blocked | Task


@dataclass(frozen=True)
class RemoveOfferings:
    """Remove the classes and plans, and then the broker; `is_forced`: those in use stay, and the broker goes."""

    is_forced: bool


@dataclass(frozen=True)
class LeaveAlone:
    """Nothing is to be written."""


@dataclass(frozen=True)
class RemoveUnused:
    """Remove the leftovers that nobody uses any more."""


@dataclass(frozen=True)
class KeepCatalog:
    """The catalog is the one that is known."""

    answer: Answer
    is_relist: bool


@dataclass(frozen=True)
class FailFetch:
    """The broker did not hand out its catalog."""

    answer: Answer


@dataclass(frozen=True)
class RefuseCatalog:
    """The catalog breaks the rules."""

    problem: str


@dataclass(frozen=True)
class TakeOver:
    """Make the stored classes and plans those of the catalog, unless it contradicts another broker's."""

    fetched: FetchedCatalog
    desired: Offerings
    is_relist: bool


Step = RemoveOfferings | LeaveAlone | RemoveUnused | KeepCatalog | FailFetch | RefuseCatalog | TakeOver
