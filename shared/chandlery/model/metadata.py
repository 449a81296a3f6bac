"""Object metadata as Kubernetes defines it (apimachinery `meta/v1`)."""

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, Field, PlainSerializer

from chandlery.model.wire import WireModel


def to_timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC with whole seconds, the form of `metav1.Time`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


Timestamp = Annotated[
    datetime, AfterValidator(_aware), PlainSerializer(to_timestamp, return_type=str, when_used="json")
]


class OwnerReference(WireModel):
    """The object that this one belongs to."""

    api_version: str = Field(description="API version of the owner.")
    kind: str = Field(description="Kind of the owner.")
    name: str = Field(description="Name of the owner.")
    uid: str = Field(description="UID of the owner.")
    controller: bool | None = Field(default=None, description="Whether the owner manages this object.")
    block_owner_deletion: bool | None = Field(
        default=None, description="Whether foreground deletion of the owner waits for this object."
    )


class ObjectMeta(WireModel):
    """Standard object metadata."""

    name: str = Field(default="", description="Name, unique within the namespace (or the whole server) and the kind.")
    generate_name: str | None = Field(default=None, description="Prefix from which the server makes a unique name.")
    namespace: str | None = Field(default=None, description="Namespace; absent for cluster-scoped objects.")
    self_link: str | None = Field(default=None, description="URL path of the object. Read-only.")
    uid: str | None = Field(default=None, description="Unique in time and space. Read-only.")
    resource_version: str | None = Field(default=None, description="Opaque version for concurrency and watches.")
    generation: int | None = Field(default=None, description="Counts the changes of the specification. Read-only.")
    creation_timestamp: Timestamp | None = Field(default=None, description="When the object was created. Read-only.")
    deletion_timestamp: Timestamp | None = Field(default=None, description="When deletion was asked for. Read-only.")
    deletion_grace_period_seconds: int | None = Field(default=None, description="Always 0 here. Read-only.")
    labels: dict[str, str] | None = Field(default=None, description="Labels that selectors match.")
    annotations: dict[str, str] | None = Field(default=None, description="Free text that tools attach.")
    owner_references: list[OwnerReference] | None = Field(default=None, description="Objects this one depends on.")
    finalizers: list[str] | None = Field(default=None, description="What still has to happen before removal.")
    managed_fields: list[dict[str, Any]] | None = Field(
        default=None, description="Accepted for compatibility and not kept: there is no server-side apply."
    )
