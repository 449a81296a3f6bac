"""An external id belongs to one object for each service broker: what the gateway refuses, and what it lets pass."""

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from chandlery.model.faults import Forbidden
from chandlery.model.objects import kinds
from chandlery.model.objects.instances import UserInfo
from chandlery_gateway.identity.authorization import Access, Decision
from chandlery_gateway.kube.printing.status_objects import status_of
from chandlery_gateway.write.object_writer import ObjectWriter
from chandlery_gateway.write.write_requests import WriteRequest
from tests.integration.gateway.api_client import (
    CATALOG,
    TEAM,
    Api,
    Document,
    binding,
    catalog_object,
    instance,
    namespace,
    plan,
    service_class,
)
from tests.integration.gateway.conftest import Running
from tests.support.allow_everything import AllowEverything
from tests.support.broker_places import PLACES_OF_TESTS

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.both_backends]

INSTANCES, BINDINGS = f"{TEAM}/serviceinstances", f"{TEAM}/servicebindings"
OTHERS = f"{CATALOG}/namespaces/others/serviceinstances"
FIELD = "spec.externalID"
ANN = UserInfo(username="ann", groups=("system:authenticated",))


@pytest_asyncio.fixture(loop_scope="session")
async def offered(api: Api) -> Api:
    """The class `mysql` of the broker `broker` and the class `other` of the broker `second`."""
    await api.made(f"{CATALOG}/clusterserviceclasses", service_class())
    await api.made(f"{CATALOG}/clusterserviceplans", plan())
    values = {"externalName": "other", "externalID": "class-2", "description": "d", "bindable": True}
    other = catalog_object("ClusterServiceClass", "class-2", clusterServiceBrokerName="second", **values)
    await api.made(f"{CATALOG}/clusterserviceclasses", other)
    await api.made("/api/v1/namespaces", namespace("others"))
    return api


def named(name: str, external_id: str, of: str = "mysql", plan: str | None = "small") -> Document:
    spec = {"clusterServiceClassExternalName": of, "externalID": external_id}
    return instance(name, **spec, **({"clusterServicePlanExternalName": plan} if plan else {}))


@pytest.mark.parametrize("plan_name", ["small", None], ids=["plan given", "default plan"])
@pytest.mark.parametrize("dry_run", [{}, {"dryRun": "All"}], ids=["for real", "dry run"])
async def test_an_external_id_in_use_is_refused_without_a_word_on_whose_it_is(
    offered: Api, plan_name: str | None, dry_run: dict[str, str]
) -> None:
    await offered.made(INSTANCES, named("victim", "precious-1"))

    answer = await offered.post(OTHERS, named("thief", "precious-1", plan=plan_name), **dry_run)

    assert (answer.status, list(answer.causes)) == (422, [FIELD])
    assert answer.causes[FIELD] == (
        'Duplicate value: "precious-1" is in use at the service broker; use another one, or remove it to '
        "get a random one"
    )
    assert "victim" not in answer.message
    assert "team" not in answer.message
    assert (await offered.get(f"{OTHERS}/thief")).status == 404


async def test_a_class_by_any_of_its_names_leads_to_the_same_external_ids(offered: Api) -> None:
    await offered.made(INSTANCES, named("victim", "precious-1"))
    by_name = {"clusterServiceClassName": "class-1", "clusterServicePlanName": "plan-1"}
    by_id = {"clusterServiceClassExternalID": "class-1", "clusterServicePlanExternalID": "plan-1"}
    for spec in (by_name, by_id):
        answer = await offered.post(OTHERS, instance("thief", externalID="precious-1", **spec))
        assert (answer.status, list(answer.causes)) == (422, [FIELD])


async def test_another_service_broker_may_know_the_same_external_id(offered: Api) -> None:
    await offered.made(INSTANCES, named("one", "id-1"))
    await offered.made(INSTANCES, named("two", "id-1", of="other"))


async def test_an_external_id_is_free_again_when_its_object_is_gone(offered: Api) -> None:
    await offered.made(INSTANCES, named("one", "id-1"))
    assert (await offered.delete(f"{INSTANCES}/one")).status == 200
    taken = await offered.post(INSTANCES, named("two", "id-1"))
    assert taken.status == 422, "what is being deleted is still there at the broker"
    # Its worker lets it go, or whoever takes its finalizer away.
    assert (await offered.patch(f"{INSTANCES}/one", {"metadata": {"finalizers": None}})).status == 200
    await offered.made(INSTANCES, named("two", "id-1"))


async def test_only_one_of_many_creations_at_once_gets_an_external_id(offered: Api, gateway: Running) -> None:
    answers = await asyncio.gather(
        *(offered.post(INSTANCES, named(f"racer-{number}", "id-1")) for number in range(12)),
        *(offered.post(OTHERS, named(f"racer-{number}", "id-1")) for number in range(12)),
    )
    assert sorted({answer.status for answer in answers}) == [201, 422]
    assert [answer.status for answer in answers].count(201) == 1
    assert len(await gateway.rows("external_ids")) == 1


async def test_creating_an_object_again_says_that_it_exists(offered: Api) -> None:
    await offered.made(INSTANCES, named("one", "id-1"))
    assert (await offered.post(INSTANCES, named("one", "id-1"))).status == 409


async def test_bindings_have_external_ids_of_their_own_that_are_as_unique(offered: Api) -> None:
    await offered.made(INSTANCES, named("db", "id-1"))
    await offered.made(OTHERS, named("db", "id-2"))
    await offered.made(BINDINGS, binding(externalID="id-1"))

    answer = await offered.post(f"{CATALOG}/namespaces/others/servicebindings", binding(externalID="id-1"))

    assert (answer.status, list(answer.causes)) == (422, [FIELD])


@pytest.mark.parametrize(
    "external_id", [".", "..", "a/b", "a b", "é", "a%2Fb", "a?b", "a\nb", "x" * 254], ids=lambda each: ascii(each)[:8]
)
@pytest.mark.parametrize("kind", ["instance", "binding"])
async def test_an_external_id_is_made_of_what_every_broker_can_carry(api: Api, kind: str, external_id: str) -> None:
    bodies: dict[str, tuple[str, Document]] = {
        "instance": (INSTANCES, named("db", external_id)),
        "binding": (BINDINGS, binding(externalID=external_id)),
    }
    answer = await api.post(*bodies[kind])
    assert (answer.status, list(answer.causes)) == (422, [FIELD])


async def test_usual_external_ids_are_taken(offered: Api) -> None:
    for number, external_id in enumerate(["0b5e4f3c-2c1f-4cbe-8e0e-1b1de6b0d7d5", "A.b_c~d-1", "...", "x" * 253]):
        await offered.made(INSTANCES, named(f"db-{number}", external_id))


@dataclass
class NobodyAdopts(AllowEverything):
    """Lets everybody do everything but choose external ids; remembers what it was asked."""

    asked: list[Access]

    async def decide(self, access: Access) -> Decision:
        self.asked.append(access)
        return Decision(allowed=access.verb != "adopt")


@pytest.mark.parametrize(
    ("kind", "document"),
    [(kinds.SERVICE_INSTANCE, instance()), (kinds.SERVICE_BINDING, binding("db"))],
    ids=["instance", "binding"],
)
async def test_choosing_an_external_id_takes_the_right_to_adopt(
    gateway: Running, kind: kinds.Kind, document: dict[str, Any]
) -> None:
    authorizer = NobodyAdopts([])
    object_writer = ObjectWriter(
        gateway.resources.database, on_write=lambda _request: None, places=PLACES_OF_TESTS, authorizer=authorizer
    )
    write = WriteRequest(kind=kind, namespace="team", name="db", user=ANN)
    chosen = {**document, "spec": {**document["spec"], "externalID": "mine"}}

    with pytest.raises(Forbidden) as raised:
        await object_writer.create(write, kind.model.model_validate(chosen))

    code, status = status_of(raised.value, kind=kind, name="db")
    assert (code, [cause["field"] for cause in status["details"]["causes"]]) == (403, [FIELD])
    assert "Remove externalID to get a random one" in status["message"]
    (access,) = authorizer.asked
    assert (access.verb, access.resource, access.namespace, access.name) == ("adopt", kind.plural, "team", "db")

    stored = await object_writer.create(write, kind.model.model_validate(document))
    assert stored.object.to_wire()["spec"]["externalID"], "a random one is made"
    assert len(authorizer.asked) == 1, "and that needs no right"
