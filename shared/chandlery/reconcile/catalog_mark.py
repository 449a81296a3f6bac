"""What is remembered of a catalog, to learn whether it is still the same: the syncer keeps it, the client uses it."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class CatalogMark:
    """All of it is optional (OSB v2.17, "Catalog Management")."""

    etag: str | None = None
    last_modified: str | None = None
    """As the broker said it; used only without an `etag`, which is the exacter of the two."""
    digest: str | None = None
    """SHA-256 of the body, for brokers without validators."""
