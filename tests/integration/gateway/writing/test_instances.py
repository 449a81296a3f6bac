"""How an instance comes by its plan, and when it may change it: what needs the catalog in the database."""

from typing import Any

import pytest

from chandlery.model.objects import kinds
from chandlery.store.database import UnitOfWork
from tests.integration.gateway.api_client import (
    CATALOG,
    TEAM,
    Api,
    Document,
    binding,
    instance,
    namespace,
    plan,
)
from tests.integration.gateway.conftest import Running
from tests.integration.gateway.scopes import Scope

pytestmark = pytest.mark.asyncio(loop_scope="session")

INSTANCES = f"{TEAM}/serviceinstances"
DB = f"{INSTANCES}/db"


@pytest.fixture(params=["clusterService", "service"])
def scope(request: pytest.FixtureRequest) -> Scope:
    return Scope(str(request.param))


async def test_a_class_may_be_unknown_if_the_plan_is_given(api: Api, scope: Scope) -> None:
    await api.made(INSTANCES, scope.instance(ClassExternalName="mysql", PlanExternalName="small"))


async def test_without_a_plan_the_class_has_to_be_known(api: Api, scope: Scope) -> None:
    answer = await api.post(INSTANCES, scope.instance(ClassExternalName="mysql"))
    assert answer.status == 422
    assert 'class "mysql" does not exist' in answer.causes[f"spec.{scope.prefix}PlanExternalName"]
    assert answer.document["details"]["name"] == "db"


@pytest.mark.parametrize(
    ("flavour", "class_name", "plan_name"),
    [("ExternalName", "mysql", "small"), ("ExternalID", "class-1", "plan-1"), ("Name", "class-1", "plan-1")],
)
async def test_the_only_plan_is_filled_in_the_way_the_class_was_named(
    api: Api, scope: Scope, flavour: str, class_name: str, plan_name: str
) -> None:
    await scope.offers(api, plan())
    created = await api.made(INSTANCES, scope.instance(**{f"Class{flavour}": class_name}))
    assert created["spec"][f"{scope.prefix}Plan{flavour}"] == plan_name


async def test_plans_of_the_other_scope_are_not_chosen(api: Api) -> None:
    await Scope("clusterService").offers(api, plan("plan-2", external_name="large"))
    await Scope("service").offers(api, plan())
    created = await api.made(INSTANCES, instance(serviceClassExternalName="mysql"))
    assert created["spec"]["servicePlanExternalName"] == "small"
    created = await api.made(INSTANCES, {**instance("other", clusterServiceClassExternalName="mysql")})
    assert created["spec"]["clusterServicePlanExternalName"] == "large"


async def test_a_class_of_another_namespace_is_unknown(api: Api) -> None:
    await Scope("service").offers(api, plan())
    await api.made("/api/v1/namespaces", namespace("elsewhere"))
    path = f"{CATALOG}/namespaces/elsewhere/serviceinstances"
    assert (await api.post(path, instance(serviceClassExternalName="mysql"))).status == 422


async def test_one_plan_of_several_has_to_be_named(api: Api, scope: Scope) -> None:
    await scope.offers(api, plan(), plan("plan-2", external_name="large"))
    answer = await api.post(INSTANCES, scope.instance(ClassExternalName="mysql"))
    assert '2 plans ("large", "small")' in answer.causes[f"spec.{scope.prefix}PlanExternalName"]


async def test_plans_that_the_broker_withdrew_are_not_chosen(api: Api, scope: Scope) -> None:
    await scope.offers(api, plan(), plan("plan-2", external_name="large"))
    await scope.withdraws(api, "plan-2")
    created = await api.made(INSTANCES, scope.instance(ClassExternalName="mysql"))
    assert created["spec"][f"{scope.prefix}PlanExternalName"] == "small"


async def test_the_alias_of_the_plan_is_written_out(api: Api, scope: Scope) -> None:
    created = await api.made(INSTANCES, scope.instance(ClassExternalName="mysql", planName="small"))
    assert created["spec"][f"{scope.prefix}PlanExternalName"] == "small"
    assert created["spec"]["planName"] == "small"
    changed = await api.patch(DB, {"spec": {"planName": "large"}})
    assert changed.document["spec"][f"{scope.prefix}PlanExternalName"] == "large"
    assert changed.document["metadata"]["generation"] == 2
    both = await api.post(INSTANCES, scope.instance(ClassExternalName="a", PlanExternalName="b", planName="c"))
    assert "spec.planName" in both.causes


async def written(api: Api, gateway: Running, *, spec: Document | None = None, status: Document | None = None) -> None:
    """What the provisioner writes; it does so past the API."""

    async def work(unit: UnitOfWork) -> None:
        old = await unit.objects.get(kinds.SERVICE_INSTANCE, "team", "db", lock=True)
        assert old is not None
        wire = old.to_wire()
        wire["spec"] |= spec or {}
        wire["status"] |= status or {}
        await unit.objects.update(old, kinds.SERVICE_INSTANCE.model.model_validate(wire))

    await gateway.resources.database.run(work)
    await api.read(DB)


async def resolved(api: Api, gateway: Running, scope: Scope, **status: Any) -> None:
    """The instance is there at the broker, with plan-1."""
    references = scope.spec(ClassRef={"name": "class-1"}, PlanRef={"name": "plan-1"})
    await written(api, gateway, spec=references, status={"provisionStatus": "Provisioned", **status})
    assert (await api.read(DB))["spec"][f"{scope.prefix}PlanRef"] == {"name": "plan-1"}


async def test_a_replacement_that_leaves_the_plan_out_keeps_the_plan(api: Api, gateway: Running, scope: Scope) -> None:
    await scope.offers(api, plan(), planUpdatable=False)
    created = await api.made(INSTANCES, scope.instance(ClassExternalName="mysql"))
    await resolved(api, gateway, scope)
    manifest = scope.instance(ClassExternalName="mysql")
    manifest["metadata"]["resourceVersion"] = (await api.read(DB))["metadata"]["resourceVersion"]
    answer = await api.put(DB, manifest)
    assert answer.status == 200, answer.payload
    spec = answer.document["spec"]
    assert spec[f"{scope.prefix}PlanExternalName"] == "small"
    assert spec[f"{scope.prefix}PlanRef"] == {"name": "plan-1"}
    assert spec["externalID"] == created["spec"]["externalID"]
    assert answer.document["metadata"]["generation"] == 1


@pytest.mark.parametrize(
    ("of_class", "of_plan", "who_refuses"),
    [
        (True, None, None),
        (True, True, None),
        (True, False, "the service plan 'small'"),
        (False, None, "the service class 'mysql'"),
        (False, True, None),
        (False, False, "the service plan 'small'"),
    ],
)
async def test_a_plan_changes_only_if_the_present_plan_or_the_class_allows(
    api: Api, gateway: Running, scope: Scope, of_class: bool, of_plan: bool | None, who_refuses: str | None
) -> None:
    own: Document = {} if of_plan is None else {"planUpdatable": of_plan}
    large = plan("plan-2", external_name="large", planUpdatable=not of_class)
    await scope.offers(api, plan(**own), large, planUpdatable=of_class)
    await api.made(INSTANCES, scope.instance(ClassExternalName="mysql", PlanExternalName="small"))
    await resolved(api, gateway, scope)
    change = {"spec": scope.spec(PlanExternalName="large")}
    dry, answer = await api.patch(DB, change, dryRun="All"), await api.patch(DB, change)
    assert dry.status == answer.status == (422 if who_refuses else 200)
    if not who_refuses:
        assert f"{scope.prefix}PlanRef" not in answer.document["spec"]
        assert answer.document["spec"][f"{scope.prefix}ClassRef"] == {"name": "class-1"}
        assert answer.document["metadata"]["generation"] == 2
    else:
        assert f"{who_refuses} does not allow plan changes" in answer.causes[f"spec.{scope.prefix}PlanExternalName"]
        other = await api.patch(DB, {"spec": {"parameters": {"a": 1}}})
        assert other.document["metadata"]["generation"] == 2


async def test_a_plan_change_that_failed_can_be_taken_back_whatever_the_plans_allow(
    api: Api, gateway: Running, scope: Scope
) -> None:
    third = plan("plan-3", external_name="huge")
    await scope.offers(api, plan(), plan("plan-2", external_name="large"), third, planUpdatable=True)
    await api.made(INSTANCES, scope.instance(ClassExternalName="mysql", PlanExternalName="small"))
    has = {"externalProperties": scope.spec(PlanExternalName="small", PlanExternalID="plan-1")}
    if scope.prefix == "service":
        has["externalProperties"] |= {"clusterServicePlanExternalName": "", "clusterServicePlanExternalID": ""}
    await resolved(api, gateway, scope, **has)
    assert (await api.patch(DB, {"spec": scope.spec(PlanExternalName="large")})).status == 200
    of_scope = "clusterserviceclasses" if scope.prefix == "clusterService" else "namespaces/team/serviceclasses"
    assert (await api.patch(f"{CATALOG}/{of_scope}/class-1", {"spec": {"planUpdatable": False}})).status == 200

    refused = await api.patch(DB, {"spec": scope.spec(PlanExternalName="huge")})
    assert "does not allow plan changes" in refused.causes[f"spec.{scope.prefix}PlanExternalName"]
    back = await api.patch(DB, {"spec": scope.spec(PlanExternalName="small")})
    assert back.status == 200, back.payload
    assert back.document["metadata"]["generation"] == 3


STATES: dict[str, Document] = {
    "provisioning": {"currentOperation": "Provision", "operationStartTime": "2030-01-01T00:00:00Z"},
    "provisioning asynchronously": {
        "currentOperation": "Provision",
        "operationStartTime": "2030-01-01T00:00:00Z",
        "asyncOpInProgress": True,
        "lastOperation": "op-1",
    },
    "failed": {
        "conditions": [
            {"type": "Ready", "status": "False", "reason": "ProvisionCallFailed"},
            {"type": "Failed", "status": "True", "reason": "ProvisionCallFailed"},
        ]
    },
    "being cleaned up": {"orphanMitigationInProgress": True, "operationStartTime": "2030-01-01T00:00:00Z"},
    "updating": {
        "provisionStatus": "Provisioned",
        "currentOperation": "Update",
        "operationStartTime": "2030-01-01T00:00:00Z",
        "inProgressProperties": {"clusterServicePlanExternalName": "large", "clusterServicePlanExternalID": "plan-2"},
    },
    "failed to update": {
        "provisionStatus": "Provisioned",
        "conditions": [
            {"type": "Failed", "status": "True", "reason": "UpdateInstanceCallFailed"},
            {"type": "Ready", "status": "True", "reason": "UpdateInstanceCallFailed"},
        ],
    },
}


@pytest.mark.parametrize("state", STATES.values(), ids=STATES)
async def test_the_specification_can_be_corrected_in_every_state(
    api: Api, gateway: Running, state: Document, scope: Scope
) -> None:
    """The reference locks it while an operation runs."""
    large = plan("plan-2", external_name="large")
    await scope.offers(api, plan(), large, planUpdatable=True)
    created = await api.made(INSTANCES, scope.instance(ClassExternalName="mysql", PlanExternalName="small"))
    await written(api, gateway, status=state)
    for generation, spec in enumerate(
        ({"parameters": {"a": 1}}, scope.spec(PlanExternalName="large"), {"parameters": None}), start=2
    ):
        answer = await gateway.as_user("token-of-ann-the-developer").patch(DB, {"spec": spec})
        assert answer.status == 200, answer.payload
        assert answer.document["metadata"]["generation"] == generation
        assert answer.document["spec"]["userInfo"]["username"] == "ann"
    uid = created["metadata"]["uid"]
    (work,) = [row for row in await gateway.rows("work_queue") if row["uid"] == uid]
    assert work["revision"] == 3
    stored = await api.read(DB)
    assert stored["status"].items() >= {key: state[key] for key in state if key != "conditions"}.items()
    assert (await gateway.as_user("token-of-ann-the-developer").delete(DB)).document["metadata"]["deletionTimestamp"]


async def test_what_is_frozen_stays(api: Api) -> None:
    await api.made(INSTANCES, instance())
    for patch, field in (
        ({"clusterServiceClassExternalName": "other"}, "spec.clusterServiceClassExternalName"),
        ({"externalID": "other"}, "spec.externalID"),
        ({"updateRequests": -1}, "spec.updateRequests"),
    ):
        assert field in (await api.patch(DB, {"spec": patch})).causes
    created = await api.made(f"{TEAM}/servicebindings", binding())
    assert created["spec"]["secretName"] == "db-binding"
    answer = await api.patch(f"{TEAM}/servicebindings/db-binding", {"spec": {"secretName": "other"}})
    assert answer.status == 200
    assert "cannot be changed" in answer.warnings[0]
    assert answer.document == created


async def test_work_on_an_instance_goes_to_the_lane_of_its_broker(api: Api, gateway: Running, scope: Scope) -> None:
    await scope.offers(api, plan())
    known = await api.made(INSTANCES, scope.instance(ClassExternalName="mysql"))
    unknown = await api.made(INSTANCES, instance("unknown", clusterServiceClassName="x", clusterServicePlanName="y"))
    lanes = {row["uid"]: row["lane"] for row in await gateway.rows("work_queue")}
    assert lanes[known["metadata"]["uid"]] == ("broker:/broker" if scope.prefix != "service" else "broker:team/broker")
    assert lanes[unknown["metadata"]["uid"]] == "unresolved"


async def test_an_instance_on_its_way_out_takes_no_bindings(api: Api) -> None:
    await api.made(f"{TEAM}/servicebindings", binding("early", to="later"))
    await api.made(INSTANCES, instance())
    await api.delete(DB)
    answer = await api.post(f"{TEAM}/servicebindings", binding())
    assert answer.status == 422
    assert "being deleted" in answer.causes["spec.instanceRef.name"]


async def test_a_working_instance_is_asked_for_no_plan_that_its_class_does_not_have(
    api: Api, gateway: Running, scope: Scope
) -> None:
    await scope.offers(api, plan(), plan("plan-2", external_name="large"), planUpdatable=True)
    await api.made(INSTANCES, scope.instance(ClassExternalName="mysql", PlanExternalName="small"))
    await resolved(api, gateway, scope)
    field = f"spec.{scope.prefix}PlanExternalName"

    near = await api.patch(DB, {"spec": scope.spec(PlanExternalName="larg")})
    assert (near.status, near.causes[field]) == (
        422,
        'Invalid value: "larg": the class "mysql" has no such plan; did you mean "large"?',
    )
    far = await api.patch(DB, {"spec": scope.spec(PlanExternalName="zzz")})
    assert far.causes[field] == 'Invalid value: "zzz": the class "mysql" has no such plan; it has "large", "small"'
    await scope.withdraws(api, "plan-2")
    gone = await api.patch(DB, {"spec": scope.spec(PlanExternalName="large")})
    assert gone.causes[field].endswith('the class "mysql" no longer offers this plan; it has "small"')
    assert (await api.get(DB)).document["metadata"]["generation"] == 1
