"""Names of classes and plans, as the gateway finds them: on offer, preferred by priority, or told what may be meant."""

import pytest
from sqlalchemy import update

from chandlery.store.schema import WORK_QUEUE
from tests.integration.gateway.api_client import CATALOG, TEAM, Api, Document, broker, catalog_object, instance, plan
from tests.integration.gateway.conftest import Running

pytestmark = pytest.mark.asyncio(loop_scope="session")

INSTANCES, BROKERS = f"{TEAM}/serviceinstances", f"{CATALOG}/clusterservicebrokers"
BY_NAME = {"clusterServiceClassExternalName": "mysql"}
FIELD = "spec.clusterServicePlanExternalName"


async def offer(api: Api, name: str, *, of: str, removed: bool = False, title: str = "mysql") -> None:
    """A class of a broker, with a plan."""
    values = {"externalName": title, "externalID": name, "description": "a database", "bindable": True}
    made = catalog_object("ClusterServiceClass", name, clusterServiceBrokerName=of, **values)
    await api.made(f"{CATALOG}/clusterserviceclasses", made)
    await api.made(f"{CATALOG}/clusterserviceplans", plan(f"{name}-small", of=name))
    if removed:
        await vanish(api, "clusterserviceclasses", name)


async def vanish(api: Api, plural: str, name: str) -> None:
    answer = await api.patch(f"{CATALOG}/{plural}/{name}/status", {"status": {"removedFromBrokerCatalog": True}})
    assert answer.status == 200, answer.payload


async def chosen(api: Api, gateway: Running) -> Document:
    """The lane that a new instance of that class name gets, and its plan."""
    made = await api.made(INSTANCES, instance(**BY_NAME))
    row = next(row for row in await gateway.rows("work_queue") if row["uid"] == made["metadata"]["uid"])
    return {"lane": row["lane"], "plan": made["spec"].get("clusterServicePlanExternalName")}


async def test_a_class_that_is_offered_no_more_is_no_candidate(api: Api, gateway: Running) -> None:
    await offer(api, "old", of="first", removed=True)
    await offer(api, "new", of="second")
    assert await chosen(api, gateway) == {"lane": "broker:/second", "plan": "small"}


async def test_a_plan_that_is_offered_no_more_is_no_candidate(api: Api, gateway: Running) -> None:
    await offer(api, "class", of="first")
    await api.made(f"{CATALOG}/clusterserviceplans", plan("new", of="class"))
    await vanish(api, "clusterserviceplans", "class-small")
    assert await chosen(api, gateway) == {"lane": "broker:/first", "plan": "small"}


async def test_a_name_that_several_brokers_offer_is_told_with_classes_brokers_and_the_way_out(api: Api) -> None:
    for number in range(6):
        await offer(api, f"class-{number}", of=f"broker-{number}")
    answer = await api.post(INSTANCES, instance(**BY_NAME))
    assert answer.status == 422
    told = answer.causes[FIELD]
    assert 'the service class "mysql" is ambiguous: 6 classes are offered under that name' in told
    assert '"class-0" of the broker "broker-0"' in told
    assert "and 1 more" in told
    assert "use clusterServiceClassName instead" in told


async def test_a_name_that_one_broker_offers_twice_is_not_said_to_be_a_matter_of_priority(api: Api) -> None:
    await offer(api, "class-1", of="first")
    await offer(api, "class-2", of="first")
    told = (await api.post(INSTANCES, instance(**BY_NAME))).causes[FIELD]
    assert "is ambiguous: 2 classes" in told
    assert told.endswith("use clusterServiceClassName instead (and name the plan by its object name, too)")


async def test_the_operator_says_whose_name_counts(api: Api, gateway: Running) -> None:
    await offer(api, "class-1", of="first")
    await offer(api, "class-2", of="second")
    await api.made(BROKERS, broker("first"))
    await api.made(BROKERS, broker("second", namePriority=1))
    assert (await chosen(api, gateway))["lane"] == "broker:/second"


async def test_who_waits_for_a_name_is_woken_by_another_priority(api: Api, gateway: Running) -> None:
    await offer(api, "class-1", of="first")
    await offer(api, "class-2", of="second")
    await api.made(BROKERS, broker("second"))
    made = await api.made(INSTANCES, instance(**BY_NAME, clusterServicePlanExternalName="small"))
    uid = made["metadata"]["uid"]
    async with gateway.resources.database._engine.begin() as connection:
        waits = {"waiting_for": "offering:/mysql", "due_at": None}
        await connection.execute(update(WORK_QUEUE).where(WORK_QUEUE.c.uid == uid).values(**waits))
    answer = await api.patch(f"{BROKERS}/second", {"spec": {"namePriority": 1}})
    assert answer.status == 200, answer.payload
    [row] = [row for row in await gateway.rows("work_queue") if row["uid"] == uid]
    assert (row["waiting_for"], row["due_at"] is None) == (None, False)


async def test_a_priority_beyond_all_reason_is_refused(api: Api) -> None:
    answer = await api.post(BROKERS, broker(namePriority=1_000_001))
    assert (answer.status, list(answer.causes)) == (422, ["spec.namePriority"])


async def test_a_class_that_does_not_exist_is_told_with_the_nearest_names_that_are_on_offer(api: Api) -> None:
    await offer(api, "class", of="first", title="mysqld")
    await offer(api, "gone", of="first", title="mysqll", removed=True)
    answer = await api.post(INSTANCES, instance(**BY_NAME))
    told = answer.causes[FIELD]
    assert 'class "mysql" does not exist; did you mean "mysqld"? To list what is offered:' in told
    assert told.endswith("kubectl get clusterserviceclasses")


async def test_an_invalid_object_is_called_by_its_generated_name(api: Api) -> None:
    document = {**instance(), "metadata": {"generateName": "db-"}, "spec": {}}
    answer = await api.post(INSTANCES, document)
    assert answer.status == 422
    name = answer.document["details"]["name"]
    assert name.startswith("db-")
    assert len(name) == len("db-") + 5
    assert f'ServiceInstance.servicecatalog.k8s.io "{name}" is invalid' in answer.message
