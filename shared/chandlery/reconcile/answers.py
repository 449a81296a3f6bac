"""What a service broker answered, as data. The OSB client makes answers; the state machines absorb them."""

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from chandlery.model.objects.wire import JsonObject
from chandlery.reconcile.secrecy.known_secrets import NO_SECRETS, KnownSecrets


@dataclass(frozen=True, kw_only=True)
class CatalogMark:
    """All of it is optional (OSB v2.17, "Catalog Management")."""

    etag: str | None = None
    last_modified: str | None = None
    """As the broker said it; used only without an `etag`, which is the exacter of the two."""
    digest: str | None = None
    """SHA-256 of the body, for brokers without validators."""


NO_REASON: Final = "the broker gave no reason"
"""A status and its phrase are none."""


class Verb(StrEnum):
    """An OSB request. The names are those of the reference's metric."""

    GET_CATALOG = "GetCatalog"
    PROVISION = "ProvisionInstance"
    UPDATE = "UpdateInstance"
    DEPROVISION = "DeprovisionInstance"
    POLL_INSTANCE = "PollLastOperation"
    GET_INSTANCE = "GetInstance"
    BIND = "Bind"
    UNBIND = "Unbind"
    POLL_BINDING = "PollBindingLastOperation"
    GET_BINDING = "GetBinding"


class Verdict(StrEnum):
    """How an answer is to be read (OSB v2.17, table of orphan mitigation and the sections of each request)."""

    SUCCEEDED = "succeeded"
    """200 or 201 as the request's section allows; on last_operation, the state `succeeded`."""
    ACCEPTED = "accepted"
    """202 to a request that allowed it: poll."""
    IN_PROGRESS = "in progress"
    """last_operation says so."""
    OPERATION_FAILED = "operation failed"
    """last_operation says `failed`."""
    GONE = "gone"
    """410."""
    UNCHANGED = "unchanged"
    """304 to a conditional catalog request, or the very catalog that is known already."""
    REJECTED = "rejected"
    """Any other 4xx, or 3xx: nothing has changed at the broker."""
    MALFORMED = "malformed"
    """A success status whose body cannot be read."""
    UNEXPECTED = "unexpected"
    """Any other 2xx."""
    BROKEN = "broken"
    """5xx."""
    TIMED_OUT = "timed out"
    """No complete answer in time, or the connection broke after the request was written."""
    UNREACHABLE = "unreachable"
    """Nothing was written: DNS, connect or TLS failed."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One answer. `body` may hold credentials, so it is left out of the repr."""

    verb: Verb
    verdict: Verdict
    status: int | None = None
    """HTTP status, if there was one."""
    error: str | None = None
    """The broker's error code, such as `ConcurrencyError`."""
    description: str | None = None
    """The broker's own words, or ours where it gave none."""
    body: JsonObject = field(default_factory=dict, repr=False)
    """The parsed JSON object; empty if there was none."""
    retry_after_seconds: float | None = None
    """`Retry-After`, already turned into seconds from now."""
    etag: str | None = None
    """Validator of a catalog."""
    last_modified: str | None = None
    """The other validator of a catalog."""
    digest: str | None = None
    """SHA-256 of a catalog's body."""
    secrets: KnownSecrets = field(default=NO_SECRETS, repr=False, compare=False)
    """What may not be shown of `body` either. From `error` and `description` it is struck already."""
    is_too_large: bool = False
    """Whether the body was not read because of its size."""

    def knowing(self, secrets: KnownSecrets) -> "Answer":
        """The answer with these values, and the credentials that it brings, to be struck out of its words."""
        return replace(self, secrets=secrets.and_those_of(*filter(None, (self.body.get("credentials"),))))

    def struck(self) -> "Answer":
        """The answer with all secrets that it knows struck out of the broker's words."""
        self.secrets.get_ready()
        error, description = (words and self.secrets.strike(words) for words in (self.error, self.description))
        return replace(self, error=error, description=description)

    @property
    def operation(self) -> str | None:
        """The broker's key for its asynchronous operation."""
        operation = self.body.get("operation")
        return operation if isinstance(operation, str) else None

    @property
    def sentence(self) -> str:
        """What to tell people: status, code and the broker's words."""
        parts = []
        if self.status is not None:
            parts.append(f"Status: {self.status}")
        if self.error:
            parts.append(f"ErrorMessage: {self.error}")
        if self.description:
            parts.append(f"Description: {self.description}")
        return "; ".join(parts) or str(self.verdict)


def call_failure(what: str, answer: Answer) -> str:
    """One sentence: `what` failed ("bind call"), and what the broker, or the way to it, had to say."""
    if answer.verdict in (Verdict.TIMED_OUT, Verdict.UNREACHABLE):
        return f"Error communicating with the broker during the {what}: {answer.sentence}"
    return f"The {what} failed: {answer.sentence}"
