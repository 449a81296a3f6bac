"""The few Kubernetes core kinds that the standalone gateway serves itself: Namespace, Secret, Event."""

from typing import Any, Literal

from pydantic import Field

from chandlery.model.metadata import MicroTimestamp, ObjectMeta, Timestamp
from chandlery.model.wire import WireModel


class NamespaceSpec(WireModel):
    """What still holds a namespace."""

    finalizers: tuple[str, ...] | None = Field(default=None, description="Always `kubernetes`.")


class NamespaceStatus(WireModel):
    """Seen state of a namespace."""

    phase: Literal["Active", "Terminating"] = Field(default="Active", description="Active or Terminating.")


class Namespace(WireModel):
    """A scope for names."""

    api_version: Literal["v1"] = "v1"
    kind: Literal["Namespace"] = "Namespace"
    metadata: ObjectMeta = ObjectMeta()
    spec: NamespaceSpec = NamespaceSpec()
    status: NamespaceStatus = NamespaceStatus()


class Secret(WireModel):
    """Small confidential data. Encrypted before it reaches the database."""

    api_version: Literal["v1"] = "v1"
    kind: Literal["Secret"] = "Secret"
    metadata: ObjectMeta = ObjectMeta()
    data: dict[str, str] | None = Field(default=None, description="Base64 values.", repr=False)
    string_data: dict[str, str] | None = Field(default=None, description="Plain values; write-only.", repr=False)
    type: str = Field(default="Opaque", description="What the keys mean.")
    immutable: bool | None = Field(default=None, description="Refuse changes of the data.")


class EventSource(WireModel):
    """Who recorded an event."""

    component: str = Field(default="", description="Name of the component.")
    host: str | None = Field(default=None, description="Where it ran.")


class InvolvedObject(WireModel):
    """What an event is about."""

    api_version: str | None = None
    kind: str | None = None
    namespace: str | None = None
    name: str | None = None
    uid: str | None = None
    resource_version: str | None = None
    field_path: str | None = None


class Event(WireModel):
    """A recorded event: what happened to an object, for people to read."""

    api_version: Literal["v1"] = "v1"
    kind: Literal["Event"] = "Event"
    metadata: ObjectMeta = ObjectMeta()
    involved_object: InvolvedObject = InvolvedObject()
    reason: str = Field(default="", description="One CamelCase word.")
    message: str = Field(default="", description="A sentence for people.")
    source: EventSource = EventSource()
    first_timestamp: Timestamp | None = None
    last_timestamp: Timestamp | None = None
    count: int = 1
    type: str = Field(default="Normal", description="Normal or Warning.")
    event_time: MicroTimestamp | None = None
    reporting_component: str | None = None
    reporting_instance: str | None = None
    action: str | None = None
    related: dict[str, Any] | None = None
    series: dict[str, Any] | None = None
