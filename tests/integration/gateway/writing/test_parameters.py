"""Parameters that their plan's schema refuses are refused before anything is stored, as far as they can be seen."""

import asyncio
import threading
from typing import Any
from uuid import uuid4

import pytest

from chandlery.model.objects import kinds
from chandlery.reconcile.parameters import bounded_validators, parameter_schemas
from chandlery.reconcile.parameters.parameters import checksum
from chandlery.store.database import UnitOfWork
from tests.integration.gateway.api_client import TEAM, Answer, Api, Document, binding, catalog_object, plan
from tests.integration.gateway.conftest import Running
from tests.integration.gateway.scopes import Scope

pytestmark = pytest.mark.asyncio(loop_scope="session")

INSTANCES = f"{TEAM}/serviceinstances"
BINDINGS = f"{TEAM}/servicebindings"
DB = f"{INSTANCES}/db"
SOURCES = [{"secretKeyRef": {"name": "s", "key": "k"}}]


def schema(**properties: str) -> Document:
    """Properties and their types; nothing else is allowed."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": {name: {"type": kind} for name, kind in properties.items()},
        "additionalProperties": False,
    }


SMALL = plan(
    instanceCreateParameterSchema=schema(size="integer", zone="string"),
    instanceUpdateParameterSchema=schema(size="integer"),
    serviceBindingCreateParameterSchema=schema(role="string"),
)
LARGE = plan("plan-2", external_name="large", instanceCreateParameterSchema=schema(nodes="integer"))
FREE = plan("plan-3", external_name="free")


@pytest.fixture(params=["clusterService", "service"])
def scope(request: pytest.FixtureRequest) -> Scope:
    return Scope(str(request.param))


def named_plan(scope: Scope, *, plan_name: str = "small", **spec: Any) -> Document:
    return scope.instance(ClassExternalName="mysql", PlanExternalName=plan_name, **spec)


def refused(answer: Answer) -> set[str]:
    """The fields that are to blame; empty if there are none."""
    if answer.status in (200, 201):
        return set()
    assert (answer.status, answer.document["reason"]) == (422, "Invalid"), answer.payload
    return set(answer.causes)


async def has_status(gateway: Running, **status: Any) -> None:
    """What the provisioner writes; it does so past the API."""

    async def work(unit: UnitOfWork) -> None:
        old = await unit.objects.get(kinds.SERVICE_INSTANCE, "team", "db", lock=True)
        assert old is not None
        wire = old.to_wire()
        wire["status"] |= status
        await unit.objects.update(old, kinds.SERVICE_INSTANCE.model.model_validate(wire))

    await gateway.resources.database.run(work)


@pytest.mark.parametrize(
    ("spec", "fields"),
    [
        ({}, set()),
        ({"parameters": {"size": 1, "zone": "a"}}, set()),
        ({"parameters": {"size": "hunter2", "zone": 1}}, {"spec.parameters.size", "spec.parameters.zone"}),
        ({"parameters": {"size": "hunter2"}, "parametersFrom": SOURCES}, set()),
        ({"parameters": {"size": "hunter2"}, "plan_name": "free"}, set()),
        ({"parameters": {"size": "hunter2"}, "plan_name": "unknown"}, set()),
        ({"parameters": {"nodes": "hunter2"}, "plan_name": "large"}, {"spec.parameters.nodes"}),
    ],
)
async def test_parameters_of_a_new_instance_are_held_against_the_plan(
    api: Api, scope: Scope, spec: dict[str, Any], fields: set[str]
) -> None:
    await scope.offers(api, SMALL, LARGE, FREE)
    body = named_plan(scope, **spec)
    dry, answer = await api.post(INSTANCES, body, dryRun="All"), await api.post(INSTANCES, body)
    assert refused(dry) == refused(answer) == fields
    assert b"hunter2" not in (answer.payload if fields else b"")


async def test_a_violation_names_its_place_and_what_is_expected(api: Api, scope: Scope) -> None:
    nested: Document = {"type": "array", "items": {"type": "object", "properties": {"zone": {"type": "string"}}}}
    create = schema()
    create["properties"] |= {"nodes": nested, 'odd "name": x': {"type": "string"}}
    await scope.offers(api, plan(instanceCreateParameterSchema=create))
    answer = await api.post(
        INSTANCES, named_plan(scope, parameters={"nodes": [{"zone": "a"}, {"zone": 7}], 'odd "name": x': 7})
    )
    assert "string" in answer.causes["spec.parameters.nodes[1].zone"]
    assert answer.causes['spec.parameters["odd \\"name\\": x"]'] == (
        'Invalid value: must be a string (the create schema of the plan "small")'
    )
    assert len(answer.causes) == 2
    assert answer.message.startswith('ServiceInstance.servicecatalog.k8s.io "db" is invalid: [')


async def test_without_the_catalog_nothing_is_refused(api: Api, scope: Scope) -> None:
    assert refused(await api.post(INSTANCES, named_plan(scope, parameters={"size": "x"}))) == set()
    assert refused(await api.post(BINDINGS, binding(parameters={"role": 1}))) == set()
    assert refused(await api.post(BINDINGS, binding("other", to="nothing", parameters={"role": 1}))) == set()


async def test_the_default_plan_has_its_say(api: Api, scope: Scope) -> None:
    await scope.offers(api, SMALL)
    answer = await api.post(INSTANCES, scope.instance(ClassExternalName="mysql", parameters={"size": "x"}))
    assert refused(answer) == {"spec.parameters.size"}


async def test_of_creations_at_the_same_time_only_the_wrong_ones_are_refused(api: Api, scope: Scope) -> None:
    await scope.offers(api, SMALL)
    spec = scope.spec(ClassExternalName="mysql", PlanExternalName="small")
    bodies = [
        catalog_object("ServiceInstance", f"db-{number}", **spec, parameters={"size": "x" if number % 3 == 0 else 1})
        for number in range(9)
    ]
    answers = await asyncio.gather(*(api.post(INSTANCES, body) for body in bodies))
    assert [answer.status for answer in answers] == [422, 201, 201] * 3


@pytest.mark.parametrize(
    ("status", "change", "fields"),
    [
        ({}, {"parameters": {"size": "x"}}, {"spec.parameters.size"}),
        ({}, {"parameters": {"size": None, "zone": "b"}}, set()),
        ({}, {"PlanExternalName": "large"}, {"spec.parameters.size", "spec.parameters.zone"}),
        ({}, {"PlanExternalName": "large", "parameters": {"size": None, "zone": None, "nodes": 3}}, set()),
        ({}, {"PlanExternalName": "large", "parameters": None}, set()),
        ({"provisionStatus": "Provisioned"}, {"parameters": {"size": "x", "zone": None}}, {"spec.parameters.size"}),
        ({"provisionStatus": "Provisioned"}, {"parameters": {"size": 5}}, {"spec.parameters.zone"}),
        ({"provisionStatus": "Provisioned"}, {"parameters": {"size": 5, "zone": None}}, set()),
        ({"provisionStatus": "Provisioned"}, {"updateRequests": 1}, set()),
        ({"provisionStatus": "Provisioned"}, {"PlanExternalName": "large"}, set()),
        ({"provisionStatus": "Provisioned"}, {"parametersFrom": SOURCES, "parameters": {"size": "x"}}, set()),
        ({"currentOperation": "Provision"}, {"parameters": {"size": "x"}}, set()),
        ({"currentOperation": "Deprovision"}, {"parameters": {"size": "x"}}, set()),
    ],
)
async def test_changed_parameters_are_held_against_what_comes_next(
    api: Api, gateway: Running, scope: Scope, status: Document, change: Document, fields: set[str]
) -> None:
    """A creation that has failed is made anew; what is there is updated; unchanged parameters are not sent."""
    await scope.offers(api, SMALL, LARGE, planUpdatable=True)
    await api.made(INSTANCES, named_plan(scope, parameters={"size": 1, "zone": "a"}))
    if status:
        await has_status(gateway, **status)
    dry = await api.patch(DB, {"spec": scope.spec(**change)}, dryRun="All")
    answer = await api.patch(DB, {"spec": scope.spec(**change)})
    assert refused(dry) == refused(answer) == fields
    if fields:
        assert (await api.read(DB))["metadata"]["generation"] == 1


async def test_parameters_that_the_broker_has_can_always_be_gone_back_to(
    api: Api, gateway: Running, scope: Scope
) -> None:
    first: Document = {"size": 1, "zone": "a"}
    await scope.offers(api, SMALL)
    await api.made(INSTANCES, named_plan(scope, parameters=first))
    has = {
        "clusterServicePlanExternalName": "",
        "clusterServicePlanExternalID": "",
        "parameterChecksum": checksum(first),
    }
    await has_status(gateway, provisionStatus="Provisioned", externalProperties=has)
    assert refused(await api.patch(DB, {"spec": {"parameters": {"size": 2, "zone": None}}})) == set()
    assert refused(await api.patch(DB, {"spec": {"parameters": {"size": 1, "zone": "b"}}})) == {"spec.parameters.zone"}
    assert refused(await api.patch(DB, {"spec": {"parameters": first}})) == set()


async def test_parameters_that_a_new_schema_refuses_keep_nobody_from_other_changes(api: Api, scope: Scope) -> None:
    await api.made(INSTANCES, named_plan(scope, parameters={"size": "x"}))
    await scope.offers(api, SMALL)
    for patch in (
        {"spec": {"updateRequests": 1}},
        {"metadata": {"annotations": {"chandlery.io/abandon": "true"}}},
        {"metadata": {"finalizers": None}},
    ):
        assert refused(await api.patch(DB, patch)) == set()


@pytest.mark.parametrize(
    ("spec", "fields"),
    [
        ({}, set()),
        ({"parameters": {"role": "reader"}}, set()),
        ({"parameters": {"role": 1}}, {"spec.parameters.role"}),
        ({"parameters": {"role": 1}, "parametersFrom": SOURCES}, set()),
    ],
)
async def test_parameters_of_a_new_binding_are_held_against_the_plan_of_its_instance(
    api: Api, gateway: Running, scope: Scope, spec: Document, fields: set[str]
) -> None:
    await scope.offers(api, SMALL, FREE, planUpdatable=True)
    await api.made(INSTANCES, named_plan(scope))
    assert refused(await api.post(BINDINGS, binding(**spec))) == fields
    delivered: Document = {"clusterServicePlanExternalName": "", "clusterServicePlanExternalID": ""}
    delivered |= scope.spec(PlanExternalName="small", PlanExternalID="plan-1")
    await has_status(gateway, provisionStatus="Provisioned", externalProperties=delivered)
    assert (await api.patch(DB, {"spec": scope.spec(PlanExternalName="free")})).status == 200
    assert refused(await api.post(BINDINGS, binding("second", **spec))) == fields


def requiring(*names: str, **properties: str) -> Document:
    return {**schema(**properties), "required": list(names)}


async def test_parameters_that_are_required_are_missed_at_once_where_there_are_none_at_all(
    api: Api, gateway: Running, scope: Scope
) -> None:
    choosy = plan(
        instanceCreateParameterSchema=requiring("size", size="integer"),
        serviceBindingCreateParameterSchema=requiring("role", role="string"),
    )
    await scope.offers(api, choosy)
    missing = await api.post(INSTANCES, named_plan(scope))
    assert missing.causes == {
        "spec.parameters.size": 'Required value: the create schema of the plan "small" requires it'
    }
    assert refused(await api.post(INSTANCES, named_plan(scope, parametersFrom=SOURCES))) == set()
    assert refused(await api.post(BINDINGS, binding())) == {"spec.parameters.role"}
    assert refused(await api.post(BINDINGS, binding(parametersFrom=SOURCES))) == set()


async def test_defaults_of_the_catalog_count_where_nothing_else_is_said(api: Api, scope: Scope) -> None:
    choosy = requiring("size", "zone", size="integer", zone="string")
    small = plan(instanceCreateParameterSchema=choosy, defaultProvisionParameters={"size": 2})
    await scope.offers(api, small, defaultProvisionParameters={"size": "of no use", "zone": "a"})
    assert refused(await api.post(INSTANCES, named_plan(scope))) == set()
    other = {**named_plan(scope, parameters={"size": "x"}), "metadata": {"name": "other"}}
    assert refused(await api.post(INSTANCES, other)) == {"spec.parameters.size"}


@pytest.mark.parametrize(
    ("parameters", "fields"),
    [
        pytest.param({"size": 2}, set(), id="only what differs counts"),
        pytest.param({"size": "x"}, {"spec.parameters.size"}, id="what differs is wrong"),
        pytest.param({"dbname": "b"}, {"spec.parameters.dbname"}, id="what cannot be changed is"),
        pytest.param({"dbname": None, "size": 2}, set(), id="what cannot be changed is left out"),
    ],
)
async def test_update_schema_speaks_of_what_differs_from_what_the_broker_has(
    api: Api, gateway: Running, scope: Scope, parameters: Document, fields: set[str]
) -> None:
    first: Document = {"dbname": "a", "size": 1}
    await scope.offers(
        api,
        plan(
            instanceCreateParameterSchema=schema(dbname="string", size="integer"),
            instanceUpdateParameterSchema=schema(size="integer"),
        ),
    )
    await api.made(INSTANCES, named_plan(scope, parameters=first))
    has = {
        "clusterServicePlanExternalName": "",
        "clusterServicePlanExternalID": "",
        "parameters": first,
        "parameterChecksum": checksum(first),
    }
    await has_status(gateway, provisionStatus="Provisioned", externalProperties=has)
    answer = await api.patch(DB, {"spec": {"parameters": parameters}})
    assert refused(answer) == fields
    if fields:
        assert all("the update schema of the plan" in words for words in answer.causes.values())


async def test_schemas_are_evaluated_off_the_loop(api: Api, scope: Scope, monkeypatch: pytest.MonkeyPatch) -> None:
    threads = []
    first_errors = bounded_validators.first_errors

    def noted(*arguments: Any) -> Any:
        threads.append(threading.get_ident())
        return first_errors(*arguments)

    monkeypatch.setattr(parameter_schemas, "first_errors", noted)
    odd = schema(size="integer") | {"title": f"off the loop, {scope.prefix}, {uuid4()}"}
    await scope.offers(api, plan(instanceCreateParameterSchema=odd))
    assert refused(await api.post(INSTANCES, named_plan(scope, parameters={"size": "x"}))) == {"spec.parameters.size"}
    assert threads
    assert threading.get_ident() not in threads
