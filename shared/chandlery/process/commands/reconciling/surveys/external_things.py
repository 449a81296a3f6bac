"""What a service broker has, or had: by its ids there, and as far as it is known by its object here. Plain data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from chandlery.model.objects import kinds
from chandlery.model.objects.kinds import Kind
from chandlery.model.objects.wire import JsonObject
from chandlery.process.commands.imports.import_entries import Place
from chandlery.reconcile.reconcile_result import broker_label


class ThingKey(NamedTuple):
    """An instance, or a binding of one, at a service broker."""

    lane: str
    instance_id: str
    binding_id: str = ""


@dataclass(frozen=True, kw_only=True)
class Thing:
    """One that somebody knows of."""

    key: ThingKey
    place: Place = ("", "")
    """Of its object; empty if nobody knows it."""
    uid: str = ""
    service_id: str = ""
    plan_id: str = ""
    is_gone: bool = False
    """It was deleted, as far as the record goes."""
    is_going: bool = False
    """The broker was deleting it when it was last heard of."""
    document: JsonObject | None = field(default=None, repr=False)
    """Its object, if the record has that."""

    @property
    def kind(self) -> Kind:
        """Of its object."""
        return kinds.SERVICE_BINDING if self.key.binding_id else kinds.SERVICE_INSTANCE

    @property
    def external_id(self) -> str:
        """The id that is its own."""
        return self.key.binding_id or self.key.instance_id

    @property
    def broker(self) -> str:
        """`namespace/name`, or `name`."""
        return broker_label(self.key.lane)


class Difference(StrEnum):
    """Where a service broker and the database are not of one mind."""

    NOT_HERE = "not here"
    """The broker has it, and the database knows nothing of it."""
    NOT_THERE = "not there"
    """The database has it, and the broker does not."""
    OTHER_CREDENTIALS = "other credentials"
    """The binding is here, and was rotated since: the broker has it under another id."""
    OTHER_PLAN = "other plan"
    """The instance is here, and was updated since."""
    NO_ID = "no id"
    """The audit log tells of it, and not by what id its broker knows it."""
    UNANSWERED = "unanswered"
    """The broker could not be asked."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One difference."""

    difference: Difference
    thing: Thing
    is_asked: bool = True
    """Whether the broker has said so; else the record does."""
    note: str = ""
    told: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """What the broker has answered: plan, parameters, dashboard."""
