"""Protobuf bodies are written here byte by byte: field numbers do not come from the declaration under test."""

import struct

import pytest

from chandlery.model.faults import BadRequest, Invalid
from chandlery.model.objects.core import Event, Namespace, Secret
from chandlery.model.objects.kinds import EVENT, NAMESPACE, SECRET, SERVICE_INSTANCE, Kind
from chandlery_gateway.kube.body.bodies import parse_body
from chandlery_gateway.kube.body.decoding import Decoded, FieldValidation, decode_object
from chandlery_gateway.kube.protobuf.protobuf_bodies import parse_protobuf
from chandlery_gateway.kube.query.negotiation import JSON, PROTOBUF, NotAcceptable, UnsupportedMediaType, negotiate

# As Go writes it: empty text is there, the zero time is a message of no bytes.
NAMESPACE_BODY = (
    b"k8s\x00"
    b"\x0a\x0f\x0a\x02v1\x12\x09Namespace"  # 1 typeMeta { 1 apiVersion, 2 kind }
    b"\x12\x1c"  # 2 raw, 28 bytes
    b"\x0a\x14\x0a\x04team\x12\x00\x1a\x00\x22\x00\x2a\x00\x32\x00\x38\x00\x42\x00"  # 1 metadata { 1 name … 8 time }
    b"\x12\x00"  # 2 spec
    b"\x1a\x02\x0a\x00"  # 3 status { 1 phase }
    b"\x1a\x00\x22\x00"  # 3 contentEncoding, 4 contentType
)
SECRET_BODY = (
    b"k8s\x00"
    b"\x0a\x0c\x0a\x02v1\x12\x06Secret"
    b"\x12\x39"  # 57 bytes
    b"\x0a\x0e\x0a\x01s\x5a\x09\x0a\x03app\x12\x02db"  # 1 metadata { 1 name, 11 labels { 1 key, 2 value } }
    b"\x12\x0a\x0a\x04bits\x12\x02\xff\x00"  # 2 data, an entry
    b"\x12\x05\x0a\x01e\x12\x00"  # 2 data, another
    b"\x1a\x06Opaque"  # 3 type
    b"\x22\x0a\x0a\x04word\x12\x02hi"  # 4 stringData
    b"\x28\x00"  # 5 immutable
    b"\x1a\x00\x22\x00"
)


def delimited(number: int, content: bytes | str) -> bytes:
    """A field of bytes, text or a message; short ones are enough here."""
    encoded = content.encode() if isinstance(content, str) else content
    assert number < 16
    size = len(encoded)
    length = bytes([size]) if size < 0x80 else bytes([size & 0x7F | 0x80, size >> 7])
    return bytes([number << 3 | 2]) + length + encoded


def enveloped(kind: str, raw: bytes, *, api_version: str = "v1", rest: bytes = b"") -> bytes:
    type_meta = delimited(1, delimited(1, api_version) + delimited(2, kind))
    return b"k8s\x00" + type_meta + delimited(2, raw) + rest


def decode(kind: Kind, payload: bytes) -> Decoded:
    return decode_object(kind, payload, PROTOBUF, field_validation=FieldValidation.STRICT)


def test_protobuf_of_a_namespace_becomes_the_document_without_what_go_left_empty() -> None:
    assert parse_protobuf(NAMESPACE_BODY) == {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": "team"},
        "spec": {},
        "status": {},
    }
    decoded = decode(NAMESPACE, NAMESPACE_BODY).object
    assert isinstance(decoded, Namespace)
    assert decoded.metadata.name == "team"


def test_protobuf_of_a_secret_becomes_base64_text_and_plain_text() -> None:
    assert parse_protobuf(SECRET_BODY) == {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s", "labels": {"app": "db"}},
        "data": {"bits": "/wA=", "e": ""},
        "type": "Opaque",
        "stringData": {"word": "hi"},
        "immutable": False,
    }
    decoded = decode(SECRET, SECRET_BODY).object
    assert isinstance(decoded, Secret)
    assert decoded.data == {"bits": "/wA=", "e": ""}
    assert decoded.immutable is False


def test_protobuf_of_an_event_keeps_times_to_the_second_or_microsecond() -> None:
    # 1700000000 is 2023-11-14T22:13:20Z; metav1.Time drops what is smaller than a second, MicroTime does not.
    time = b"\x08\x80\xe2\xcf\xaa\x06\x10\xc0\xf2\xdd\xb6\x02"
    raw = (
        delimited(1, delimited(1, "e.1") + delimited(8, b"") + delimited(13, delimited(1, "K") + delimited(3, "n")))
        + delimited(
            2, delimited(1, "ServiceInstance") + delimited(3, "db") + delimited(4, "u-1") + delimited(5, "g/v1")
        )
        + delimited(3, "Reason")
        + delimited(5, delimited(1, "c") + delimited(2, ""))
        + delimited(6, time)
        + b"\x40\x07"  # 8 count
        + delimited(10, time)
        + delimited(11, b"\x08\x02" + delimited(2, b""))
        + delimited(14, "reporter")
    )
    document = parse_protobuf(enveloped("Event", raw))
    assert document == {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "e.1", "ownerReferences": [{"kind": "K", "name": "n"}]},
        "involvedObject": {"kind": "ServiceInstance", "name": "db", "uid": "u-1", "apiVersion": "g/v1"},
        "reason": "Reason",
        "source": {"component": "c"},
        "firstTimestamp": "2023-11-14T22:13:20Z",
        "count": 7,
        "eventTime": "2023-11-14T22:13:20.651655Z",
        "series": {"count": 2},
        "reportingComponent": "reporter",
    }


def test_an_event_in_protobuf_is_decoded_into_the_model() -> None:
    raw = delimited(1, delimited(1, "e.1")) + delimited(6, b"\x08\x80\xe2\xcf\xaa\x06") + delimited(10, b"\x08\x01")
    decoded = decode(EVENT, enveloped("Event", raw)).object
    assert isinstance(decoded, Event)
    assert decoded.to_wire()["firstTimestamp"] == "2023-11-14T22:13:20Z"
    assert decoded.to_wire()["eventTime"].startswith("1970-01-01T00:00:01")


def test_delete_options_in_protobuf_keep_zero_and_preconditions() -> None:
    raw = b"\x08\x00" + delimited(2, delimited(1, "u-1") + delimited(2, "7")) + delimited(4, "Background")
    payload = enveloped("DeleteOptions", raw + delimited(5, "All"), api_version="servicecatalog.k8s.io/v1beta1")
    body = parse_body(payload, PROTOBUF, find_repeated=False, takes_protobuf=True)
    assert body.document == {
        "apiVersion": "servicecatalog.k8s.io/v1beta1",
        "kind": "DeleteOptions",
        "gracePeriodSeconds": 0,
        "preconditions": {"uid": "u-1", "resourceVersion": "7"},
        "propagationPolicy": "Background",
        "dryRun": ["All"],
    }


def test_conditions_of_a_namespace_are_read_from_protobuf() -> None:
    condition = b"".join(delimited(number, text) for number, text in ((1, "C"), (2, "True"), (5, "R"), (6, "M")))
    raw = delimited(1, delimited(1, "team")) + delimited(3, delimited(1, "Terminating") + delimited(2, condition))
    status = decode(NAMESPACE, enveloped("Namespace", raw)).object.to_wire()["status"]
    assert status == {
        "phase": "Terminating",
        "conditions": [{"type": "C", "status": "True", "reason": "R", "message": "M"}],
    }


def test_fields_that_no_model_takes_are_passed_over_in_protobuf() -> None:
    managed_fields = b"\x8a\x01\x04\x0a\x02me"  # 17 managedFields { 1 manager }
    status = delimited(3, delimited(1, "Active") + delimited(9, delimited(1, "C")))
    raw = delimited(1, delimited(1, "team") + managed_fields + delimited(15, "cluster")) + status + b"\xa0\x06\x01"
    decoded = decode(NAMESPACE, enveloped("Namespace", raw))
    assert decoded.warnings == ()
    assert decoded.object.to_wire()["status"] == {"phase": "Active"}
    assert decoded.object.metadata.managed_fields is None


def test_decoding_refuses_protobuf_of_another_core_kind() -> None:
    with pytest.raises(BadRequest, match=r"the kind in the data \(Namespace\) does not match"):
        decode(SECRET, NAMESPACE_BODY)


def test_decoding_reports_fields_of_protobuf_as_those_of_json() -> None:
    raw = delimited(1, delimited(1, "team")) + delimited(3, delimited(1, "Odd"))
    with pytest.raises(Invalid) as caught:
        decode(NAMESPACE, enveloped("Namespace", raw))
    assert [problem.field for problem in caught.value.problems] == ["status.phase"]


@pytest.mark.parametrize("payload", [enveloped("ServiceInstance", b""), NAMESPACE_BODY, b"{}"])
def test_decoding_of_a_catalog_kind_asks_for_json_or_yaml_when_it_gets_protobuf(payload: bytes) -> None:
    with pytest.raises(UnsupportedMediaType, match="send application/json or application/yaml"):
        decode(SERVICE_INSTANCE, payload)


@pytest.mark.parametrize(
    ("api_version", "kind"),
    [
        ("servicecatalog.k8s.io/v1beta1", "ServiceInstance"),
        ("events.k8s.io/v1beta1", "Event"),
        ("v1", "Pod"),
        ("", "Secret"),
    ],
)
def test_protobuf_of_a_kind_without_declaration_asks_for_json_or_yaml(api_version: str, kind: str) -> None:
    with pytest.raises(UnsupportedMediaType, match="send application/json or application/yaml"):
        parse_protobuf(enveloped(kind, b"", api_version=api_version))


@pytest.mark.parametrize(
    ("payload", "problem"),
    [
        (b'{"kind":"Secret","data":{"p":"hunter2"}}', "the four bytes"),
        (b"k8s\x00\x12\x7fhunter2", "Unknown"),
        (b"k8s\x00" + delimited(2, "hunter2"), "does not name its kind"),
        (b"k8s\x00" + delimited(1, b"\xff\xff"), "Unknown"),
        (enveloped("Secret", b"\x12\x7f\x0a\x01p\x12\x07hunter2"), "Secret"),
        (enveloped("Secret", delimited(4, delimited(1, "p") + delimited(2, b"hunter2\xff"))), "Secret"),
        (enveloped("Secret", delimited(1, "hunter2")), "Secret"),
        (enveloped("Secret", b"", rest=delimited(3, "gzip")), "encoded"),
        (enveloped("Secret", b'{"p":"hunter2"}', rest=delimited(4, "application/json")), "of another type"),
        (enveloped("Event", delimited(6, b"\x08" + b"\xff" * 8 + b"\x7f")), "year"),
    ],
)
def test_malformed_protobuf_is_a_bad_request_and_nothing_of_it_is_told(payload: bytes, problem: str) -> None:
    with pytest.raises(BadRequest, match=problem) as caught:
        parse_protobuf(payload)
    told = f"{caught.value.message} {caught.value!r} {caught.value.__cause__!r} {caught.value.__context__!r}"
    assert "hunter2" not in told


def test_every_truncation_and_many_corruptions_of_a_secret_end_in_a_document_or_a_fault() -> None:
    cut = [SECRET_BODY[:size] for size in range(len(SECRET_BODY))]
    flipped = [
        SECRET_BODY[:at] + struct.pack("B", SECRET_BODY[at] ^ bit) + SECRET_BODY[at + 1 :]
        for at in range(4, len(SECRET_BODY))
        for bit in (1, 2, 8, 0x80)
    ]
    refused = 0
    for payload in cut + flipped:
        try:
            decode(SECRET, payload)
        except (BadRequest, Invalid, UnsupportedMediaType):
            refused += 1
    assert refused > len(cut) // 2


@pytest.mark.parametrize("accept", [f"{PROTOBUF},application/json", f"{PROTOBUF}, */*", f"{PROTOBUF};q=1,{JSON};q=0.1"])
def test_answers_to_clients_that_prefer_protobuf_are_json(accept: str) -> None:
    assert negotiate(accept).content_type == JSON


def test_clients_that_take_protobuf_alone_get_no_answer() -> None:
    with pytest.raises(NotAcceptable):
        negotiate(PROTOBUF)


def test_protobuf_of_a_review_becomes_its_document_with_lists_within_maps() -> None:
    attributes = delimited(1, "team") + delimited(2, "get") + delimited(5, "secrets") + delimited(7, "key")
    extra = delimited(5, delimited(1, "scopes") + delimited(2, delimited(1, "a") + delimited(1, "b")))
    spec = delimited(1, attributes) + delimited(3, "ann") + delimited(4, "dba") + extra + delimited(6, "u-1")
    raw = delimited(2, spec) + delimited(3, b"\x08\x00")
    document = parse_protobuf(enveloped("SubjectAccessReview", raw, api_version="authorization.k8s.io/v1"))
    assert document["spec"] == {
        "resourceAttributes": {"namespace": "team", "verb": "get", "resource": "secrets", "name": "key"},
        "user": "ann",
        "groups": ["dba"],
        "extra": {"scopes": ["a", "b"]},
        "uid": "u-1",
    }
