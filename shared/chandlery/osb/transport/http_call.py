"""One HTTP call and its reply as plain values: what the operation groups produce and the transport carries."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import quote

from chandlery.model.objects.wire import JsonObject
from chandlery.reconcile.answers import Verb

ANSWER_LIMIT = 1 << 20
"""Bytes that an ordinary answer may have: 1 MiB."""
ANSWER_VALUES = 50_000
"""JSON values and keys in an ordinary answer, which no Secret could hold either."""
CATALOG_LIMIT = 16 << 20
"""Bytes that a catalog may have, unless the operator says otherwise: 16 MiB."""
BYTES_FOR_ONE_VALUE = 32
"""A catalog may have one JSON value or key for so many bytes of its limit: 524,288 of them for 16 MiB."""

ACCEPTS_INCOMPLETE = ("accepts_incomplete", "true")

Query = tuple[tuple[str, str | None], ...]
"""Names and values; those without a value are left out."""

_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]*")


@dataclass(frozen=True, kw_only=True)
class CallSketch:
    """A call as the newest OSB describes it, before what an older one does not know is taken out."""

    verb: Verb
    method: str
    segments: tuple[str, ...]
    """Of the path, below `/v2/`."""
    query: Query = ()
    body: JsonObject | None = field(default=None, repr=False)
    """Keys whose value is None are left out."""


@dataclass(frozen=True, kw_only=True)
class HttpCall:
    """What to send. `target` is path and query below the broker's URL, percent-encoded already."""

    verb: Verb
    method: str
    target: str
    body: bytes | None = field(default=None, repr=False)
    headers: tuple[tuple[str, str], ...] = ()
    answer_limit: int = ANSWER_LIMIT
    """Bytes."""
    answer_values: int = ANSWER_VALUES
    asked_async: bool = False
    """Whether 202 is a legal answer."""
    conditional: bool = False
    """Whether 304 is a legal answer."""
    certain_timeout: bool = True
    """Whether 408 means that nothing has happened."""
    known_digest: str | None = None
    """SHA-256 of the catalog that is known already: the same body once more counts as unchanged, and is not read."""


@dataclass(frozen=True, kw_only=True)
class HttpReply:
    """What came back."""

    status: int
    body: bytes | None = field(default=b"", repr=False)
    """None if it was longer than the call's limit."""
    retry_after: str | None = None
    etag: str | None = None
    last_modified: str | None = None
    length: int | None = None
    """Bytes that the body was announced with."""
    content_type: str | None = None
    """What the broker calls the body, which may be wrong."""


def target(*segments: str, query: Query = ()) -> str:
    """`/v2/<segment>/...?name=value`, each part encoded once (OSB v2.17, "URL Properties"); absent values left out.

    Only RFC 3986's unreserved characters stay as they are, so a space becomes `%20`.
    """
    path = "/v2/" + "/".join(map(_encoded_segment, segments))
    pairs = "&".join(f"{name}={_encoded(value)}" for name, value in query if value is not None)
    return f"{path}?{pairs}" if pairs else path


def _encoded_segment(segment: str) -> str:
    # An id of dots alone would climb up the path at the next proxy.
    return "%2E" * len(segment) if segment in (".", "..") else _encoded(segment)


def _encoded(text: str) -> str:
    # Nearly all ids are UUIDs, and `quote` is slow on what needs no quoting.
    return text if _UNRESERVED.fullmatch(text) else quote(text, safe="")


@dataclass(kw_only=True)
class Progress:
    """Mutable; belongs to one call."""

    written: bool = False
    """Some connection was handed to the request, so the broker may have seen it."""
    on_used_connection: bool = False
    """The connection had served another request before."""
    head: HttpReply | None = None
    """Status and headers, once they are there."""
    when_connected: Callable[[], None] | None = None
    """Called with the first connection."""

    def connected(self, *, reused: bool) -> None:
        """A connection was found or made; writing begins."""
        if not self.written and self.when_connected is not None:
            self.when_connected()
        self.written = True
        self.on_used_connection = reused
