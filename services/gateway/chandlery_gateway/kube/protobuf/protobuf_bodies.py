"""Bodies in `application/vnd.kubernetes.protobuf`: what kubectl's typed commands send (`create secret`, `create ns`).

Four bytes, then an envelope (`runtime.Unknown` of apimachinery) that names the kind and holds the object's message.
Only kinds of Kubernetes have a message (`protobuf_messages`). Fields that are not declared there are passed over, as
kube-apiserver does. The object becomes the JSON document that the same client would have sent, and is checked as that.
Imported with the first such body: the library takes 3 MB, and most clients send JSON.
"""

from base64 import b64encode
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from google.protobuf.message import DecodeError

from chandlery.model.faults import BadRequest
from chandlery.model.objects.wire import JsonObject
from chandlery_gateway.kube.protobuf.protobuf_messages import Field, MessageSet, Shape
from chandlery_gateway.kube.query.negotiation import PROTOBUF, UnsupportedMediaType

DELETE_OPTIONS: Final = "DeleteOptions"
EXTRA_VALUE: Final = "ExtraValue"
OBJECTS: Final = {
    ("v1", "Namespace"): "Namespace",
    ("v1", "Secret"): "Secret",
    ("v1", "Event"): "Event",
    ("v1", "ServiceAccount"): "ServiceAccount",
    ("events.k8s.io/v1", "Event"): "RegardingEvent",
    ("rbac.authorization.k8s.io/v1", "Role"): "Role",
    ("rbac.authorization.k8s.io/v1", "ClusterRole"): "ClusterRole",
    ("rbac.authorization.k8s.io/v1", "RoleBinding"): "RoleBinding",
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"): "RoleBinding",
    ("authorization.k8s.io/v1", "SelfSubjectAccessReview"): "SelfSubjectAccessReview",
    ("authorization.k8s.io/v1", "SubjectAccessReview"): "AccessReview",
    ("authorization.k8s.io/v1", "LocalSubjectAccessReview"): "AccessReview",
    ("authorization.k8s.io/v1", "SelfSubjectRulesReview"): "SelfSubjectRulesReview",
    ("authentication.k8s.io/v1", "SelfSubjectReview"): "SelfSubjectReview",
    ("authentication.k8s.io/v1beta1", "SelfSubjectReview"): "SelfSubjectReview",
    ("authentication.k8s.io/v1", "TokenRequest"): "TokenRequest",
    ("authentication.k8s.io/v1", "TokenReview"): "TokenReview",
}
"""apiVersion and kind of an object -> its message."""
# Go writes text and numbers even if they are empty, and leaves those out of JSON unless they are pointers: "?" here.
MESSAGES: Final = {
    "Unknown": "1 typeMeta TypeMeta, 2 raw bytes, 3 contentEncoding, 4 contentType",
    "TypeMeta": "1 apiVersion, 2 kind",
    "Time": "1 seconds ?int64, 2 nanos int32",
    "MicroTime": "1 seconds ?int64, 2 nanos int32",
    "ObjectMeta": "1 name, 2 generateName, 3 namespace, 4 selfLink, 5 uid, 6 resourceVersion, 7 generation int64,"
    "8 creationTimestamp Time, 9 deletionTimestamp Time, 10 deletionGracePeriodSeconds ?int64, 11 labels {}string,"
    "12 annotations {}string, 13 ownerReferences []OwnerReference, 14 finalizers []string",
    "OwnerReference": "1 kind, 3 name, 4 uid, 5 apiVersion, 6 controller ?bool, 7 blockOwnerDeletion ?bool",
    "Namespace": "1 metadata ObjectMeta, 2 spec NamespaceSpec, 3 status NamespaceStatus",
    "NamespaceSpec": "1 finalizers []string",
    "NamespaceStatus": "1 phase, 2 conditions []NamespaceCondition",
    "NamespaceCondition": "1 type, 2 status, 4 lastTransitionTime Time, 5 reason, 6 message",
    "Secret": "1 metadata ObjectMeta, 2 data {}bytes, 3 type, 4 stringData {}string, 5 immutable ?bool",
    "Event": "1 metadata ObjectMeta, 2 involvedObject ObjectReference, 3 reason, 4 message, 5 source EventSource,"
    "6 firstTimestamp Time, 7 lastTimestamp Time, 8 count int32, 9 type, 10 eventTime MicroTime,"
    "11 series EventSeries, 12 action, 13 related ObjectReference, 14 reportingComponent, 15 reportingInstance",
    "EventSeries": "1 count int32, 2 lastObservedTime MicroTime",
    "EventSource": "1 component, 2 host",
    "ObjectReference": "1 kind, 2 namespace, 3 name, 4 uid, 5 apiVersion, 6 resourceVersion, 7 fieldPath",
    "LocalObjectReference": "1 name",
    "ServiceAccount": "1 metadata ObjectMeta, 2 secrets []ObjectReference,"
    "3 imagePullSecrets []LocalObjectReference, 4 automountServiceAccountToken ?bool",
    "PolicyRule": "1 verbs []string, 2 apiGroups []string, 3 resources []string, 4 resourceNames []string,"
    "5 nonResourceURLs []string",
    "LabelSelector": "1 matchLabels {}string, 2 matchExpressions []LabelSelectorRequirement",
    "LabelSelectorRequirement": "1 key, 2 operator, 3 values []string",
    "AggregationRule": "1 clusterRoleSelectors []LabelSelector",
    "Role": "1 metadata ObjectMeta, 2 rules []PolicyRule",
    "ClusterRole": "1 metadata ObjectMeta, 2 rules []PolicyRule, 3 aggregationRule AggregationRule",
    "Subject": "1 kind, 2 apiGroup, 3 name, 4 namespace",
    "RoleRef": "1 apiGroup, 2 kind, 3 name",
    "RoleBinding": "1 metadata ObjectMeta, 2 subjects []Subject, 3 roleRef RoleRef",
    "TokenRequest": "1 metadata ObjectMeta, 2 spec TokenRequestSpec",
    "TokenRequestSpec": "1 audiences []string, 3 boundObjectRef BoundObjectReference, 4 expirationSeconds ?int64",
    "BoundObjectReference": "1 kind, 2 apiVersion, 3 name, 4 uid",
    "TokenReview": "1 metadata ObjectMeta, 2 spec TokenReviewSpec",
    "TokenReviewSpec": "1 token, 2 audiences []string",
    DELETE_OPTIONS: "1 gracePeriodSeconds ?int64, 2 preconditions Preconditions, 3 orphanDependents ?bool,"
    "4 propagationPolicy ?string, 5 dryRun []string",
    "Preconditions": "1 uid ?string, 2 resourceVersion ?string",
    "RegardingEvent": "1 metadata ObjectMeta, 2 eventTime MicroTime, 3 series EventSeries, 4 reportingController,"
    "5 reportingInstance, 6 action, 7 reason, 8 regarding ObjectReference, 9 related ObjectReference, 10 note, 11 type,"
    "12 deprecatedSource EventSource, 13 deprecatedFirstTimestamp Time, 14 deprecatedLastTimestamp Time,"
    "15 deprecatedCount int32",
    "ResourceAttributes": "1 namespace, 2 verb, 3 group, 4 version, 5 resource, 6 subresource, 7 name",
    "NonResourceAttributes": "1 path, 2 verb",
    "SelfAccessReviewSpec": "1 resourceAttributes ResourceAttributes, 2 nonResourceAttributes NonResourceAttributes",
    "SelfSubjectAccessReview": "1 metadata ObjectMeta, 2 spec SelfAccessReviewSpec",
    "AccessReviewSpec": "1 resourceAttributes ResourceAttributes, 2 nonResourceAttributes NonResourceAttributes,"
    f"3 user, 4 groups []string, 5 extra {{}}{EXTRA_VALUE}, 6 uid",
    EXTRA_VALUE: "1 items []string",
    "AccessReview": "1 metadata ObjectMeta, 2 spec AccessReviewSpec",
    "RulesReviewSpec": "1 namespace",
    "SelfSubjectRulesReview": "1 metadata ObjectMeta, 2 spec RulesReviewSpec",
    "SelfSubjectReview": "1 metadata ObjectMeta",
}


_MAGIC: Final = b"k8s\0"
_TIMES: Final = {"Time": "seconds", "MicroTime": "microseconds"}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MESSAGES: Final = MessageSet("chandlery.kubernetes", MESSAGES)


def parse_protobuf(payload: bytes) -> JsonObject:
    """The JSON document of one of Kubernetes' own objects, or of DeleteOptions: bytes in base64, times in RFC 3339.

    Raises:
        BadRequest: malformed; the message has nothing of the body.
        UnsupportedMediaType: an object of another kind or version, such as those of the catalog.
    """
    if not payload.startswith(_MAGIC):
        raise _malformed("it does not begin with the four bytes that mark it")
    envelope = _parsed("Unknown", payload.removeprefix(_MAGIC))
    api_version, kind = envelope.typeMeta.apiVersion, envelope.typeMeta.kind
    if not kind:
        raise _malformed("it does not name its kind")
    # Every API group has the same DeleteOptions under its own version.
    message = DELETE_OPTIONS if kind == DELETE_OPTIONS else OBJECTS.get((api_version, kind))
    if message is None:
        raise UnsupportedMediaType(
            "objects of this kind have no protobuf form; send application/json or application/yaml"
        )
    if envelope.contentEncoding or envelope.contentType not in {"", PROTOBUF}:
        raise _malformed("its content is encoded or of another type")
    return {"apiVersion": api_version, "kind": kind, **_document(message, _parsed(message, envelope.raw))}


def _malformed(problem: str) -> BadRequest:
    return BadRequest(f"the request body is not valid Kubernetes protobuf: {problem}")


def _parsed(name: str, encoded: bytes) -> Any:
    message = _MESSAGES.new(name)
    try:
        message.ParseFromString(encoded)
    except DecodeError:
        pass
    else:
        return message
    # Raised out here so that the foreign error is not carried along.
    raise _malformed(f"the message {name} cannot be read")


def _document(name: str, message: Any) -> JsonObject:
    fields = _MESSAGES.fields(name)
    values = {found.name: _value(fields[found.name], value) for found, value in message.ListFields()}
    return {key: value for key, value in values.items() if value is not None}


def _value(field: Field, value: Any) -> Any:
    match field.shape:
        case Shape.REPEATED:
            return [_single(field, item) for item in value]
        case Shape.MAP:
            return {key: _single(field, item) for key, item in sorted(value.items())}
    return _single(field, value)


def _single(field: Field, value: Any) -> Any:
    if field.type == "bytes":
        return b64encode(value).decode()
    if field.is_scalar:
        return value
    if field.type in _TIMES:
        return _moment(value, _TIMES[field.type])
    if field.type == EXTRA_VALUE:
        # A list within a map, which protobuf has no other way to write.
        return list(value.items)
    return _document(field.type, value)


def _moment(time: Any, timespec: str) -> str | None:
    if not time.ListFields():
        # The zero time of Go, which is null in JSON.
        return None
    try:
        moment = _EPOCH + timedelta(seconds=time.seconds, microseconds=time.nanos // 1000)
    except OverflowError as error:
        raise _malformed("it has a time before the year 1 or after 9999") from error
    return moment.isoformat(timespec=timespec).replace("+00:00", "Z")
