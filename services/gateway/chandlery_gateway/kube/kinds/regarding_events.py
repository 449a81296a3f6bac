"""`events.k8s.io/v1`: the recorded events once more, under the names that Kubernetes' newer group has for their fields.

They are stored as core events, and everything behind decoding knows only these. Rule: kube-apiserver serves one storage
under both groups.
"""

from typing import Any, Final, Literal

from pydantic import Field

from chandlery.model.objects.core import Event, EventSource, InvolvedObject
from chandlery.model.objects.kinds import EVENT, Kind
from chandlery.model.objects.metadata import MicroTimestamp, ObjectMeta, Timestamp
from chandlery.model.objects.wire import JsonObject, WireModel

GROUP: Final = "events.k8s.io"
_NAMES: Final = {
    "regarding": "involvedObject",
    "note": "message",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
    "reportingController": "reportingComponent",
}
"""Field of the newer group -> field of the core group; all others are called the same."""
_CORE_NAMES: Final = {core: name for name, core in _NAMES.items()}


class RegardingEvent(WireModel):
    """A recorded event: what happened to an object, for people to read."""

    api_version: Literal["events.k8s.io/v1"] = "events.k8s.io/v1"
    kind: Literal["Event"] = "Event"
    metadata: ObjectMeta = ObjectMeta()
    event_time: MicroTimestamp | None = Field(default=None, description="When it was first seen.")
    series: dict[str, Any] | None = Field(default=None, description="How often it happened: count, lastObservedTime.")
    reporting_controller: str | None = Field(default=None, description="Component that recorded it.")
    reporting_instance: str | None = Field(default=None, description="Process that recorded it.")
    action: str | None = Field(default=None, description="Action that was taken.")
    reason: str = Field(default="", description="One CamelCase word.")
    regarding: InvolvedObject = Field(default=InvolvedObject(), description="Object it happened to.")
    related: dict[str, Any] | None = Field(default=None, description="A related object.")
    note: str = Field(default="", description="A sentence for people.")
    type: str = Field(default="Normal", description="Normal or Warning.")
    deprecated_source: EventSource = Field(
        default=EventSource(), description="Component that recorded it, in the core group."
    )
    deprecated_first_timestamp: Timestamp | None = Field(default=None, description="When it first happened.")
    deprecated_last_timestamp: Timestamp | None = Field(default=None, description="When it last happened.")
    deprecated_count: int = Field(default=1, description="How often it happened.")


REGARDING_EVENT: Final = Kind(
    EVENT.kind,
    EVENT.plural,
    # The model of what is stored; `RegardingEvent` is what clients send and see.
    Event,
    group=GROUP,
    version="v1",
    has_status=False,
    short_names=EVENT.short_names,
    categories=(),
    body_fields=EVENT.body_fields,
)


def sent_model(kind: Kind) -> type[Any]:
    """What a client sends for an object of the kind."""
    return RegardingEvent if kind == REGARDING_EVENT else kind.model


def as_regarding(wire: JsonObject) -> JsonObject:
    """A core event under the names of the newer group."""
    return {**_renamed(wire, _CORE_NAMES), "apiVersion": REGARDING_EVENT.api_version}


def as_involved(wire: JsonObject) -> JsonObject:
    """An event of the newer group under the names of the core group, in which it is stored."""
    return {**_renamed(wire, _NAMES), "apiVersion": EVENT.api_version}


def regarding_path(path: str) -> str:
    """`involvedObject.name` -> `regarding.name`."""
    first, dot, rest = path.partition(".")
    return f"{_CORE_NAMES.get(first, first)}{dot}{rest}"


def _renamed(wire: JsonObject, names: dict[str, str]) -> JsonObject:
    return {names.get(key, key): value for key, value in wire.items()}
