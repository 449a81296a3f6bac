import pytest

from chandlery.model.objects.bindings import ServiceBinding
from chandlery.model.objects.instances import UserInfo
from chandlery.model.text.names import FINALIZER
from chandlery_gateway.admission.binding_admission import BindingRules
from chandlery_gateway.admission.catalog.object_admission import ObjectAdmission

ADMISSION = ObjectAdmission()
RULES = BindingRules()

ANN, BOB = UserInfo(username="ann"), UserInfo(username="bob")
INSTANCE = {"instanceRef": {"name": "i"}}


def binding(**spec: object) -> ServiceBinding:
    return ServiceBinding.model_validate({"metadata": {"name": "b", "namespace": "n"}, "spec": {**INSTANCE, **spec}})


def created(**spec: object) -> ServiceBinding:
    stored = ADMISSION.default_on_create(binding(**spec), ANN, new_id=lambda: "new-id")
    assert isinstance(stored, ServiceBinding)
    return stored


def test_new_binding_gets_id_secret_name_user_and_finalizer() -> None:
    stored = created(parameters={})
    assert (stored.spec.external_id, stored.spec.secret_name, stored.spec.user_info) == ("new-id", "b", ANN)
    assert stored.metadata.finalizers == [FINALIZER]
    assert ADMISSION.problems_on_create(stored) == ()


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        ({"instanceRef": {}}, ["spec.instanceRef.name"]),
        ({"instanceRef": {"name": "A"}}, ["spec.instanceRef.name"]),
        ({"secretName": "A_b"}, ["spec.secretName"]),
        ({"parametersFrom": [{"secretKeyRef": {"name": "s"}}]}, ["spec.parametersFrom[0].secretKeyRef.key"]),
        ({"parametersFrom": [{"secretKeyRef": {"name": "s", "key": "k"}}] * 51}, ["spec.parametersFrom"]),
        ({"secretTransforms": [{"removeKey": {"key": "a"}}] * 101}, ["spec.secretTransforms"]),
        ({"secretTransforms": [{"removeKey": {"key": "a"}}] * 100}, []),
        (
            {"secretTransforms": [{"addKey": {"key": "a", "jsonPathExpression": "{.user"}}]},
            ["spec.secretTransforms[0].addKey.jsonPathExpression"],
        ),
        ({"secretTransforms": [{"addKey": {"key": "a", "jsonPathExpression": "{range .l[*]}{.x},{end}"}}]}, []),
        ({"bindResource": {}}, ["spec.bindResource"]),
        ({"bindResource": {"appGUID": "app-1"}}, []),
        ({"bindResource": {"appGUID": " "}}, ["spec.bindResource.appGUID"]),
        ({"bindResource": {"appGUID": "", "route": "shop.example.com"}}, ["spec.bindResource.appGUID"]),
        ({"bindResource": {"route": "https://shop.example.com:8443/cart?x=1"}}, []),
        ({"bindResource": {"route": "shop.example.com:8443/cart"}}, []),
        ({"bindResource": {"route": ""}}, ["spec.bindResource.route"]),
        ({"bindResource": {"route": "shop example"}}, ["spec.bindResource.route"]),
        ({"bindResource": {"route": "ftp://shop"}}, ["spec.bindResource.route"]),
        ({"bindResource": {"route": "https://"}}, ["spec.bindResource.route"]),
        ({"bindResource": {"route": "shop:99999"}}, ["spec.bindResource.route"]),
        ({"bindResource": {"route": "https://ann:hunter2@shop"}}, ["spec.bindResource.route"]),
        ({"secretTransforms": [{}]}, ["spec.secretTransforms[0]"]),
        (
            {"secretTransforms": [{"removeKey": {"key": "a"}, "renameKey": {"from": "a", "to": "b"}}]},
            ["spec.secretTransforms[0]"],
        ),
        ({"secretTransforms": [{"renameKey": {"from": "a", "to": ""}}]}, ["spec.secretTransforms[0].renameKey"]),
        ({"secretTransforms": [{"addKey": {"key": "a"}}]}, ["spec.secretTransforms[0].addKey"]),
        ({"secretTransforms": [{"addKey": {"key": "a", "value": "!"}}]}, ["spec.secretTransforms[0].addKey.value"]),
        ({"secretTransforms": [{"addKey": {"key": "a", "stringValue": ""}}]}, []),
        ({"secretTransforms": [{"addKeysFrom": {"secretRef": {"name": "s", "namespace": "n"}}}]}, []),
        (
            {"secretTransforms": [{"addKeysFrom": {"secretRef": {"name": "s", "namespace": "other"}}}]},
            ["spec.secretTransforms[0].addKeysFrom.secretRef.namespace"],
        ),
    ],
)
def test_new_binding_rules(spec: dict[str, object], found: list[str]) -> None:
    assert [problem.field for problem in ADMISSION.problems_on_create(created(**spec))] == found


@pytest.mark.parametrize(
    ("sent", "warned"),
    [
        ({}, False),
        ({"parameters": {}}, False),
        ({"secretName": "b", "externalID": "new-id"}, False),
        ({"secretName": "other"}, True),
        ({"parameters": {"a": 1}}, True),
        ({"instanceRef": {"name": "j"}}, True),
    ],
)
def test_binding_spec_is_frozen_and_the_client_told_so(sent: dict[str, object], warned: bool) -> None:
    old, new = created(), binding(**sent)
    assert bool(RULES.changed_warnings(old, new)) is warned
    stored = ADMISSION.default_on_update(old, new, user=BOB)
    assert isinstance(stored, ServiceBinding)
    assert stored.spec == old.spec
    assert not RULES.spec_changed(old, stored)
    assert ADMISSION.problems_on_update(old, stored) == ()
