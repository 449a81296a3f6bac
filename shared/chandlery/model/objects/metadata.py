"""Object metadata as Kubernetes defines it (apimachinery `meta/v1`)."""

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, Field, GetJsonSchemaHandler, PlainSerializer, TypeAdapter
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from chandlery.model.objects.wire import JsonObject, WireModel


def to_timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC with whole seconds, the form of `metav1.Time`."""
    in_utc = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return in_utc.replace(microsecond=0, tzinfo=None).isoformat() + "Z"


def to_micro_timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC with six digits after the seconds, without which `metav1.MicroTime` cannot be read."""
    # Not by strftime, which writes years before 1000 with less than four digits.
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _aware(moment: datetime) -> datetime:
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    try:
        aware.astimezone(UTC)
    except OverflowError:
        # East of Greenwich the calendar begins some hours before its first year, west of it it ends after the last.
        raise PydanticCustomError("datetime_out_of_range", "is beyond the calendar in UTC") from None
    return aware


Timestamp = Annotated[
    datetime, AfterValidator(_aware), PlainSerializer(to_timestamp, return_type=str, when_used="json")
]

MicroTimestamp = Annotated[
    datetime, AfterValidator(_aware), PlainSerializer(to_micro_timestamp, return_type=str, when_used="json")
]


FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"
DELETION_POLICIES = frozenset({FOREGROUND, ORPHAN})
"""Finalizers by which Kubernetes notes how a deletion is meant: dependents first, or dependents stay."""


NamespacedName = tuple[str, str]
"""Namespace and name of an object, as Kubernetes calls the two together; no namespace is empty."""


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


class ManagedFieldsEntry(WireModel):
    """Which fields of an object one manager owns, by one kind of operation."""

    manager: str = Field(default="", description="Name of the manager: a program or a person.")
    operation: str = Field(description="`Apply` for server-side apply, `Update` for every other write.")
    api_version: str = Field(description="API version that the fields are of.")
    time: Timestamp | None = Field(default=None, description="When the manager last took ownership of a field.")
    fields_type: str = Field(default="FieldsV1", description="Form of the fields: always `FieldsV1`.")
    fields_v1: JsonObject | None = Field(default=None, alias="fieldsV1", description="The fields, as a tree.")
    subresource: str = Field(default="", description="`status` for writes to it; empty for all others.")


class _ShownAs:
    """Lets a text be documented as the list that clients see of it."""

    def __init__(self, shown: Any) -> None:
        self._schema = TypeAdapter(shown).core_schema

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(self._schema)


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
    deletion_timestamp: Timestamp | None = Field(default=None, description="When deletion was requested. Read-only.")
    deletion_grace_period_seconds: int | None = Field(default=None, description="Always 0 here. Read-only.")
    labels: dict[str, str] | None = Field(default=None, description="Labels that selectors match.")
    annotations: dict[str, str] | None = Field(default=None, description="Free text that tools attach.")
    owner_references: list[OwnerReference] | None = Field(default=None, description="Objects this one depends on.")
    finalizers: list[str] | None = Field(default=None, description="What must happen before the object is removed.")
    managed_fields: Annotated[str | None, _ShownAs(list[ManagedFieldsEntry] | None)] = Field(
        default=None,
        exclude=True,
        description="Who owns which fields, for server-side apply. Set by the server; `[]` clears it.",
    )
    """One JSON text: whoever has no use for it should pay nothing. The gateway shows clients the list that it holds."""
