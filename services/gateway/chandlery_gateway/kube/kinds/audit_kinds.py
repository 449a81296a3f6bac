"""`audit.chandlery.io/v1`: the events of the audit log as objects that can be listed and read, and nothing else.

An `AuditEvent` is an `Event` of Kubernetes' `audit.k8s.io/v1` with the metadata of an object: what Kubernetes writes to
files only has no name there. They have a table of their own, and no change log: they never change.
"""

from typing import Any, Final, Literal

from pydantic import Field

from chandlery.model.json.json_text import read_written
from chandlery.model.objects.instances import UserInfo
from chandlery.model.objects.kinds import Kind
from chandlery.model.objects.metadata import MicroTimestamp, ObjectMeta
from chandlery.model.objects.wire import JsonObject, WireModel

GROUP: Final = "audit.chandlery.io"


class AuditObjectReference(WireModel):
    """What a request was about."""

    resource: str | None = Field(default=None, description="Plural of the kind.")
    namespace: str | None = Field(default=None, description="Namespace of the object.")
    name: str | None = Field(default=None, description="Name of the object.")
    uid: str | None = Field(default=None, description="UID of the object, as far as it was found.")
    api_group: str | None = Field(default=None, description="API group; none for the core group.")
    api_version: str | None = Field(default=None, description="API version.")
    subresource: str | None = Field(default=None, description="Such as `status`.")


class AuditEvent(WireModel):
    """Something that was done through the API, or with credentials, and by whom."""

    api_version: Literal["audit.chandlery.io/v1"] = "audit.chandlery.io/v1"
    kind: Literal["AuditEvent"] = "AuditEvent"
    metadata: ObjectMeta = ObjectMeta()
    level: str = Field(default="", description="How much was recorded: Metadata or Request.")
    audit_id: str = Field(
        default="", alias="auditID", description="Id of the request, as its answer said in `Audit-ID`."
    )
    stage: str = Field(default="", description="RequestReceived, ResponseStarted (of a watch) or ResponseComplete.")
    request_uri: str = Field(default="", alias="requestURI", description="Path and query, without secrets.")
    verb: str = Field(default="", description="What was done, as in RBAC.")
    user: UserInfo = Field(default=UserInfo(), description="Whose credentials the request carried.")
    impersonated_user: UserInfo | None = Field(default=None, description="Whom it counted as, if that is another.")
    source_ips: list[str] | None = Field(default=None, alias="sourceIPs", description="Where it came from.")
    user_agent: str | None = Field(default=None, description="Client program.")
    object_ref: AuditObjectReference | None = Field(default=None, description="What it was about.")
    response_status: dict[str, Any] | None = Field(default=None, description="Code and reason of the answer.")
    request_object: Any = Field(default=None, description="What was sent, without secret values; at level Request.")
    request_received_timestamp: MicroTimestamp | None = Field(default=None, description="When it came.")
    stage_timestamp: MicroTimestamp | None = Field(default=None, description="When the stage was reached.")
    annotations: dict[str, str] | None = Field(default=None, description="Decisions and why, latency.")


AUDIT_EVENT: Final = Kind(
    "AuditEvent",
    "auditevents",
    AuditEvent,
    namespaced=False,
    group=GROUP,
    version="v1",
    has_status=False,
    categories=(),
    body_fields=("level", "auditID", "stage", "requestURI", "verb", "user"),
    verbs=("get", "list"),
)


def as_object(name: str, text: str) -> JsonObject:
    """The object of a stored event."""
    event: JsonObject = read_written(text)
    received = str(event.get("requestReceivedTimestamp", ""))
    metadata = {"name": name, "creationTimestamp": f"{received.partition('.')[0]}Z"}
    head = {"apiVersion": AUDIT_EVENT.api_version, "kind": AUDIT_EVENT.kind, "metadata": metadata}
    return {**head, **{key: value for key, value in event.items() if key not in head}}
