"""What the syncer writes down about a service broker, beside it and for itself. Plain data."""

from pydantic import ConfigDict, Field

from chandlery.model.objects.wire import WireModel

CATALOG_FORMAT = 3
"""Raise it when classes or plans are made differently: then no notes of an earlier release on a catalog count."""


class Leftovers(WireModel):
    """Classes and plans, by object name, that the broker no longer offers and that instances still use."""

    classes: tuple[str, ...] = ()
    plans: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.classes or self.plans)


NO_LEFTOVERS = Leftovers()


class StoredCount(WireModel):
    """How many classes and plans of a broker are stored."""

    classes: int = 0
    plans: int = 0


NOTHING_STORED = StoredCount()


class KnownCatalog(WireModel):
    """The catalog that the stored classes and plans were made from, and how to learn that it is still the same."""

    etag: str | None = None
    last_modified: str | None = None
    digest: str | None = None
    """SHA-256 of its body."""
    url: str = ""
    generation: int = 0
    access: str = ""
    """Fingerprint of the credentials it was had with: another user may see another catalog."""
    format: int = 0
    stored: StoredCount = NOTHING_STORED
    """What was made of it. If people have removed or added some, it is taken over once more."""
    note: str = ""
    """What people are told of it beside that it was had: that it is empty, or that some of it is left out."""


UNKNOWN = KnownCatalog()


class Compared(WireModel):
    """What the known catalog was last held against. Not a part of `KnownCatalog`, where older releases refuse it."""

    model_config = ConfigDict(extra="ignore")

    spec: str = ""
    """Digest of what the specification asks for, but for when the catalog is to be read."""
    versions: str = ""
    """Of all that was stored, before any of it was changed."""


class BrokerMemory(WireModel):
    """The syncer's notes on a service broker. What another release has noted and this one does not know is dropped."""

    model_config = ConfigDict(extra="ignore", validate_by_name=True)

    known: KnownCatalog = UNKNOWN
    compared: Compared = Compared()
    tried_generation: int = 0
    """The generation that the present failures are about."""
    leftovers: Leftovers = NO_LEFTOVERS
    retry_seen: str = ""
    """The request to try again that was last carried out."""
    revision_seen: int = Field(default=0, validation_alias="wishesSeen", serialization_alias="wishesSeen")
    """How often the broker had been made due when it was last looked at."""
    relist_asked: bool = False
    """Whether the catalog turned out to be out of date once more, too soon after it was fetched for that."""
    relisted_at: float = 0.0
    """Unix time of the last fetch of a catalog that turned out to be out of date."""
