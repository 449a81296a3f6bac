"""What the state machine of a service broker looks at, and what it may decide. Plain data, no I/O."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from chandlery.model.brokers import AnyBroker, ObjectReference
from chandlery.model.durations import parse_duration
from chandlery.model.wire import WireModel
from chandlery.reconcile.change import broker_key, secret_key
from chandlery.reconcile.offering import Unresolved

CATALOG_FORMAT = 1
"""Raise it when classes or plans are made differently: then no validator of an earlier release counts."""


class Leftovers(WireModel):
    """Classes and plans, by object name, that the broker no longer offers and that instances still use."""

    classes: tuple[str, ...] = ()
    plans: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.classes or self.plans)


NO_LEFTOVERS = Leftovers()


class BrokerMemory(WireModel):
    """The syncer's notes on a service broker."""

    etag: str | None = None
    """Validator of the catalog that the stored classes and plans were made from."""
    etag_url: str = ""
    etag_generation: int = 0
    etag_format: int = 0
    tried_generation: int = 0
    """The generation that the present failures are about."""
    leftovers: Leftovers = Leftovers()


@dataclass(frozen=True, kw_only=True)
class BrokerSnapshot:
    """All that `decide` and the outcomes may know."""

    broker: AnyBroker
    memory: BrokerMemory
    access: Unresolved | None = None
    """Why the broker cannot be called, if so."""
    instances: int = 0
    """How many instances it still has; counted only when the broker is being deleted."""
    unused: Leftovers = NO_LEFTOVERS
    """Those of the leftovers that no instance uses any more."""
    attempt: int = 0
    relist_interval: timedelta = timedelta(hours=24)
    """Time between fetches, for brokers that do not say."""
    operation_timeout: timedelta = timedelta(days=7)

    @property
    def generation(self) -> int:
        """The wish that is looked at."""
        return self.broker.metadata.generation or 1

    @property
    def lane(self) -> str:
        """The lane of the broker's instances."""
        return broker_key(self.broker.metadata.namespace, self.broker.metadata.name)

    @property
    def etag(self) -> str | None:
        """The validator to send, if what it stands for is what the specification asks for now."""
        memory = self.memory
        present = (self.broker.spec.url, self.generation, CATALOG_FORMAT)
        return memory.etag if (memory.etag_url, memory.etag_generation, memory.etag_format) == present else None

    @property
    def interval(self) -> timedelta | None:
        """Time between fetches; None if only a new specification brings one."""
        spec = self.broker.spec
        if spec.relist_behavior == "Manual":
            return None
        try:
            wanted = parse_duration(spec.relist_duration) if spec.relist_duration else timedelta(0)
        except ValueError:
            # Admission refuses these; one that is stored all the same must not stop the syncer.
            wanted = timedelta(0)
        return wanted if wanted > timedelta(0) else self.relist_interval

    @property
    def relist_at(self) -> datetime | None:
        """When the catalog is fetched again; None for never, or if it never was."""
        last = self.broker.status.last_catalog_retrieval_time
        return last + self.interval if last and self.interval else None

    @property
    def credentials_key(self) -> str | None:
        """The wake-up key of the Secret with the broker's credentials."""
        auth: Any = self.broker.spec.auth_info
        holder = auth and (auth.basic or auth.bearer)
        reference = holder and holder.secret_ref
        if not reference:
            return None
        namespace = reference.namespace if isinstance(reference, ObjectReference) else self.broker.metadata.namespace
        return secret_key(namespace, reference.name)


@dataclass(frozen=True)
class Idle:
    """Nothing is due."""


@dataclass(frozen=True)
class Inaccessible:
    """The broker cannot be called before somebody provides what is missing."""

    access: Unresolved


@dataclass(frozen=True)
class Blocked:
    """The broker is to go, and instances still need it."""

    instances: int


@dataclass(frozen=True)
class Fetch:
    """Ask the broker for its catalog, or whether it is still the one with this validator."""

    etag: str | None


@dataclass(frozen=True)
class Tidy:
    """Remove leftovers that nobody uses any more."""


@dataclass(frozen=True)
class Dismantle:
    """The broker goes, and its classes and plans with it."""


Task = Fetch | Tidy | Dismantle
Action = Idle | Inaccessible | Blocked | Task
