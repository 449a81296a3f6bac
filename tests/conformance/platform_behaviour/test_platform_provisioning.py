"""Creation of instances: what is sent, what is made of the answer."""

import asyncio
from typing import Any

import pytest

from tests.conformance.platform import BINDING, INSTANCE, SECRET, Platform, condition_of, sequence
from tests.conformance.scripted.scripted_broker import Reply
from tests.conformance.scripted.scripted_catalog import simple_catalog, simple_plan, simple_service
from tests.conformance.scripted.scripted_templates import (
    BIND,
    DEPROVISION,
    GET_CATALOG,
    POLL_INSTANCE,
    PROVISION,
    UPDATE,
)
from tests.integration.gateway.api_client import Document

pytestmark = pytest.mark.asyncio(loop_scope="session")

CLUSTER = "conformance-cluster"
ACCEPTED = Reply(202, {"operation": "x"})
IN_PROGRESS = Reply(200, {"state": "in progress"})
ODD_PARAMETERS: Document = {
    "text": "ünïcode ✓ \u2028 😀",
    "empty": "",
    "null": None,
    "yes": True,
    "large": 2**53 + 1,
    "larger": 123456789012345678901,
    "huge": -(10**400) - 1,
    "real": 1.5e-7,
    "nested": {"list": [1, [], {}, None, "x"], "a b/c~d": {"": 0}},
}


async def body_of_creation(platform: Platform) -> Document:
    [put] = platform.broker.seen_of(PROVISION)
    body: Document = put.body
    return body


async def namespace_of(platform: Platform) -> Document:
    return await platform.api.read(f"/api/v1/namespaces/{platform.namespace}")


async def test_osb_069_070_creation_is_a_put_under_the_id_with_ids_of_the_catalog(platform: Platform) -> None:
    small = simple_plan("small", plan_id=f"plan-{platform.number}")
    other = simple_service(f"other-{platform.number}", plans=["small"])
    own = platform.offers(small, service_id=f"service-id-{platform.number}")
    platform.broker.catalog = simple_catalog(other, own)
    found = await platform.provisions(plan="small")
    [put] = platform.broker.seen_of(PROVISION)
    assert put.raw_path.partition("?")[0] == f"/v2/service_instances/{found['spec']['externalID']}"
    assert (put.body["service_id"], put.body["plan_id"]) == (
        f"service-id-{platform.number}",
        f"plan-{platform.number}",
    )


async def test_osb_071_creation_names_cluster_and_namespace_by_their_ids(platform: Platform) -> None:
    await platform.provisions()
    body = await body_of_creation(platform)
    namespace = await namespace_of(platform)
    assert body["organization_guid"] == CLUSTER
    assert body["space_guid"] == namespace["metadata"]["uid"] != ""


async def test_osb_072_073_074_context_stands_beside_them_in_creation_and_change(platform: Platform) -> None:
    await platform.provisions("orders-db")
    await platform.updates("orders-db", parameters={"size": 2})
    context = {
        "platform": "kubernetes",
        "namespace": platform.namespace,
        "clusterid": CLUSTER,
        "instance_name": "orders-db",
    }
    [put], [patch] = platform.broker.seen_of(PROVISION), platform.broker.seen_of(UPDATE)
    assert (put.body["context"], patch.body["context"]) == (context, context)


async def test_osb_074_context_tells_the_annotations_that_its_broker_asks_for(platform: Platform) -> None:
    await platform.registers(contextAnnotations=["acme.test/"])
    annotations = {"acme.test/cost-center": "42", "other.test/secret": "7"}
    wanted = {"clusterServiceClassExternalName": platform.offering_name}
    await platform.creates(INSTANCE, "db", wanted, annotations=annotations)
    await platform.until_ready(INSTANCE, "db")
    context = (await body_of_creation(platform))["context"]
    assert context["instance_annotations"] == {"acme.test/cost-center": "42"}
    assert context["namespace_annotations"] == {}


async def test_osb_076_parameters_arrive_as_they_were_written(platform: Platform) -> None:
    await platform.provisions(parameters=ODD_PARAMETERS)
    assert (await body_of_creation(platform))["parameters"] == ODD_PARAMETERS


async def test_osb_076_parameters_of_a_secret_are_merged_into_those_of_the_manifest(platform: Platform) -> None:
    await platform.creates(SECRET, "more", {"json": '{"password": "pässword", "pin": 123456789012345678901}'})
    source = {"secretKeyRef": {"name": "more", "key": "json"}}
    await platform.provisions(parameters={"size": 1}, parametersFrom=[source])
    sent = (await body_of_creation(platform))["parameters"]
    assert sent == {"size": 1, "password": "pässword", "pin": 123456789012345678901}


async def test_osb_076_077_neither_parameters_nor_version_are_sent_where_there_are_none(platform: Platform) -> None:
    await platform.provisions()
    assert not {"parameters", "maintenance_info"} & set(await body_of_creation(platform))


async def test_osb_077_version_of_the_plan_is_sent_along(platform: Platform) -> None:
    platform.offers(simple_plan(maintenance_info={"version": "1.2.3+build", "description": "as new"}))
    await platform.provisions()
    assert (await body_of_creation(platform))["maintenance_info"] == {"version": "1.2.3+build"}


async def test_osb_078_conflict_of_versions_has_the_catalog_fetched_and_the_new_version_sent(
    platform: Platform,
) -> None:
    platform.offers(simple_plan(maintenance_version="1.0.0"))
    await platform.registers()
    platform.offers(simple_plan(maintenance_version="2.0.0"))
    conflict = Reply(422, {"error": "MaintenanceInfoConflict", "description": "we are at 2.0.0"})
    platform.broker.script(
        PROVISION, *[lambda seen: Reply(201) if seen.body["maintenance_info"]["version"] == "2.0.0" else conflict] * 50
    )
    await platform.provisions()
    seen = sequence(platform.broker.seen)
    assert seen.index("GET catalog", 1) > seen.index("PUT instance")
    assert platform.broker.seen_of(DEPROVISION) == []
    assert len(platform.broker.seen_of(GET_CATALOG)) <= 3
    assert any("we are at 2.0.0" in event for event in await platform.events("db"))


@pytest.mark.parametrize("status", [200, 201])
async def test_osb_079_instance_is_there_after_either_success(platform: Platform, status: int) -> None:
    platform.broker.script(PROVISION, Reply(status, {}))
    found = await platform.provisions()
    assert found["status"]["provisionStatus"] == "Provisioned"
    assert sequence(platform.broker.seen) == ["GET catalog", "PUT instance"]


async def test_osb_080_request_that_is_sent_again_may_find_the_work_in_progress(platform: Platform) -> None:
    never = asyncio.Event()
    platform.broker.script(PROVISION, Reply(202, {"operation": "first"}, gate=never), Reply(202, {"operation": "x"}))
    platform.broker.script(POLL_INSTANCE, IN_PROGRESS)
    await platform.creates_instance()
    await platform.broker.wait_for(PROVISION)
    await platform.restarts()
    await platform.until_ready(INSTANCE, "db")
    polls = platform.broker.seen_of(POLL_INSTANCE)
    assert [poll.query["operation"] for poll in polls] == ["x", "x"]
    assert sequence(platform.broker.seen)[1:3] == ["PUT instance", "PUT instance"]
    never.set()


async def test_osb_081_request_that_is_sent_again_has_the_body_of_the_first_time(platform: Platform) -> None:
    never = asyncio.Event()
    platform.broker.script(PROVISION, Reply(201, gate=never))
    await platform.creates_instance(parameters={"size": 1})
    await platform.broker.wait_for(PROVISION)
    await platform.changes(INSTANCE, "db", {"spec": {"parameters": {"size": 2}}})
    await platform.restarts()
    [patch] = await platform.broker.wait_for(UPDATE)
    first, second = platform.broker.seen_of(PROVISION)
    assert (first.raw_path, first.raw_body) == (second.raw_path, second.raw_body)
    assert patch.body["parameters"] == {"size": 2}
    assert platform.broker.seen_of(DEPROVISION) == []
    never.set()


@pytest.mark.parametrize("status", [400, 409])
async def test_osb_081_refusal_is_shown_and_nothing_is_deleted(platform: Platform, status: int) -> None:
    platform.broker.always(PROVISION, Reply(status, {"error": "Sorry", "description": "the quota is used up"}))
    await platform.creates_instance()
    await platform.until_condition(INSTANCE, "db", "Ready", "False", says="the quota is used up")
    await platform.deprovisions()
    assert platform.broker.seen_of(DEPROVISION) == []


async def test_osb_082_address_of_the_dashboard_is_shown_while_the_work_goes_on(platform: Platform) -> None:
    platform.broker.script(PROVISION, Reply(202, {"operation": "x", "dashboard_url": "http://dashboard.test/1"}))
    platform.broker.always(POLL_INSTANCE, IN_PROGRESS)
    await platform.creates_instance()
    await platform.until(INSTANCE, "db", lambda found: found["status"].get("dashboardURL"), "have a dashboard")
    platform.broker.always(POLL_INSTANCE, None)
    found = await platform.until_ready(INSTANCE, "db")
    assert found["status"]["dashboardURL"] == "http://dashboard.test/1"


async def test_osb_082_null_is_no_dashboard(platform: Platform) -> None:
    platform.broker.script(PROVISION, Reply(201, {"dashboard_url": None}))
    assert "dashboardURL" not in (await platform.provisions())["status"]


async def test_osb_083_labels_replace_the_earlier_ones(platform: Platform) -> None:
    first = {"tier": "gold", "acme.test/zone": "a", "bad key!": "x", "bad-value": "no spaces, please"}
    platform.broker.script(PROVISION, Reply(201, {"metadata": {"labels": first, "attributes": {"cpu": 4}}}))
    platform.broker.script(UPDATE, Reply(200, {"metadata": {"labels": {"tier": "silver"}}}))
    found = await platform.provisions()
    assert found["status"]["brokerMetadata"]["labels"] == {"tier": "gold", "acme.test/zone": "a"}
    found = await platform.updates(parameters={"size": 2})
    assert found["status"]["brokerMetadata"]["labels"] == {"tier": "silver"}


@pytest.mark.parametrize("how", ["refused", "failed later"])
async def test_osb_084_nobody_believes_in_an_instance_that_has_failed(platform: Platform, how: str) -> None:
    words = "there is no room left"
    answer: dict[str, Any] = {"description": words}
    platform.broker.script(PROVISION, Reply(400, answer) if how == "refused" else ACCEPTED)
    platform.broker.script(POLL_INSTANCE, Reply(200, {"state": "failed", **answer}))
    await platform.creates_instance()
    await platform.until_failed(INSTANCE, "db", says=words)
    await platform.comes_to_rest()
    found = await platform.reads(INSTANCE, "db")
    assert found["status"].get("provisionStatus") != "Provisioned"
    assert "externalProperties" not in found["status"]
    assert words in condition_of(found, "Failed")["message"]
    await platform.creates_binding()
    await platform.until_condition(BINDING, "db-binding", "Ready", "False")
    await platform.comes_to_rest()
    assert platform.broker.seen_of(BIND) == []
