"""Bodies in `application/vnd.kubernetes.protobuf`: what kubectl's typed commands send (`create secret`, `create ns`).

Four bytes, then an envelope (`runtime.Unknown` of apimachinery) that names the kind and holds the object's message.
Only kinds of Kubernetes have a message (`protobuf_layouts`). Fields that are not declared there are passed over, as
kube-apiserver does. The object becomes the JSON document that the same client would have sent, and is checked as that.
"""

from base64 import b64encode
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from google.protobuf.message import DecodeError

from chandlery.model.faults import BadRequest
from chandlery.model.objects.wire import JsonObject
from chandlery_gateway.kube.protobuf.protobuf_layouts import DELETE_OPTIONS, EXTRA_VALUE, MESSAGES, OBJECTS
from chandlery_gateway.kube.protobuf.protobuf_messages import Field, MessageSet, Shape
from chandlery_gateway.kube.query.negotiation import UnsupportedMediaType

PROTOBUF: Final = "application/vnd.kubernetes.protobuf"

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
            "objects of this kind have no protobuf form here; send application/json or application/yaml"
        )
    if envelope.contentEncoding or envelope.contentType not in {"", PROTOBUF}:
        raise _malformed("what it holds is encoded or of another type")
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
