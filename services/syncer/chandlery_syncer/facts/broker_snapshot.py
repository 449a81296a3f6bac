"""What the state machine of a service broker looks at, and what it may decide. Plain data, no I/O."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from chandlery.model.json.json_text import write_json
from chandlery.model.objects.annotations import RequestedActions, requested_actions_of
from chandlery.model.objects.brokers import AnyBroker, auth_secrets
from chandlery.model.objects.conditions import ConditionType, is_true
from chandlery.model.text.durations import parse_duration
from chandlery.reconcile.answers import CatalogMark
from chandlery.reconcile.offering import Unresolved
from chandlery.reconcile.policies.broker_policy import DEFAULT_POLICY, BrokerPolicy
from chandlery.reconcile.reconcile_result import broker_key, secret_key
from chandlery.retry.circuit import OpenCircuit
from chandlery_syncer.facts.broker_notes import (
    CATALOG_FORMAT,
    NO_LEFTOVERS,
    NOTHING_STORED,
    BrokerMemory,
    Compared,
    Leftovers,
    StoredCount,
)

RELIST_PAUSE = timedelta(seconds=10)
_WHEN_TO_READ = {"relist_requests", "relist_behavior", "relist_duration"}
_SHORTEST_INTERVAL = timedelta(seconds=1)
"""Between two fetches that only a catalog found out of date asks for: a thousand instances may find out at once."""


@dataclass(frozen=True, kw_only=True)
class BrokerSnapshot:
    """All that `decide` and the outcomes may know."""

    broker: AnyBroker
    memory: BrokerMemory
    access: Unresolved | None = None
    """Why the broker cannot be called, if so."""
    instances: int = 0
    """How many instances it still has; counted only when the broker is being deleted."""
    named_instances: tuple[str, ...] = ()
    """Some of them by name, for people."""
    unused: Leftovers = NO_LEFTOVERS
    """Those of the leftovers that no instance uses any more."""
    stored: StoredCount = NOTHING_STORED
    """How many of its classes and plans there are."""
    versions: str = ""
    """Another text as soon as anybody has written, added or removed one of them."""
    access_fingerprint: str = ""
    """Of the credentials; empty without any."""
    attempt: int = 0
    revision: int = 0
    """How often the broker has been made due, by whomever."""
    relist_interval: timedelta = timedelta(hours=24)
    """Time between fetches, for brokers that do not say."""
    policy: BrokerPolicy = DEFAULT_POLICY
    circuit: OpenCircuit | None = None
    """Why workers hold back calls to the broker, if so."""

    @property
    def generation(self) -> int:
        """The number of the specification that is looked at."""
        return self.broker.metadata.generation or 1

    @property
    def lane(self) -> str:
        """The lane of the broker's instances."""
        return broker_key(self.broker.metadata.namespace, self.broker.metadata.name)

    @property
    def requested_actions(self) -> RequestedActions:
        """What the broker's annotations ask for."""
        return requested_actions_of(self.broker.metadata)

    @property
    def is_retry_asked(self) -> bool:
        """Whether somebody wants the catalog fetched now, and it has not been since."""
        return self.requested_actions.retry not in ("", self.memory.retry_seen)

    @property
    def is_relist_asked(self) -> bool:
        """Whether the catalog was found to be out of date: that wakes a broker at rest, and little else does.

        An instance that goes does so too while there are leftovers. Then the catalog may be fetched for nothing, which
        only a broker that is to be left alone must be spared.
        """
        if self.memory.relist_asked:
            return True
        is_explained = self.unused or self.is_declared_anew or self.is_circuit_news
        is_woken = self.revision != self.memory.revision_seen and not is_explained
        return is_woken and not (self.memory.leftovers and self.interval is None)

    @property
    def is_declared_anew(self) -> bool:
        """Whether the specification has changed, or somebody wants it tried: then calls are made again as well."""
        return self.is_retry_asked or self.broker.status.reconciled_generation != self.generation

    @property
    def is_circuit_news(self) -> bool:
        """Whether workers have begun or ceased to hold back calls since the status was written."""
        return is_true(self.broker.status.conditions, ConditionType.CIRCUIT_OPEN) != (self.circuit is not None)

    @property
    def may_relist_at(self) -> datetime:
        """When a catalog that is out of date may be fetched."""
        return datetime.fromtimestamp(self.memory.relisted_at, UTC) + RELIST_PAUSE

    @property
    def mark(self) -> CatalogMark | None:
        """What to tell an unchanged catalog by, if that stands for what the specification asks for now."""
        known = self.memory.known
        present = (self.broker.spec.url, self.access_fingerprint, CATALOG_FORMAT, self.stored)
        if self.is_retry_asked or (known.url, known.access, known.format, known.stored) != present:
            return None
        if known.generation == self.generation:
            return CatalogMark(etag=known.etag, last_modified=known.last_modified, digest=known.digest)
        # On request it is read whatever the broker says of it, and what people have made of our copy is mended.
        is_same = self.memory.compared == Compared(spec=self.spec_digest, versions=self.versions)
        return CatalogMark(digest=known.digest) if is_same and known.digest else None

    @property
    def spec_digest(self) -> str:
        """Of what the specification asks for, but for when the catalog is to be read."""
        wanted = self.broker.spec.model_dump(mode="json", exclude=_WHEN_TO_READ)
        return hashlib.sha256(write_json(wanted)).hexdigest()

    @property
    def interval(self) -> timedelta | None:
        """Time between fetches, at least a second; None if only a new specification brings one."""
        spec = self.broker.spec
        if spec.relist_behavior == "Manual":
            return None
        try:
            wanted = parse_duration(spec.relist_duration) if spec.relist_duration else timedelta(0)
        except ValueError:
            # Admission refuses these; one that is stored all the same must not stop the syncer.
            wanted = timedelta(0)
        return max(wanted, _SHORTEST_INTERVAL) if wanted > timedelta(0) else self.relist_interval

    @property
    def relist_at(self) -> datetime | None:
        """When the catalog is fetched again; None for never, or if it never was."""
        last = self.broker.status.last_catalog_retrieval_time
        return last + self.interval if last and self.interval else None

    @property
    def credentials_keys(self) -> tuple[str, ...]:
        """The wake-up keys of the Secrets with the broker's credentials."""
        return tuple(secret_key(*secret) for _, secret in auth_secrets(self.broker))


def secret_of(broker: AnyBroker) -> tuple[str, str] | None:
    """Namespace and name of the Secret with the broker's credentials; of several the one that requests carry."""
    return next((secret for _, secret in auth_secrets(broker)), None)
