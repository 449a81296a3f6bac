"""Every rule of Kubernetes Service Catalog's admission, one by one: from the JSON that a client sends to the 422.

The rules that need the catalog or the authorizer are in tests/integration/gateway (instances, parameters, access).
"""

from typing import Any

import orjson
import pytest

from chandlery.model.faults import Invalid
from chandlery.model.objects.instances import UserInfo
from chandlery.model.objects.kinds import KINDS, AnyObject
from chandlery.model.objects.wire import JsonObject
from chandlery_gateway.admission.catalog.object_admission import ObjectAdmission
from chandlery_gateway.kube.body.decoding import FieldValidation, decode_object
from chandlery_gateway.kube.printing.status_objects import status_of

ADMISSION = ObjectAdmission()

REQUIRED, INVALID, FORBIDDEN = "FieldValueRequired", "FieldValueInvalid", "FieldValueForbidden"
WRONG_TYPE, UNSUPPORTED, TOO_LONG = "FieldValueTypeInvalid", "FieldValueNotSupported", "FieldValueTooLong"
TOO_MANY = "FieldValueTooMany"
ANN = UserInfo(username="ann")
Causes = list[tuple[str, str]]

BROKER = {"url": "https://broker.example.com"}
CLASS = {"externalName": "mysql", "externalID": "class-1", "description": "a database"}
PLAN = {"externalName": "small", "externalID": "plan-1", "description": "a plan"}
BINDING = {"instanceRef": {"name": "db"}}
LONG = "x" * 64
FLAVOURS = ("ExternalName", "ExternalID", "Name")
SCOPES = ("clusterService", "service")


def in_scope(kind: str, scope: str) -> str:
    return f"Cluster{kind}" if scope == "clusterService" else kind


def offering(kind: str, scope: str) -> JsonObject:
    spec: JsonObject = {f"{scope}BrokerName": "broker", **(CLASS if kind == "ServiceClass" else PLAN)}
    return spec | ({f"{scope}ClassRef": {"name": "class-1"}} if kind == "ServicePlan" else {})


def read(kind: str, document: JsonObject) -> AnyObject:
    served = KINDS[kind]
    metadata = {"name": "it", **({"namespace": "team"} if served.namespaced else {}), **document.get("metadata", {})}
    body = orjson.dumps({"apiVersion": served.api_version, "kind": kind, **document, "metadata": metadata})
    return decode_object(served, body, "application/json", field_validation=FieldValidation.STRICT).object


def made(kind: str, document: JsonObject) -> AnyObject:
    return ADMISSION.default_on_create(read(kind, document), ANN, new_id=lambda: "an-id")


def causes(kind: str, problems: Any) -> Causes:
    """Reason and field of each cause of the Status that a client gets, none if it is accepted."""
    try:
        found = problems()
    except Invalid as fault:
        found = fault.problems
    if not found:
        return []
    code, status = status_of(Invalid(problems=found), kind=KINDS[kind], name="it")
    assert (code, status["reason"]) == (422, "Invalid")
    assert all(cause["message"] for cause in status["details"]["causes"])
    return [(cause["reason"], cause["field"]) for cause in status["details"]["causes"]]


def on_create(kind: str, spec: JsonObject, **document: Any) -> Causes:
    return causes(kind, lambda: ADMISSION.problems_on_create(made(kind, {"spec": spec, **document})))


def on_update(kind: str, before: JsonObject, after: JsonObject) -> Causes:
    old = made(kind, before if "spec" in before or "status" in before else {"spec": before})

    def problems() -> Any:
        sent = read(kind, after if "spec" in after or "status" in after else {"spec": after})
        return ADMISSION.problems_on_update(old, ADMISSION.default_on_update(old, sent, user=ANN))

    return causes(kind, problems)


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize(
    ("spec", "found"),
    [
        pytest.param({}, [], id="as it should be"),
        pytest.param({"url": ""}, [(REQUIRED, "spec.url")], id="an address is needed"),
        pytest.param(
            {"insecureSkipTLSVerify": True, "caBundle": "YQ=="}, [(INVALID, "spec.caBundle")], id="authorities unused"
        ),
        pytest.param(
            {"relistBehavior": "Never"}, [(UNSUPPORTED, "spec.relistBehavior")], id="an unknown way to relist"
        ),
        pytest.param({"relistRequests": -1}, [(INVALID, "spec.relistRequests")], id="a counter below zero"),
        pytest.param({"relistDuration": "0s"}, [(INVALID, "spec.relistDuration")], id="no time between relists"),
        pytest.param({"relistDuration": "-1m"}, [(INVALID, "spec.relistDuration")], id="less than no time"),
        pytest.param({"authInfo": {}}, [(REQUIRED, "spec.authInfo")], id="no way to log in"),
        pytest.param(
            {"authInfo": {"basic": {}}}, [(REQUIRED, "spec.authInfo.basic.secretRef")], id="a login without Secret"
        ),
        pytest.param(
            {"authInfo": {"bearer": {}}}, [(REQUIRED, "spec.authInfo.bearer.secretRef")], id="a token without Secret"
        ),
        pytest.param(
            {"catalogRestrictions": {"serviceClass": ["spec.externalName in ("]}},
            [(INVALID, "spec.catalogRestrictions.serviceClass[0]")],
            id="a restriction that does not parse",
        ),
        pytest.param(
            {"catalogRestrictions": {"servicePlan": ["spec.description=a"]}},
            [(INVALID, "spec.catalogRestrictions.servicePlan[0]")],
            id="a restriction by a property that there is not",
        ),
        pytest.param(
            {"catalogRestrictions": {"serviceClass": ["name!=a,name!=b"] * 129, "servicePlan": ["name!=a"] * 256}},
            [(TOO_MANY, "spec.catalogRestrictions.serviceClass")],
            id="more requirements than a selector of a request may have",
        ),
    ],
)
def test_a_broker_is_refused(scope: str, spec: JsonObject, found: Causes) -> None:
    assert on_create(in_scope("ServiceBroker", scope), {**BROKER, **spec}) == found


@pytest.mark.parametrize("method", ["basic", "bearer"])
def test_a_broker_is_refused_for_the_name_of_its_secret(method: str) -> None:
    field = f"spec.authInfo.{method}.secretRef"
    for kind, reference, found in (
        ("ServiceBroker", {}, [(REQUIRED, f"{field}.name")]),
        ("ServiceBroker", {"name": "No_Name"}, [(INVALID, f"{field}.name")]),
        ("ClusterServiceBroker", {"namespace": "team"}, [(REQUIRED, f"{field}.name")]),
        ("ClusterServiceBroker", {"name": "key"}, [(REQUIRED, f"{field}.namespace")]),
        ("ClusterServiceBroker", {"name": "key", "namespace": "a.b"}, [(INVALID, f"{field}.namespace")]),
    ):
        assert on_create(kind, {**BROKER, "authInfo": {method: {"secretRef": reference}}}) == found


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize(("sent", "found"), [(3, []), (4, []), (0, []), (2, [(INVALID, "spec.relistRequests")])])
def test_requests_for_a_relist_never_go_down(scope: str, sent: int, found: Causes) -> None:
    kind = in_scope("ServiceBroker", scope)
    assert on_update(kind, {**BROKER, "relistRequests": 3}, {**BROKER, "relistRequests": sent}) == found


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("kind", ["ServiceClass", "ServicePlan"])
@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("externalName", "", REQUIRED),
        ("externalName", LONG, TOO_LONG),
        ("externalID", "", REQUIRED),
        ("externalID", LONG, TOO_LONG),
        ("description", "", REQUIRED),
        ("{scope}BrokerName", "", REQUIRED),
    ],
)
def test_an_offering_is_refused(scope: str, kind: str, field: str, value: str, reason: str) -> None:
    named = field.format(scope=scope)
    sent = {**offering(kind, scope), named: value}
    assert on_create(in_scope(kind, scope), sent) == [(reason, f"spec.{named}")]


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("kind", ["ServiceClass", "ServicePlan"])
def test_an_offering_has_a_short_name(scope: str, kind: str) -> None:
    found = on_create(in_scope(kind, scope), offering(kind, scope), metadata={"name": LONG})
    assert found == [(TOO_LONG, "metadata.name")]


@pytest.mark.parametrize("scope", SCOPES)
def test_a_plan_names_its_class(scope: str) -> None:
    sent = {**offering("ServicePlan", scope), f"{scope}ClassRef": {}}
    assert on_create(in_scope("ServicePlan", scope), sent) == [(REQUIRED, f"spec.{scope}ClassRef.name")]


@pytest.mark.parametrize("scope", SCOPES)
def test_a_plan_keeps_its_external_id(scope: str) -> None:
    plan = offering("ServicePlan", scope)
    found = on_update(in_scope("ServicePlan", scope), plan, {**plan, "externalID": "plan-2"})
    assert found == [(FORBIDDEN, "spec.externalID")]


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("kind", ["ServiceClass", "ServicePlan"])
def test_an_offering_keeps_its_broker_and_class_whatever_is_sent(scope: str, kind: str) -> None:
    before = made(in_scope(kind, scope), {"spec": offering(kind, scope)})
    moved = {f"{scope}BrokerName": "other", **({f"{scope}ClassRef": {"name": "other"}} if "Plan" in kind else {})}
    sent = read(in_scope(kind, scope), {"spec": {**offering(kind, scope), **moved}})
    after = ADMISSION.default_on_update(before, sent, user=ANN)
    assert ADMISSION.problems_on_update(before, after) == ()
    assert after == before


@pytest.mark.parametrize(
    "kind", ["ServiceInstance", "ServiceBinding", "ServiceBroker", "ClusterServiceBroker", "Secret"]
)
@pytest.mark.parametrize("name", ["No", "-a", "a_b", "a..b", "a" * 254])
def test_names_are_those_of_dns(kind: str, name: str) -> None:
    spec = {"ServiceInstance": {"serviceClassName": "c"}, "ServiceBinding": BINDING, "Secret": None}.get(kind, BROKER)
    document = {"metadata": {"name": name}, **({"spec": spec} if spec else {})}
    assert causes(kind, lambda: ADMISSION.problems_on_create(made(kind, document))) == [(INVALID, "metadata.name")]


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_class_and_plan_are_named_in_the_same_way(scope: str, flavour: str) -> None:
    class_field, plan_field = f"{scope}Class{flavour}", f"{scope}Plan{flavour}"
    named = {class_field: "c", plan_field: "p"}
    assert on_create("ServiceInstance", named) == []
    assert on_create("ServiceInstance", {class_field: "c"}) == [], "the catalog is asked for the plan"
    (other_scope,) = {*SCOPES} - {scope}
    for other in FLAVOURS:
        mixed = {**named, f"{other_scope}Plan{other}": "p"}
        assert on_create("ServiceInstance", mixed) == [(FORBIDDEN, "spec")], "of one scope"
        mixed = {**named, f"{other_scope}Class{other}": "c"}
        assert on_create("ServiceInstance", mixed) == [(FORBIDDEN, "spec")], "of one scope"
        if other == flavour:
            continue
        assert on_create("ServiceInstance", {**named, f"{scope}Class{other}": "c"}) == [(FORBIDDEN, "spec")], (
            "one class"
        )
        assert on_create("ServiceInstance", {**named, f"{scope}Plan{other}": "p"}) == [(FORBIDDEN, "spec")], "one plan"
        found = on_create("ServiceInstance", {class_field: "c", f"{scope}Plan{other}": "p"})
        assert found == [(INVALID, f"spec.{scope}Plan{other}")], "the same flavour"
    assert on_create("ServiceInstance", {**named, class_field: LONG}) == [(TOO_LONG, f"spec.{class_field}")]
    assert on_create("ServiceInstance", {**named, plan_field: LONG}) == [(TOO_LONG, f"spec.{plan_field}")]
    assert on_update("ServiceInstance", named, {**named, plan_field: "q"}) == []
    assert on_update("ServiceInstance", named, {**named, class_field: "d"}) == [(FORBIDDEN, f"spec.{class_field}")]


def test_an_instance_names_its_class() -> None:
    found = [(REQUIRED, "spec.clusterServiceClassExternalName")]
    assert on_create("ServiceInstance", {}) == found
    assert on_create("ServiceInstance", {"clusterServicePlanName": "p"}) == found


INSTANCE = {"serviceClassExternalName": "c", "servicePlanExternalName": "p"}


@pytest.mark.parametrize(("kind", "spec"), [("ServiceInstance", INSTANCE), ("ServiceBinding", BINDING)])
@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        pytest.param({"parameters": {}}, [], id="no parameters"),
        pytest.param({"parameters": None}, [], id="nothing"),
        pytest.param({"parameters": {"a": {"b": [1]}}}, [], id="an object"),
        pytest.param({"parameters": ""}, [(WRONG_TYPE, "spec.parameters")], id="an empty text"),
        pytest.param({"parameters": "a: 1"}, [(WRONG_TYPE, "spec.parameters")], id="a text"),
        pytest.param({"parameters": [1]}, [(WRONG_TYPE, "spec.parameters")], id="a list"),
        pytest.param({"parametersFrom": [{}]}, [(REQUIRED, "spec.parametersFrom[0]")], id="no source"),
        pytest.param(
            {"parametersFrom": [{"secretKeyRef": {"name": "", "key": "k"}}]},
            [(REQUIRED, "spec.parametersFrom[0].secretKeyRef.name")],
            id="a source without name",
        ),
        pytest.param(
            {
                "parametersFrom": [
                    {"secretKeyRef": {"name": "s", "key": "k"}},
                    {"secretKeyRef": {"name": "s", "key": ""}},
                ]
            },
            [(REQUIRED, "spec.parametersFrom[1].secretKeyRef.key")],
            id="a source without key",
        ),
    ],
)
def test_parameters_are_an_object_and_come_from_somewhere(
    kind: str, spec: JsonObject, parameters: JsonObject, found: Causes
) -> None:
    assert on_create(kind, {**spec, **parameters}) == found


@pytest.mark.parametrize(
    ("change", "found"),
    [
        pytest.param({"updateRequests": 4}, [], id="another update asked for"),
        pytest.param({"updateRequests": 0}, [], id="left out"),
        pytest.param({"updateRequests": 2}, [(INVALID, "spec.updateRequests")], id="the counter goes down"),
        pytest.param({"updateRequests": -1}, [(INVALID, "spec.updateRequests")], id="the counter is below zero"),
        pytest.param({"externalID": "another"}, [(FORBIDDEN, "spec.externalID")], id="another id"),
        pytest.param({"externalID": ""}, [], id="the id left out"),
        pytest.param(
            {"serviceClassExternalName": "d"}, [(FORBIDDEN, "spec.serviceClassExternalName")], id="another class"
        ),
    ],
)
def test_a_change_of_an_instance_is_refused(change: JsonObject, found: Causes) -> None:
    before = {**INSTANCE, "updateRequests": 3}
    assert on_update("ServiceInstance", before, {**before, **change}) == found


@pytest.mark.parametrize("field", ["serviceClassRef", "servicePlanRef"])
def test_references_are_the_servers(field: str) -> None:
    assert on_create("ServiceInstance", {**INSTANCE, field: {"name": "x"}}) == [(FORBIDDEN, f"spec.{field}")]
    of_cluster = f"cluster{field[0].upper()}{field[1:]}"
    wiped = made("ServiceInstance", {"spec": {**INSTANCE, of_cluster: {"name": "x"}}})
    assert of_cluster not in wiped.to_wire()["spec"]


@pytest.mark.parametrize("scope", SCOPES)
def test_another_plan_lets_go_of_the_reference_and_nothing_else_does(scope: str) -> None:
    named = {f"{scope}ClassName": "c", f"{scope}PlanName": "p"}
    before = made("ServiceInstance", {"spec": named})
    resolved = {f"{scope}ClassRef": {"name": "c"}, f"{scope}PlanRef": {"name": "p"}}
    before = type(before).model_validate({**before.to_wire(), "spec": {**before.to_wire()["spec"], **resolved}})
    for change, kept in (({}, True), ({"parameters": {"a": 1}}, True), ({f"{scope}PlanName": "q"}, False)):
        # Whatever references a client sends.
        sent = read("ServiceInstance", {"spec": {**named, **change, f"{scope}PlanRef": {"name": "mine"}}})
        spec = ADMISSION.default_on_update(before, sent, user=ANN).to_wire()["spec"]
        assert spec.get(f"{scope}PlanRef") == ({"name": "p"} if kept else None)
        assert spec[f"{scope}ClassRef"] == {"name": "c"}


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        ({"instanceRef": {}}, [(REQUIRED, "spec.instanceRef.name")]),
        ({"instanceRef": {"name": "No"}}, [(INVALID, "spec.instanceRef.name")]),
        ({**BINDING, "secretName": "No"}, [(INVALID, "spec.secretName")]),
    ],
)
def test_a_binding_is_refused(spec: JsonObject, found: Causes) -> None:
    assert on_create("ServiceBinding", spec) == found


def test_the_specification_of_a_binding_stays_and_the_client_is_warned() -> None:
    before = made("ServiceBinding", {"spec": BINDING})
    sent = read("ServiceBinding", {"spec": {"instanceRef": {"name": "other"}, "parameters": {"a": 1}}})
    after = ADMISSION.default_on_update(before, sent, user=ANN)
    assert ADMISSION.problems_on_update(before, after) == ()
    assert after.to_wire()["spec"] == before.to_wire()["spec"]
    assert ADMISSION.entry_of(before).rules.changed_warnings(before, sent)


START = {"operationStartTime": "2030-01-01T00:00:00Z"}
READY = {"conditions": [{"type": "Ready", "status": "True"}]}
ASKED: JsonObject = {"inProgressProperties": {}}
SHA = "a" * 64


@pytest.mark.parametrize(("kind", "operation"), [("ServiceInstance", "Provision"), ("ServiceBinding", "Bind")])
@pytest.mark.parametrize(
    ("status", "is_busy", "found"),
    [
        pytest.param({}, False, [], id="at rest"),
        pytest.param({**START, **ASKED}, True, [], id="at work"),
        pytest.param(START, False, [(FORBIDDEN, "operationStartTime")], id="a start of nothing"),
        pytest.param({**START, "orphanMitigationInProgress": True}, False, [], id="a start of orphan mitigation"),
        pytest.param({"asyncOpInProgress": True}, False, [(FORBIDDEN, "asyncOpInProgress")], id="polls for nothing"),
        pytest.param({"lastOperation": "k"}, False, [(FORBIDDEN, "lastOperation")], id="the key of nothing"),
        pytest.param(ASKED, True, [(REQUIRED, "operationStartTime")], id="no start"),
        pytest.param({**START, **ASKED, **READY}, True, [(FORBIDDEN, "conditions")], id="ready in the middle of it"),
        pytest.param(START, True, [(REQUIRED, "inProgressProperties")], id="nothing asked for"),
        pytest.param(ASKED, False, [(FORBIDDEN, "inProgressProperties")], id="asked for without an operation"),
        pytest.param({"reconciledGeneration": 2}, False, [(INVALID, "reconciledGeneration")], id="ahead of its time"),
        pytest.param(
            {**START, **ASKED, "reconciledGeneration": 1},
            True,
            [(FORBIDDEN, "currentOperation")],
            id="nothing left to do",
        ),
        pytest.param(
            {"lastOperation": "k" * 10_001, **START, **ASKED}, True, [(TOO_LONG, "lastOperation")], id="too long a key"
        ),
        pytest.param(
            {"externalProperties": {"parameters": {"a": 1}, "parameterChecksum": "abc"}},
            False,
            [(INVALID, "externalProperties.parameterChecksum")],
            id="no checksum",
        ),
        pytest.param(
            {"externalProperties": {"parameters": {"a": 1}}},
            False,
            [(REQUIRED, "externalProperties.parameterChecksum")],
            id="parameters without checksum",
        ),
        pytest.param(
            {"externalProperties": {"parameterChecksum": SHA}},
            False,
            [(FORBIDDEN, "externalProperties.parameterChecksum")],
            id="a checksum of no parameters",
        ),
        pytest.param({"currentOperation": "Rest"}, False, [(UNSUPPORTED, "currentOperation")], id="another word"),
    ],
)
def test_a_status_that_contradicts_itself_is_refused(
    kind: str, operation: str, status: JsonObject, is_busy: bool, found: Causes
) -> None:
    sent = {**({"currentOperation": operation} if is_busy else {}), **status}

    def problems() -> Any:
        return ADMISSION.problems_on_status_update(read(kind, {"metadata": {"generation": 1}, "status": sent}))

    assert causes(kind, problems) == [(reason, f"status.{field}") for reason, field in found]


def test_an_unbind_has_nothing_asked_for() -> None:
    def problems() -> Any:
        return ADMISSION.problems_on_status_update(
            read("ServiceBinding", {"status": {**START, **ASKED, "currentOperation": "Unbind"}})
        )

    assert causes("ServiceBinding", problems) == [(FORBIDDEN, "status.inProgressProperties")]


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        ("ServiceInstance", "provisionStatus", "Maybe"),
        ("ServiceInstance", "deprovisionStatus", "Maybe"),
        ("ServiceBinding", "unbindStatus", "Maybe"),
    ],
)
def test_words_of_a_status_are_those_there_are(kind: str, field: str, value: str) -> None:
    found = causes(kind, lambda: ADMISSION.problems_on_create(read(kind, {"status": {field: value}})))
    assert found == [(UNSUPPORTED, f"status.{field}")]


def test_what_a_worker_has_written_is_not_complained_of() -> None:
    old = read("ServiceInstance", {"metadata": {"generation": 1}, "status": {"lastOperation": "k"}})
    new = read(
        "ServiceInstance",
        {"metadata": {"generation": 1}, "status": {"lastOperation": "k", "reconciledGeneration": 2}},
    )
    problems = ADMISSION.problems_on_status_update(new, old=old)
    assert [problem.field for problem in problems] == ["status.reconciledGeneration"]
