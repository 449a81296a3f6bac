"""The few Kubernetes core kinds that the standalone gateway serves itself: Namespace, Secret, Event, ServiceAccount."""

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field, PrivateAttr

from chandlery.model.objects.annotations import UNREADABLE
from chandlery.model.objects.brokers import LocalObjectReference
from chandlery.model.objects.metadata import MicroTimestamp, ObjectMeta, Timestamp
from chandlery.model.objects.wire import WireModel
from chandlery.model.text.clean_text import clean_event
from chandlery.model.text.said import Said


@dataclass(frozen=True)
class RecordedFact:
    """A reason for machines, a sentence for people, and whether it is a warning."""

    reason: str
    message: str
    is_warning: bool = False

    def __post_init__(self) -> None:
        # Whoever records it, and whatever it repeats: it is fit to be shown.
        object.__setattr__(self, "message", clean_event(self.message))


class NamespaceSpec(WireModel):
    """What still holds a namespace."""

    finalizers: tuple[str, ...] | None = Field(default=None, description="Always `kubernetes`.")


class NamespaceCondition(WireModel):
    """What still keeps a namespace that is to go; Kubernetes' types, reasons and words (core/v1)."""

    # Clients send namespaces of clusters, which have more types.
    type: str = Field(default="", description="NamespaceContentRemaining or NamespaceFinalizersRemaining.")
    status: str = Field(default="", description="True, False or Unknown.")
    last_transition_time: Timestamp | None = Field(default=None, description="When the status last changed.")
    reason: str = Field(default="", description="One CamelCase word for machines.")
    message: Said = Field(default="", description="A sentence for people.")


class NamespaceStatus(WireModel):
    """Seen state of a namespace."""

    phase: Literal["Active", "Terminating"] = Field(default="Active", description="Active or Terminating.")
    conditions: tuple[NamespaceCondition, ...] | None = Field(
        default=None, description="What a namespace that is being deleted still waits for."
    )


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
    immutable: bool | None = Field(default=None, description="Whether changes of the data are refused.")
    _sealed: str | None = PrivateAttr(default=None)

    def sealed_as(self, sealed: str | None, *, why: str = "") -> "Secret":
        """The Secret with what the store has of it and cannot open, which stays when the Secret is written.

        In place of its own annotations one tells `why`. None: it has data of its own again.
        """
        annotations = {UNREADABLE: why} if sealed else None
        hidden = self.model_copy(update={"metadata": self.metadata.model_copy(update={"annotations": annotations})})
        hidden._sealed = sealed  # noqa: SLF001 - of this very class
        return hidden

    @property
    def sealed(self) -> str | None:
        """What does not open; None for a Secret that can be read."""
        return self._sealed


class EventSource(WireModel):
    """Who recorded an event."""

    component: str = Field(default="", description="Name of the component.")
    host: str | None = Field(default=None, description="Where it ran.")


class ObjectIdentity(WireModel):
    """Another object, as far as it is known."""

    api_version: str | None = Field(default=None, description="API version of the object.")
    kind: str | None = Field(default=None, description="Kind of the object.")
    namespace: str | None = Field(default=None, description="Namespace of the object.")
    name: str | None = Field(default=None, description="Name of the object.")
    uid: str | None = Field(default=None, description="UID of the object.")
    resource_version: str | None = Field(default=None, description="Version of the object at that time.")
    field_path: str | None = Field(default=None, description="The part of the object that is meant.")


class InvolvedObject(ObjectIdentity):
    """What an event is about."""


class Event(WireModel):
    """A recorded event: what happened to an object, for people to read."""

    api_version: Literal["v1"] = "v1"
    kind: Literal["Event"] = "Event"
    metadata: ObjectMeta = ObjectMeta()
    involved_object: InvolvedObject = Field(default=InvolvedObject(), description="Object it happened to.")
    reason: str = Field(default="", description="One CamelCase word.")
    message: str = Field(default="", description="A sentence for people.")
    source: EventSource = Field(default=EventSource(), description="Component that recorded it.")
    first_timestamp: Timestamp | None = Field(default=None, description="When it first happened.")
    last_timestamp: Timestamp | None = Field(default=None, description="When it last happened.")
    count: int = Field(default=1, description="How often it happened.")
    type: str = Field(default="Normal", description="Normal or Warning.")
    event_time: MicroTimestamp | None = Field(default=None, description="When it was first seen.")
    reporting_component: str | None = Field(
        default=None, description="Component that recorded it, for newer recorders."
    )
    reporting_instance: str | None = Field(default=None, description="Process that recorded it.")
    action: str | None = Field(default=None, description="Action that was taken.")
    related: dict[str, Any] | None = Field(default=None, description="A related object.")
    series: dict[str, Any] | None = Field(default=None, description="How often it happened: count, lastObservedTime.")


class ServiceAccount(WireModel):
    """A user that is a program: `system:serviceaccount:<namespace>:<name>`, with tokens of its own."""

    api_version: Literal["v1"] = "v1"
    kind: Literal["ServiceAccount"] = "ServiceAccount"
    metadata: ObjectMeta = ObjectMeta()
    secrets: tuple[ObjectIdentity, ...] | None = Field(
        default=None, description="Secrets for its pods. Kept for tools that write it; means nothing here."
    )
    image_pull_secrets: tuple[LocalObjectReference, ...] | None = Field(
        default=None, description="Secrets for pulling images. Kept for tools that write it; means nothing here."
    )
    automount_service_account_token: bool | None = Field(
        default=None, description="Whether pods are given a token. Kept for tools that write it; means nothing here."
    )
