from base64 import b64encode
from datetime import UTC, datetime

import pytest

from chandlery.model.objects.bindings import ServiceBinding
from chandlery.model.objects.core import Event, Namespace, Secret
from chandlery.model.objects.instances import ServiceInstance, UserInfo
from chandlery.model.objects.kinds import KINDS, AnyObject, Kind
from chandlery.model.objects.metadata import ObjectMeta
from chandlery_gateway.admission.catalog.object_admission import ObjectAdmission

ADMISSION = ObjectAdmission()

USER = UserInfo()


def secret(**fields: object) -> Secret:
    return Secret.model_validate({"metadata": {"name": "s"}, **fields})


def stored(document: AnyObject) -> AnyObject:
    return ADMISSION.default_on_create(document, USER, new_id=lambda: "id")


def fields(document: AnyObject) -> list[str]:
    return [problem.field for problem in ADMISSION.problems_on_create(document)]


def with_metadata(document: AnyObject, **changes: object) -> AnyObject:
    changed: AnyObject = document.model_copy(update={"metadata": document.metadata.model_copy(update=changes)})
    return changed


def test_namespace_gets_its_label_and_finalizer() -> None:
    namespace = stored(Namespace(metadata=ObjectMeta(name="n", labels={"a": "b"})))
    assert namespace.metadata.labels == {"a": "b", "kubernetes.io/metadata.name": "n"}
    assert namespace.to_wire()["spec"] == {"finalizers": ["kubernetes"]}
    assert namespace.to_wire()["status"] == {"phase": "Active"}
    assert fields(namespace) == []


@pytest.mark.parametrize(
    ("kind", "name"), [("Namespace", "a.b"), ("ServiceInstance", "A"), ("Secret", "a/b"), ("Secret", "")]
)
def test_name_is_checked_as_kubernetes_does(kind: str, name: str) -> None:
    document = with_metadata(KINDS[kind].model(), name=name)
    assert "metadata.name" in fields(document)


def test_secret_writes_string_data_into_data() -> None:
    made = stored(secret(data={"a": "eA==", "b": "eA=="}, stringData={"b": "y"}, type=""))
    assert isinstance(made, Secret)
    assert made.data == {"a": "eA==", "b": b64encode(b"y").decode()}
    assert made.string_data is None
    assert made.type == "Opaque"
    assert fields(made) == []


@pytest.mark.parametrize(
    ("data", "field"),
    [({"a": "hunter2!"}, "data[a]"), ({"a b": "eA=="}, "data[a b]"), ({"..": ""}, "data[..]")],
)
def test_secret_data_is_checked_and_never_quoted(data: dict[str, str], field: str) -> None:
    found = ADMISSION.problems_on_create(secret(data=data))
    assert [problem.field for problem in found] == [field]
    assert "hunter2" not in str(found)


def test_secret_of_more_than_a_mebibyte_is_refused() -> None:
    big = b64encode(b"x" * (1024 * 1024 + 1)).decode()
    assert [problem.reason for problem in ADMISSION.problems_on_create(secret(data={"a": big}))] == [
        "FieldValueTooLong"
    ]


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ({"type": "x"}, {"type": "y"}, ["type"]),
        ({"type": "x"}, {}, []),
        ({"immutable": True, "data": {"a": "eA=="}}, {"immutable": True, "stringData": {"a": "x"}}, []),
        ({"immutable": True, "data": {"a": "eA=="}}, {"immutable": True, "stringData": {"a": "y"}}, ["data"]),
        ({"immutable": True}, {}, ["immutable"]),
        ({}, {"immutable": True, "data": {"a": ""}}, []),
    ],
)
def test_secret_changes(old: dict[str, object], new: dict[str, object], found: list[str]) -> None:
    before = secret(**old)
    after = ADMISSION.default_on_update(before, secret(**new), user=USER)
    assert [problem.field for problem in ADMISSION.problems_on_update(before, after)] == found


def test_event_lies_in_the_namespace_of_what_it_is_about() -> None:
    event = {"metadata": {"name": "e", "namespace": "n"}, "involvedObject": {"namespace": "m"}}
    assert fields(stored(Event.model_validate(event))) == ["involvedObject.namespace"]


@pytest.mark.parametrize(
    ("metadata", "found"),
    [
        ({"labels": {"a b": "c"}}, ["metadata.labels"]),
        ({"labels": {"a": "c d"}}, ["metadata.labels"]),
        ({"annotations": {"": "x"}}, ["metadata.annotations"]),
        ({"annotations": {"Upper.Case/x": "any text { } "}}, []),
        ({"annotations": {"a": "ä" * 131_073}}, ["metadata.annotations"]),
        ({"annotations": {"a": "x" * 250_000}}, []),
        ({"finalizers": ["a b"]}, ["metadata.finalizers[0]"]),
        (
            {"ownerReferences": [{"apiVersion": "v1", "kind": "", "name": "x", "uid": ""}]},
            ["metadata.ownerReferences[0].kind", "metadata.ownerReferences[0].uid"],
        ),
        (
            {
                "ownerReferences": [
                    {"apiVersion": "v1", "kind": "Secret", "name": name, "uid": name, "controller": True}
                    for name in "ab"
                ]
            },
            ["metadata.ownerReferences"],
        ),
    ],
)
def test_metadata_rules(metadata: dict[str, object], found: list[str]) -> None:
    assert fields(Secret.model_validate({"metadata": {"name": "s", **metadata}})) == found


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"name": "t"}, ["metadata.name"]),
        ({"uid": "2"}, ["metadata.uid"]),
        ({"uid": None, "finalizers": []}, []),
        ({"finalizers": ["x", "y"]}, ["metadata.finalizers"]),
    ],
)
def test_metadata_changes(change: dict[str, object], found: list[str]) -> None:
    old = with_metadata(secret(), uid="1", finalizers=["x"], deletion_timestamp=datetime(2030, 1, 1, tzinfo=UTC))
    new = with_metadata(old, **change)
    assert [problem.field for problem in ADMISSION.problems_on_update(old, new)] == found


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.kind)
def test_every_kind_passes_through_admission_unchanged_by_a_second_write(kind: Kind) -> None:
    first = stored(with_metadata(kind.model(), name="x"))
    assert ADMISSION.default_on_update(first, first, user=USER) == first
    assert ADMISSION.entry_of(first).rules.changed_warnings(first, first) == ()
    assert ADMISSION.problems_on_status_update(first) == ()


@pytest.mark.parametrize(
    ("status", "found"),
    [
        ({"reconciledGeneration": 2}, ["status.reconciledGeneration"]),
        ({"asyncOpInProgress": True}, ["status.asyncOpInProgress"]),
        ({"lastOperation": "k"}, ["status.lastOperation"]),
        ({"operationStartTime": "2030-01-01T00:00:00Z"}, ["status.operationStartTime"]),
        ({"operationStartTime": "2030-01-01T00:00:00Z", "orphanMitigationInProgress": True}, []),
        ({"externalProperties": {"parameterChecksum": "abc"}}, ["status.externalProperties.parameterChecksum"]),
        ({"externalProperties": {"parameterChecksum": "a" * 64, "parameters": {"a": 1}}}, []),
    ],
)
@pytest.mark.parametrize("kind", [ServiceInstance, ServiceBinding])
def test_status_rules_hold_without_an_operation(
    kind: type[ServiceInstance] | type[ServiceBinding], status: dict[str, object], found: list[str]
) -> None:
    document = kind.model_validate({"metadata": {"name": "x", "generation": 1}, "status": status})
    assert [problem.field for problem in ADMISSION.problems_on_status_update(document)] == found


def test_status_rules_hold_during_an_operation() -> None:
    ready = {"type": "Ready", "status": "True"}
    status = {"currentOperation": "Bind", "conditions": [ready], "lastOperation": "x" * 10_001}
    document = ServiceBinding.model_validate({"metadata": {"name": "x"}, "status": status})
    found = [problem.field for problem in ADMISSION.problems_on_status_update(document)]
    asked = "status.inProgressProperties"
    assert found == ["status.lastOperation", "status.operationStartTime", "status.conditions", asked]


def encoded(text: str) -> str:
    return b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("kind", "data", "found"),
    [
        ("kubernetes.io/basic-auth", {}, ["data[username]", "data[password]"]),
        ("kubernetes.io/basic-auth", {"password": encoded("hunter2")}, []),
        ("kubernetes.io/basic-auth", {"username": encoded("ann")}, []),
        ("kubernetes.io/ssh-auth", {}, ["data[ssh-privatekey]"]),
        ("kubernetes.io/ssh-auth", {"ssh-privatekey": ""}, ["data[ssh-privatekey]"]),
        ("kubernetes.io/ssh-auth", {"ssh-privatekey": encoded("key")}, []),
        ("kubernetes.io/tls", {"tls.crt": encoded("c")}, ["data[tls.key]"]),
        ("kubernetes.io/tls", {"tls.key": encoded("k")}, ["data[tls.crt]"]),
        ("kubernetes.io/tls", {"tls.crt": "", "tls.key": ""}, []),
        ("kubernetes.io/dockercfg", {}, ["data[.dockercfg]"]),
        ("kubernetes.io/dockerconfigjson", {}, ["data[.dockerconfigjson]"]),
        ("kubernetes.io/dockerconfigjson", {".dockerconfigjson": encoded("hunter2")}, ["data[.dockerconfigjson]"]),
        ("kubernetes.io/dockerconfigjson", {".dockerconfigjson": encoded('{"auths":{}}')}, []),
        ("kubernetes.io/service-account-token", {}, ["type"]),
        ("example.com/anything", {}, []),
    ],
)
def test_secret_holds_what_its_type_asks_for(kind: str, data: dict[str, str], found: list[str]) -> None:
    problems = ADMISSION.problems_on_create(stored(secret(type=kind, data=data)))
    assert [problem.field for problem in problems] == found
    assert "hunter2" not in str(problems)


def test_secret_that_older_rules_let_in_can_be_labelled_but_not_be_given_other_data() -> None:
    old = secret(type="kubernetes.io/tls", data={"a": ""})
    assert ADMISSION.problems_on_update(old, with_metadata(old, labels={"a": "b"})) == ()
    changed = old.model_copy(update={"data": {"b": ""}})
    assert [problem.field for problem in ADMISSION.problems_on_update(old, changed)] == [
        "data[tls.crt]",
        "data[tls.key]",
    ]
