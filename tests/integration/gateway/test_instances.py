"""How an instance comes by its plan, and when it may change it: what needs the catalog in the database."""

from typing import Any

import pytest

from chandlery.model import kinds
from chandlery.store.database import UnitOfWork
from tests.integration.gateway.api_client import (
    CATALOG,
    TEAM,
    Api,
    Document,
    binding,
    catalog_object,
    instance,
    plan,
    service_class,
)
from tests.integration.gateway.conftest import Running

pytestmark = pytest.mark.asyncio(loop_scope="session")

INSTANCES = f"{TEAM}/serviceinstances"
DB = f"{INSTANCES}/db"


async def offer(api: Api, *plans: Document, **spec: Any) -> None:
    await api.made(f"{CATALOG}/clusterserviceclasses", service_class(**spec))
    for one in plans:
        await api.made(f"{CATALOG}/clusterserviceplans", one)


async def test_a_class_may_be_unknown_if_the_plan_is_given(api: Api) -> None:
    await api.made(INSTANCES, instance())


async def test_without_a_plan_the_class_has_to_be_known(api: Api) -> None:
    answer = await api.post(INSTANCES, instance(clusterServiceClassExternalName="mysql"))
    assert answer.status == 422
    assert 'class "mysql" does not exist' in answer.causes["spec.clusterServicePlanExternalName"]
    assert answer.document["details"]["name"] == "db"


@pytest.mark.parametrize(
    ("flavour", "class_name", "plan_name"),
    [("ExternalName", "mysql", "small"), ("ExternalID", "class-1", "plan-1"), ("Name", "class-1", "plan-1")],
)
async def test_the_only_plan_is_filled_in_the_way_the_class_was_named(
    api: Api, flavour: str, class_name: str, plan_name: str
) -> None:
    await offer(api, plan())
    created = await api.made(INSTANCES, instance(**{f"clusterServiceClass{flavour}": class_name}))
    assert created["spec"][f"clusterServicePlan{flavour}"] == plan_name


async def test_the_only_plan_of_a_namespaced_class_is_filled_in(api: Api) -> None:
    values: Document = {"externalName": "mysql", "externalID": "c", "description": "d", "serviceBrokerName": "b"}
    await api.made(f"{TEAM}/serviceclasses", catalog_object("ServiceClass", "c", **values))
    values = {**values, "externalName": "small", "serviceClassRef": {"name": "c"}}
    await api.made(f"{TEAM}/serviceplans", catalog_object("ServicePlan", "p", **values))
    created = await api.made(INSTANCES, instance(serviceClassExternalName="mysql"))
    assert created["spec"]["servicePlanExternalName"] == "small"


async def test_one_plan_of_several_has_to_be_named(api: Api) -> None:
    await offer(api, plan(), plan("plan-2", external_name="large"))
    answer = await api.post(INSTANCES, instance(clusterServiceClassExternalName="mysql"))
    assert "2 plans (large, small)" in answer.causes["spec.clusterServicePlanExternalName"]


async def test_plans_that_the_broker_withdrew_are_not_chosen(api: Api) -> None:
    await offer(api, plan(), plan("plan-2", external_name="large"))
    withdrawn = {"status": {"removedFromBrokerCatalog": True}}
    assert (await api.patch(f"{CATALOG}/clusterserviceplans/plan-2/status", withdrawn)).status == 200
    created = await api.made(INSTANCES, instance(clusterServiceClassExternalName="mysql"))
    assert created["spec"]["clusterServicePlanExternalName"] == "small"


async def test_the_alias_of_the_plan_is_written_out(api: Api) -> None:
    created = await api.made(INSTANCES, instance(clusterServiceClassExternalName="mysql", planName="small"))
    assert created["spec"]["clusterServicePlanExternalName"] == "small"
    assert created["spec"]["planName"] == "small"
    changed = await api.patch(DB, {"spec": {"planName": "large"}})
    assert changed.document["spec"]["clusterServicePlanExternalName"] == "large"
    assert changed.document["metadata"]["generation"] == 2
    both = await api.post(
        INSTANCES,
        instance(clusterServiceClassExternalName="a", clusterServicePlanExternalName="b", planName="c"),
    )
    assert "spec.planName" in both.causes


async def _resolved(api: Api, gateway: Running) -> None:
    """What the provisioner writes; it does so past the API."""
    references = {"clusterServiceClassRef": {"name": "class-1"}, "clusterServicePlanRef": {"name": "plan-1"}}

    async def work(unit: UnitOfWork) -> None:
        old = await unit.objects.get(kinds.SERVICE_INSTANCE, "team", "db", lock=True)
        assert old is not None
        wire = old.to_wire()
        wire["spec"] |= references
        wire["status"] |= {"provisionStatus": "Provisioned"}
        await unit.objects.update(old, kinds.SERVICE_INSTANCE.model.model_validate(wire))

    await gateway.resources.database.run(work)
    assert (await api.read(DB))["spec"]["clusterServicePlanRef"] == {"name": "plan-1"}


async def test_a_replacement_that_leaves_the_plan_out_keeps_the_plan(api: Api, gateway: Running) -> None:
    await offer(api, plan(), planUpdatable=False)
    created = await api.made(INSTANCES, instance(clusterServiceClassExternalName="mysql"))
    await _resolved(api, gateway)
    manifest = instance(clusterServiceClassExternalName="mysql")
    manifest["metadata"]["resourceVersion"] = (await api.read(DB))["metadata"]["resourceVersion"]
    answer = await api.put(DB, manifest)
    assert answer.status == 200, answer.payload
    spec = answer.document["spec"]
    assert spec["clusterServicePlanExternalName"] == "small"
    assert spec["clusterServicePlanRef"] == {"name": "plan-1"}
    assert spec["externalID"] == created["spec"]["externalID"]
    assert answer.document["metadata"]["generation"] == 1


@pytest.mark.parametrize(("updatable", "status"), [(True, 200), (False, 422)])
async def test_a_plan_changes_only_if_the_class_allows(
    api: Api, gateway: Running, updatable: bool, status: int
) -> None:
    await offer(api, plan(), plan("plan-2", external_name="large"), planUpdatable=updatable)
    await api.made(INSTANCES, instance())
    await _resolved(api, gateway)
    answer = await api.patch(DB, {"spec": {"clusterServicePlanExternalName": "large"}})
    assert answer.status == status
    if status == 200:
        assert "clusterServicePlanRef" not in answer.document["spec"]
        assert answer.document["spec"]["clusterServiceClassRef"] == {"name": "class-1"}
        assert answer.document["metadata"]["generation"] == 2
    else:
        assert "does not allow plan changes" in answer.causes["spec.clusterServicePlanExternalName"]


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


async def test_work_on_an_instance_goes_to_the_lane_of_its_broker(api: Api, gateway: Running) -> None:
    await offer(api, plan())
    known = await api.made(INSTANCES, instance("known"))
    unknown = await api.made(INSTANCES, instance("unknown", clusterServiceClassName="x", clusterServicePlanName="y"))
    lanes = {row["uid"]: row["lane"] for row in await gateway.rows("reconciliations")}
    assert lanes[known["metadata"]["uid"]] == "broker:/broker"
    assert lanes[unknown["metadata"]["uid"]] == "unresolved"


async def test_an_instance_on_its_way_out_takes_no_bindings(api: Api) -> None:
    await api.made(f"{TEAM}/servicebindings", binding("early", to="later"))
    await api.made(INSTANCES, instance())
    await api.delete(DB)
    answer = await api.post(f"{TEAM}/servicebindings", binding())
    assert answer.status == 403
    assert "being deleted" in answer.message
