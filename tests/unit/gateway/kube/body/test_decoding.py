import orjson
import pytest

from chandlery.model.faults import BadRequest, Invalid
from chandlery.model.objects.instances import ServiceInstance
from chandlery.model.objects.kinds import CLUSTER_SERVICE_BROKER, SECRET, SERVICE_BINDING, SERVICE_INSTANCE, Kind
from chandlery_gateway.kube.body.decoding import (
    Decoded,
    FieldValidation,
    decode_dict,
    decode_object,
)
from chandlery_gateway.kube.query.negotiation import UnsupportedMediaType


def decode(
    document: object, *, kind: Kind = SERVICE_INSTANCE, how: FieldValidation = FieldValidation.STRICT, media: str = ""
) -> Decoded:
    payload = document if isinstance(document, bytes) else orjson.dumps(document)
    return decode_object(kind, payload, media, field_validation=how)


def test_decoding_reads_a_manifest_in_json() -> None:
    decoded = decode({"metadata": {"name": "a"}, "spec": {"clusterServiceClassExternalID": "x", "planName": "p"}})
    assert isinstance(decoded.object, ServiceInstance)
    assert decoded.object.spec.cluster_service_class_external_id == "x"
    assert decoded.object.api_version == "servicecatalog.k8s.io/v1beta1"
    assert decoded.warnings == ()


def test_decoding_reads_a_manifest_in_yaml() -> None:
    manifest = (
        b"kind: ServiceInstance\nmetadata: {name: a, annotations: {at: 2030-01-01}}\nspec: {parameters: {1: yes}}\n"
    )
    decoded = decode(manifest, media="application/yaml; charset=utf-8").object
    assert decoded.metadata.annotations == {"at": "2030-01-01"}
    assert isinstance(decoded, ServiceInstance)
    assert decoded.spec.parameters == {"1": True}


def test_decoding_lists_all_unknown_fields_when_strict() -> None:
    document = {"spec": {"foo": 1, "parametersFrom": [{"secretKeyRef": {"name": "a", "zz": 1}}], "external_id": "x"}}
    with pytest.raises(BadRequest) as caught:
        decode(document)
    start = 'ServiceInstance in version "v1beta1" cannot be handled as a ServiceInstance: strict decoding error: '
    listed = caught.value.message.removeprefix(start).split(", ")
    assert sorted(listed) == [
        'unknown field "spec.external_id"',
        'unknown field "spec.foo"',
        'unknown field "spec.parametersFrom[0].secretKeyRef.zz"',
    ]


@pytest.mark.parametrize(
    ("how", "warnings"),
    [(FieldValidation.WARN, ('unknown field "spec.foo"',)), (FieldValidation.IGNORE, ())],
)
def test_decoding_drops_unknown_fields_when_not_strict(how: FieldValidation, warnings: tuple[str, ...]) -> None:
    decoded = decode({"spec": {"foo": 1, "externalID": "x"}}, how=how)
    assert decoded.warnings == warnings
    assert decoded.object.to_wire()["spec"] == {"externalID": "x", "updateRequests": 0}


@pytest.mark.parametrize(
    ("body", "media"),
    [
        (b'{"spec":{"externalID":"a","parameters":{"l":[{"d":1,"d":2}]},"externalID":"b"}}', "application/json"),
        (b"spec: {externalID: a, externalID: b}", "application/yaml"),
    ],
    ids=["json", "yaml"],
)
def test_decoding_refuses_repeated_keys_when_strict(body: bytes, media: str) -> None:
    with pytest.raises(BadRequest, match=r'duplicate field "(spec\.)?externalID"'):
        decode(body, media=media)
    assert decode(body, media=media, how=FieldValidation.IGNORE).object.to_wire()["spec"]["externalID"] == "b"


def test_decoding_tolerates_what_svcat_sends() -> None:
    status = {
        "conditions": None,
        "asyncOpInProgress": False,
        "provisionStatus": "",
        "deprovisionStatus": "",
        "currentOperation": "",
        "operationStartTime": None,
        "externalProperties": None,
    }
    document = {
        "kind": "ServiceInstance",
        "apiVersion": "",
        "metadata": {
            "name": "a",
            "creationTimestamp": None,
            "labels": {"x": None},
            "selfLink": "/a",
            "managedFields": [{}],
        },
        "spec": {"externalID": "", "clusterServiceClassName": "c", "parametersFrom": [None], "updateRequests": None},
        "status": status,
    }
    decoded = decode(document).object
    assert decoded.to_wire()["spec"] == {
        "clusterServiceClassName": "c",
        "externalID": "",
        "updateRequests": 0,
        "parametersFrom": [],
    }
    assert decoded.to_wire()["status"] == ServiceInstance().to_wire()["status"]
    assert decoded.metadata.labels == {}
    assert decoded.metadata.self_link is None
    assert decoded.metadata.managed_fields is None


def test_decoding_tolerates_a_broker_with_empty_relist_behavior() -> None:
    document = {"metadata": {"name": "b"}, "spec": {"url": "http://b", "relistBehavior": "", "catalogRestrictions": {}}}
    assert decode(document, kind=CLUSTER_SERVICE_BROKER).object.to_wire()["spec"]["relistBehavior"] == ""


def test_decoding_keeps_nulls_inside_parameters() -> None:
    decoded = decode({"spec": {"parameters": {"a": None, "b": {"c": None}}}}).object
    assert isinstance(decoded, ServiceInstance)
    assert decoded.spec.parameters == {"a": None, "b": {"c": None}}


def test_decoding_reads_times_that_clients_send_back() -> None:
    condition = {"type": "Ready", "status": "True", "lastTransitionTime": "2030-01-01T01:00:00+01:00"}
    document = {"metadata": {"creationTimestamp": "2030-01-01T00:00:00Z"}, "status": {"conditions": [condition]}}
    decoded = decode(document).object.to_wire()
    assert decoded["metadata"]["creationTimestamp"] == "2030-01-01T00:00:00Z"
    assert decoded["status"]["conditions"][0]["lastTransitionTime"] == "2030-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("document", "field", "reason", "message"),
    [
        ({"spec": {"planName": 5}}, "spec.planName", "FieldValueTypeInvalid", "must be a string, not a number"),
        (
            {"spec": {"updateRequests": "5"}},
            "spec.updateRequests",
            "FieldValueTypeInvalid",
            "must be a whole number, not a string",
        ),
        ({"spec": {"parameters": [1]}}, "spec.parameters", "FieldValueTypeInvalid", "must be an object, not a list"),
        (
            {"spec": {"parametersFrom": [{"secretKeyRef": {"name": True}}]}},
            "spec.parametersFrom[0].secretKeyRef.name",
            "FieldValueTypeInvalid",
            "must be a string, not a boolean",
        ),
        ({"spec": []}, "spec", "FieldValueTypeInvalid", "must be an object, not a list"),
        (
            {"metadata": {"labels": {"a.b/c": 1}}},
            "metadata.labels[a.b/c]",
            "FieldValueTypeInvalid",
            "must be a string, not a number",
        ),
        (
            {"metadata": {"creationTimestamp": "yesterday"}},
            "metadata.creationTimestamp",
            "FieldValueTypeInvalid",
            "must be a time such as 2030-01-31T12:00:00Z",
        ),
        (
            {"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "K", "name": "n"}]}},
            "metadata.ownerReferences[0].uid",
            "FieldValueRequired",
            "must be given",
        ),
        (
            {"status": {"currentOperation": "Dance"}},
            "status.currentOperation",
            "FieldValueNotSupported",
            "must be 'Provision', 'Update' or 'Deprovision', not 'Dance'",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and "." in value else None,
)
def test_decoding_tells_the_field_when_a_type_is_wrong(
    document: dict[str, object], field: str, reason: str, message: str
) -> None:
    with pytest.raises(Invalid) as caught:
        decode(document)
    assert [(p.field, p.reason, p.message) for p in caught.value.problems] == [(field, reason, message)]


def test_decoding_reports_all_wrong_fields_at_once() -> None:
    with pytest.raises(Invalid) as caught:
        decode({"spec": {"planName": 5, "externalID": 6, "parameters": "x"}})
    assert {p.field for p in caught.value.problems} == {"spec.planName", "spec.externalID", "spec.parameters"}


@pytest.mark.parametrize(
    ("body", "media", "message"),
    [
        (b"", "", "no body"),
        (b"[]", "", "must be an object, not a list"),
        (b'{"a": 1,\n "b" 2}', "application/json", r"line 2, column 6"),
        (b'{"a": NaN}', "", "not valid JSON"),
        (b'"\xff"', "", "not valid JSON"),
        (b'{"spec":{"parameters":{"a":' + b"[" * 230 + b"]" * 230 + b"}}}", "", "nested too deeply"),
        (b'{"spec":{"parameters":{"a":' + b"[" * 900 + b"]" * 900 + b"}}}", "", "nested too deeply"),
        (b'{"a":' * 1010 + b"1" + b"}" * 1010 + b"", "", "nested too deeply"),
        (b"a: b: c", "application/yaml", "mapping values are not allowed .*line 1, column 5"),
        (b"a: &x [1]\nb: *x\n", "application/yaml", "aliases"),
        (b"a: " + b"[" * 100_000, "application/yaml", "nested too deeply"),
        (b"a: !!python/object:os.system x", "application/yaml", "not valid YAML"),
        (b"a: !!binary aGk=", "application/yaml", "cannot express"),
    ],
)
def test_decoding_says_where_a_body_is_malformed(body: bytes, media: str, message: str) -> None:
    with pytest.raises(BadRequest, match=message) as caught:
        decode(body, media=media)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("media", ["application/vnd.kubernetes.protobuf", "text/plain"])
def test_decoding_refuses_other_media_types(media: str) -> None:
    with pytest.raises(UnsupportedMediaType, match=media):
        decode({}, media=media)


@pytest.mark.parametrize(
    "document", [{"kind": "Secret"}, {"apiVersion": "v1"}, {"kind": 5}, {"apiVersion": "servicecatalog.k8s.io/v1"}]
)
def test_decoding_refuses_another_kind_or_version(document: dict[str, object]) -> None:
    with pytest.raises(BadRequest, match="does not match the expected"):
        decode(document)


@pytest.mark.parametrize(
    "body",
    [
        b'{"data":{"a":{"b":"hunter2"}},"stringData":"hunter2","type":7}',
        b'{"stringData":{"password":"hunter2"',
        b'{"apiVersion":"v1","kind":"Secret","hunter":"hunter2"}',
        b'{"metadata":{"creationTimestamp":"hunter2"}}',
    ],
)
def test_decoding_never_tells_what_a_secret_holds(body: bytes) -> None:
    with pytest.raises((BadRequest, Invalid)) as caught:
        decode(body, kind=SECRET)
    chain = (caught.value, caught.value.__cause__, caught.value.__context__)
    assert not any("hunter2" in f"{link} {link!r} {vars(link) if link else ''}" for link in chain)


def test_decoding_after_a_patch_leaves_the_document_alone() -> None:
    document = {"metadata": {"name": "b", "managedFields": []}, "spec": {"foo": 1, "secretName": None}}
    before = orjson.dumps(document)
    decoded = decode_dict(SERVICE_BINDING, document, field_validation=FieldValidation.WARN)
    assert decoded.warnings == ('unknown field "spec.foo"',)
    assert orjson.dumps(document) == before
