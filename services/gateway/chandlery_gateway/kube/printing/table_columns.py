"""The columns of `kubectl get`, per kind. Names, order and sources are the reference's; kubectl capitalises names."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from chandlery.model.history.recorded_operations import OperationOutcome
from chandlery.model.objects.kinds import Kind
from chandlery.model.objects.wire import JsonObject
from chandlery_gateway.kube.kinds.regarding_events import REGARDING_EVENT, as_involved

_UNKNOWN = "<unknown>"
_MINUTE = 60
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR
_YEAR = 365 * _DAY


def age(since: str | None, *, now: datetime) -> str:
    """The AGE cell of an object created at this RFC 3339 time; `<unknown>` without one."""
    if not since:
        return _UNKNOWN
    return human_duration(now - datetime.fromisoformat(since))


def human_duration(length: timedelta) -> str:
    """The duration in at most two units, coarser the longer it is; two seconds of clock skew count as none."""
    seconds = int(length.total_seconds())
    if seconds < 0:
        return "0s" if seconds >= -1 else "<invalid>"
    if seconds < 2 * _MINUTE:
        return f"{seconds}s"
    if seconds < 10 * _MINUTE:
        return _two_units(seconds, (_MINUTE, "m"), (1, "s"))
    if seconds < 3 * _HOUR:
        return f"{seconds // _MINUTE}m"
    if seconds < 8 * _HOUR:
        return _two_units(seconds, (_HOUR, "h"), (_MINUTE, "m"))
    if seconds < 2 * _DAY:
        return f"{seconds // _HOUR}h"
    if seconds < 8 * _DAY:
        return _two_units(seconds, (_DAY, "d"), (_HOUR, "h"))
    if seconds < 2 * _YEAR:
        return f"{seconds // _DAY}d"
    if seconds < 8 * _YEAR:
        return _two_units(seconds, (_YEAR, "y"), (_DAY, "d"))
    return f"{seconds // _YEAR}y"


def _two_units(seconds: int, large: tuple[int, str], small: tuple[int, str]) -> str:
    whole, rest = divmod(seconds, large[0])
    part = rest // small[0]
    return f"{whole}{large[1]}{part}{small[1]}" if part else f"{whole}{large[1]}"


Cell = str | int


@dataclass(frozen=True, slots=True)
class Column:
    """One column; those of priority 1 are shown by `-o wide` only."""

    name: str
    description: str
    cell: Callable[[JsonObject, datetime], Cell]
    type: str = "string"
    format: str = ""
    priority: int = 0

    def definition(self) -> JsonObject:
        """The entry of `columnDefinitions`."""
        return {
            "name": self.name,
            "type": self.type,
            "format": self.format,
            "description": self.description,
            "priority": self.priority,
        }


def at(document: Any, *path: str) -> Any:
    """The value at the path, or the empty string."""
    for step in path:
        document = document.get(step) if isinstance(document, dict) else None
    return "" if document is None else document


def _text(name: str, path: str, description: str, *, priority: int = 0) -> Column:
    steps = path.split(".")
    return Column(name, description, lambda document, _now: str(at(document, *steps)), priority=priority)


def _since(name: str, description: str, *paths: str, kind: str = "string", priority: int = 0) -> Column:
    steps = [path.split(".") for path in paths]

    def cell(document: JsonObject, now: datetime) -> Cell:
        return age(next((moment for path in steps if (moment := at(document, *path))), None), now=now)

    return Column(name, description, cell, type=kind, priority=priority)


def _user_given(status_field: str, spec_fields: tuple[str, ...], *, prefixes: tuple[str, str]) -> Any:
    """What the user typed: the status has it once a worker looked at the instance, the specification always."""

    def cell(document: JsonObject, _now: datetime) -> Cell:
        shown = at(document, "status", status_field)
        if shown:
            return str(shown)
        spec = at(document, "spec")
        for prefix, scope in zip(prefixes, ("clusterService", "service"), strict=True):
            for field in spec_fields:
                if value := at(spec, scope + field):
                    return f"{prefix}{value}"
        return ""

    return cell


_CLASS_FIELDS: Final = ("ClassExternalName", "ClassExternalID", "ClassName")
_PLAN_FIELDS: Final = ("PlanExternalName", "PlanExternalID", "PlanName")

_NAME = Column(
    "Name", "Name of the object.", lambda document, _now: str(at(document, "metadata", "name")), format="name"
)
_CREATED_AT = "When the object was created."
_CREATED = "Time since the object was created."
# The reference's kinds are CRDs, whose AGE is of type date; core kinds have a string. Both carry the readable text.
_AGE = _since("Age", _CREATED, "metadata.creationTimestamp", kind="date")
_CORE_AGE = _since("Age", _CREATED, "metadata.creationTimestamp")
_STATUS = _text("Status", "status.lastConditionState", "Type of the last condition if it is True, else its reason.")
_EXTERNAL_NAME = _text("External-Name", "spec.externalName", "Name at the service broker.")
_BROKER = (_NAME, _text("URL", "spec.url", "Address of the service broker."), _STATUS, _AGE)


def _offering(broker_field: str, *further: Column) -> tuple[Column, ...]:
    return (_NAME, _EXTERNAL_NAME, _text("Broker", f"spec.{broker_field}", "Service broker."), *further, _AGE)


def _class_ref(field: str) -> Column:
    return _text("Class", f"spec.{field}.name", "Class that the plan belongs to.")


def _data_count(document: JsonObject, _now: datetime) -> Cell:
    return len(at(document, "data") or {})


def _secret_count(document: JsonObject, _now: datetime) -> Cell:
    return len(at(document, "secrets") or ())


def _created_at(document: JsonObject, _now: datetime) -> Cell:
    return str(at(document, "metadata", "creationTimestamp"))


def _role(document: JsonObject, _now: datetime) -> Cell:
    return f"{at(document, 'roleRef', 'kind')}/{at(document, 'roleRef', 'name')}"


def _subjects(name: str, kind: str) -> Column:
    def cell(document: JsonObject, _now: datetime) -> Cell:
        return ", ".join(_subject(each) for each in at(document, "subjects") or () if at(each, "kind") == kind)

    return Column(name, f"{name} in the roleBinding", cell, priority=1)


def _subject(subject: JsonObject) -> str:
    name = str(at(subject, "name"))
    return f"{at(subject, 'namespace')}/{name}" if at(subject, "kind") == "ServiceAccount" else name


def _involved(document: JsonObject, _now: datetime) -> Cell:
    involved = at(document, "involvedObject")
    return f"{str(at(involved, 'kind')).lower()}/{at(involved, 'name')}"


# What Kubernetes prints of kinds for which nobody has written columns.
_BARE = (_NAME, Column("Created At", _CREATED_AT, _created_at, type="date"))
_ROLE_BINDING = (
    _NAME,
    Column("Role", "The role that is given.", _role),
    _CORE_AGE,
    _subjects("Users", "User"),
    _subjects("Groups", "Group"),
    _subjects("ServiceAccounts", "ServiceAccount"),
)


def _object_ref(event: JsonObject, _now: datetime) -> Cell:
    reference = at(event, "objectRef") or {}
    parts = (reference.get("resource"), reference.get("name"), reference.get("subresource"))
    return "/".join(filter(None, parts)) or str(at(event, "requestURI"))


def _annotation(event: JsonObject, name: str) -> Cell:
    return str(at(event, "annotations").get(f"authorization.k8s.io/{name}", "")) if at(event, "annotations") else ""


_COLUMNS: Final[dict[str, tuple[Column, ...]]] = {
    "ClusterServiceBroker": _BROKER,
    "ServiceBroker": _BROKER,
    "ClusterServiceClass": _offering("clusterServiceBrokerName"),
    "ServiceClass": _offering("serviceBrokerName"),
    "ClusterServicePlan": _offering("clusterServiceBrokerName", _class_ref("clusterServiceClassRef")),
    "ServicePlan": _offering("serviceBrokerName", _class_ref("serviceClassRef")),
    "ServiceInstance": (
        _NAME,
        Column(
            "Class",
            "Kind of the class, and the name in the specification.",
            _user_given("userSpecifiedClassName", _CLASS_FIELDS, prefixes=("ClusterServiceClass/", "ServiceClass/")),
        ),
        Column(
            "Plan",
            "Name of the plan in the specification.",
            _user_given("userSpecifiedPlanName", _PLAN_FIELDS, prefixes=("", "")),
        ),
        _STATUS,
        _AGE,
    ),
    "ServiceBinding": (
        _NAME,
        _text("Service-Instance", "spec.instanceRef.name", "Instance that is bound."),
        _text("Secret-Name", "spec.secretName", "Secret that holds the credentials."),
        _STATUS,
        _AGE,
    ),
    "Namespace": (_NAME, _text("Status", "status.phase", "Active or Terminating."), _CORE_AGE),
    "Secret": (
        _NAME,
        _text("Type", "type", "What the keys mean."),
        Column("Data", "Number of keys.", _data_count, type="integer"),
        _CORE_AGE,
    ),
    "ServiceAccount": (_NAME, Column("Secrets", "Number of Secrets.", _secret_count, type="integer"), _CORE_AGE),
    "Role": _BARE,
    "ClusterRole": _BARE,
    "RoleBinding": _ROLE_BINDING,
    "ClusterRoleBinding": _ROLE_BINDING,
    "Event": (
        _since("Last Seen", "Time since it last happened.", "lastTimestamp", "eventTime", "firstTimestamp"),
        _text("Type", "type", "Normal or Warning."),
        _text("Reason", "reason", "What happened, in one word."),
        Column("Object", "Object it happened to.", _involved),
        _text("Source", "source.component", "Component that recorded it.", priority=1),
        _text("Message", "message", "What happened, in a sentence."),
        _since("First Seen", "Time since it first happened.", "firstTimestamp", "eventTime", priority=1),
        Column(
            "Count", "How often it happened.", lambda event, _now: int(at(event, "count") or 1), "integer", priority=1
        ),
        Column(
            "Name",
            "Name of the event.",
            lambda event, _now: str(at(event, "metadata", "name")),
            format="name",
            priority=1,
        ),
    ),
}
_COLUMNS["AuditEvent"] = (
    _since("Age", "Time since the request came.", "requestReceivedTimestamp"),
    _text("User", "user.username", "Whose credentials the request carried."),
    _text("Acting-As", "impersonatedUser.username", "Whom it counted as, if that is another.", priority=1),
    _text("Verb", "verb", "What was done."),
    Column("Object", "What it was done with.", _object_ref),
    _text("Namespace", "objectRef.namespace", "Namespace of the object."),
    Column("Code", "Code of the answer.", lambda event, _now: int(at(event, "responseStatus", "code") or 0), "integer"),
    Column("Decision", "Whether it was allowed.", lambda event, _now: _annotation(event, "decision")),
    Column("Why", "What allowed or forbade it.", lambda event, _now: _annotation(event, "reason"), priority=1),
    Column("Source", "Address it came from.", lambda event, _now: " ".join(at(event, "sourceIPs") or ()), priority=1),
    _text("Agent", "userAgent", "Client program.", priority=1),
    _text("Stage", "stage", "How far it had come.", priority=1),
    replace(_NAME, description="Name of the event.", priority=1),
)


def _took(operation: JsonObject, now: datetime) -> Cell:
    if at(operation, "outcome") == OperationOutcome.UNKNOWN:
        # Its end is noticed some time later, by whoever looks for what nobody looks after.
        return _UNKNOWN
    began, ended = str(at(operation, "startTime")), str(at(operation, "completionTime"))
    return human_duration((datetime.fromisoformat(ended) if ended else now) - datetime.fromisoformat(began))


def _said(operation: JsonObject, *path: str) -> Cell:
    status, message = str(at(operation, *path, "brokerStatus")), str(at(operation, *path, "message"))
    return ": ".join(filter(None, (status, message)))


def _operation(*of: Column) -> tuple[Column, ...]:
    return (
        *of,
        _text("Operation", "operation", "What was done."),
        _text("Reason", "reason", "Why."),
        _text("Requested-By", "requestedBy", "On whose behalf."),
        Column(
            "Attempts",
            "Requests to the service broker, without polls.",
            lambda operation, _now: int(at(operation, "attempts") or 0),
            "integer",
        ),
        _text("Outcome", "outcome", "What came of it."),
        Column("Duration", "How long it took, or has taken by now; unknown if its end is.", _took),
        _since("Age", "Time since it began.", "startTime"),
        Column("Answer", "What the service broker last answered.", lambda operation, _now: _said(operation)),
        Column(
            "Last-Failure",
            "What the last attempt that failed was answered.",
            lambda operation, _now: _said(operation, "lastFailure"),
            priority=1,
        ),
        _text("Broker", "broker", "Service broker.", priority=1),
        _text("External-ID", "externalID", "By which the service broker knows what it was about.", priority=1),
        _text("Trace-ID", "traceID", "Trace in which it began.", priority=1),
        replace(_NAME, description="Name of the operation.", priority=1),
    )


_INSTANCE: Final = _text("Instance", "instanceRef.name", "Service instance.")
_COLUMNS["ServiceInstanceOperation"] = _operation(_INSTANCE)
_COLUMNS["ServiceBindingOperation"] = _operation(_text("Binding", "bindingRef.name", "Service binding."), _INSTANCE)


def _of_core(column: Column) -> Column:
    return replace(column, cell=lambda event, now: column.cell(as_involved(event), now))


_REGARDING: Final = tuple(_of_core(column) for column in _COLUMNS["Event"])


def columns_of(kind: Kind) -> tuple[Column, ...]:
    """The columns of a kind; name and age for one that has none of its own."""
    return _REGARDING if kind == REGARDING_EVENT else _COLUMNS.get(kind.kind, (_NAME, _CORE_AGE))
