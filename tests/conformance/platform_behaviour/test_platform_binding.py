"""Bindings: what is sent, and what is made of the answer."""

import asyncio

import pytest

from tests.conformance.platform import BINDING, INSTANCE, SECRET, Platform, condition_of, sequence
from tests.conformance.scripted.scripted_broker import Reply, ScriptedReply
from tests.conformance.scripted.scripted_catalog import simple_plan
from tests.conformance.scripted.scripted_templates import (
    BIND,
    DEPROVISION,
    FETCH_BINDING,
    POLL_BINDING,
    POLL_INSTANCE,
    PROVISION,
    UNBIND,
)
from tests.integration.gateway.api_client import Document

pytestmark = pytest.mark.asyncio(loop_scope="session")

ACCEPTED = Reply(202, {"operation": "x"})
IN_PROGRESS = Reply(200, {"state": "in progress"})
PARAMETERS = {"role": "reader", "null": None, "nested": {"ü": [1, 2**53 + 1, {}]}}


def body_of_bind(platform: Platform) -> Document:
    [bind] = platform.broker.seen_of(BIND)
    body: Document = bind.body
    return body


@pytest.mark.parametrize(("of_service", "of_plan"), [(False, None), (True, False)], ids=str)
async def test_osb_104_what_is_not_bindable_is_not_bound(
    platform: Platform, of_service: bool, of_plan: bool | None
) -> None:
    platform.offers(simple_plan(bindable=of_plan), bindable=of_service)
    await platform.provisions()
    refused = await platform.is_refused_a_binding()
    assert "is not bindable" in refused.causes["spec.instanceRef.name"]
    await platform.comes_to_rest()
    assert sequence(platform.broker.seen) == ["GET catalog", "PUT instance"]


async def test_osb_104_binding_that_came_before_its_instance_is_not_sent(platform: Platform) -> None:
    platform.offers(simple_plan(bindable=False))
    await platform.registers()
    await platform.creates_binding()
    await platform.provisions()
    await platform.until_condition(BINDING, "db-binding", "Ready", "False", reason="ErrorNonbindableServiceClass")
    await platform.unbinds()
    assert sequence(platform.broker.seen) == ["GET catalog", "PUT instance"]


async def test_osb_104_plan_is_bindable_although_its_offering_is_not(platform: Platform) -> None:
    platform.offers(simple_plan(bindable=True), bindable=False)
    await platform.provisions()
    await platform.binds()


async def test_osb_105_binding_is_a_put_under_both_ids_with_the_plan_of_now(platform: Platform) -> None:
    platform.offers("small", "large", plan_updateable=True)
    instance = await platform.provisions(plan="small")
    await platform.updates(clusterServicePlanExternalName="large")
    binding = await platform.binds()
    [bind] = platform.broker.seen_of(BIND)
    ids = (instance["spec"]["externalID"], binding["spec"]["externalID"])
    assert bind.raw_path.partition("?")[0] == "/v2/service_instances/{}/service_bindings/{}".format(*ids)
    assert bind.body["service_id"] == f"{platform.offering_name}-id"
    assert bind.body["plan_id"] == f"{platform.offering_name}-large-id"


async def test_osb_106_namespace_is_what_is_bound_unless_the_user_says_otherwise(platform: Platform) -> None:
    await platform.provisions()
    await platform.binds()
    await platform.binds("other", bindResource={"appGUID": "my-app"})
    namespace = await platform.api.read(f"/api/v1/namespaces/{platform.namespace}")
    first, second = (bind.body for bind in platform.broker.seen_of(BIND))
    assert first["bind_resource"] == {"app_guid": namespace["metadata"]["uid"]}
    assert second["bind_resource"] == {"app_guid": "my-app"}
    assert [body.get("app_guid", body["bind_resource"]["app_guid"]) for body in (first, second)] == [
        namespace["metadata"]["uid"],
        "my-app",
    ]


async def test_osb_107_broker_that_wants_an_app_is_shown_without_clean_up(platform: Platform) -> None:
    await platform.provisions()
    platform.broker.script(BIND, Reply(422, {"error": "RequiresApp", "description": "only for apps"}))
    await platform.creates_binding()
    await platform.until_failed(BINDING, "db-binding", says="only for apps")
    await platform.unbinds()
    assert platform.broker.seen_of(UNBIND) == []


async def test_osb_109_context_of_a_binding_names_platform_namespace_and_cluster(platform: Platform) -> None:
    await platform.provisions()
    await platform.binds()
    context = body_of_bind(platform)["context"]
    wanted = {"platform": "kubernetes", "namespace": platform.namespace, "clusterid": "conformance-cluster"}
    assert {**context, **wanted} == context


async def test_osb_110_parameters_of_a_binding_arrive_as_they_were_written(platform: Platform) -> None:
    await platform.creates(SECRET, "more", {"json": '{"password": "ü"}'})
    await platform.provisions()
    source = {"secretKeyRef": {"name": "more", "key": "json"}}
    await platform.binds(parameters=PARAMETERS, parametersFrom=[source])
    assert body_of_bind(platform)["parameters"] == {**PARAMETERS, "password": "ü"}


async def test_osb_110_no_parameters_are_sent_where_there_are_none(platform: Platform) -> None:
    await platform.provisions()
    await platform.binds()
    assert "parameters" not in body_of_bind(platform)


@pytest.mark.parametrize("status", [200, 201])
async def test_osb_111_success_brings_the_credentials(platform: Platform, status: int) -> None:
    await platform.provisions()
    platform.broker.script(BIND, Reply(status, {"credentials": {"uri": "http://a.test", "pin": 123456789012345678901}}))
    await platform.binds()
    assert await platform.credentials() == {"uri": b"http://a.test", "pin": b"123456789012345678901"}


async def test_osb_111_112_credentials_of_asynchronous_work_are_those_that_are_fetched_at_its_end(
    platform: Platform,
) -> None:
    platform.offers(bindings_retrievable=True)
    await platform.provisions()
    platform.broker.script(BIND, Reply(202, {"operation": "x", "credentials": {"uri": "http://too-early.test"}}))
    platform.broker.script(POLL_BINDING, IN_PROGRESS)
    platform.broker.script(FETCH_BINDING, Reply(200, {"credentials": {"uri": "http://fetched.test"}}))
    await platform.binds()
    assert await platform.credentials() == {"uri": b"http://fetched.test"}
    *_, last_poll = platform.broker.seen_of(POLL_BINDING)
    assert last_poll.answered_at is not None
    assert sequence(platform.broker.seen)[2:] == [
        "PUT binding",
        *["GET binding operation"] * 2,
        "GET binding",
    ]


async def test_osb_113_credentials_that_are_shown_once_are_had_by_another_binding_when_a_fetch_is_lost(
    platform: Platform,
) -> None:
    platform.offers(bindings_retrievable=True)
    await platform.provisions()
    never = asyncio.Event()
    platform.broker.script(BIND, ACCEPTED)
    platform.broker.script(FETCH_BINDING, Reply(200, {"credentials": {"uri": "http://lost.test"}}, gate=never))
    platform.broker.script(FETCH_BINDING, Reply(200, {}))
    await platform.creates_binding()
    await platform.broker.wait_for(FETCH_BINDING)
    await platform.restarts()
    await platform.until_ready(BINDING, "db-binding")
    assert set(await platform.credentials()) == {"uri", "username", "password"}
    steps = sequence(platform.broker.seen)
    assert steps[steps.index("GET binding") :] == ["GET binding", "GET binding", "DELETE binding", "PUT binding"]
    never.set()


async def test_osb_113_credentials_that_are_shown_once_are_had_by_another_binding_when_an_answer_is_lost(
    platform: Platform,
) -> None:
    await platform.provisions()
    never = asyncio.Event()
    platform.broker.script(BIND, Reply(201, {"credentials": {"uri": "http://lost.test"}}, gate=never), Reply(200, {}))
    await platform.creates_binding()
    await platform.broker.wait_for(BIND)
    await platform.restarts()
    await platform.until_ready(BINDING, "db-binding")
    assert set(await platform.credentials()) == {"uri", "username", "password"}
    assert sequence(platform.broker.seen)[2:] == ["PUT binding", "PUT binding", "DELETE binding", "PUT binding"]
    first, second, _ = platform.broker.seen_of(BIND)
    assert first.raw_body == second.raw_body
    never.set()


async def test_osb_114_asynchronous_work_that_cannot_be_fetched_has_failed_and_is_cleaned_up(
    platform: Platform,
) -> None:
    platform.offers(bindings_retrievable=False)
    await platform.provisions()
    platform.broker.script(BIND, ACCEPTED)
    await platform.creates_binding()
    await platform.until_failed(BINDING, "db-binding", says="asynchronously")
    await platform.comes_to_rest()
    assert sequence(platform.broker.seen)[2:] == ["PUT binding", "DELETE binding"]
    assert not await platform.exists(SECRET, "db-binding")


async def test_osb_115_conflict_of_bindings_is_a_failure_without_clean_up(platform: Platform) -> None:
    await platform.provisions()
    platform.broker.script(BIND, Reply(409, {"description": "it has other parameters"}))
    await platform.creates_binding()
    await platform.until_failed(BINDING, "db-binding", says="it has other parameters")
    await platform.comes_to_rest()
    await platform.unbinds()
    assert platform.broker.seen_of(UNBIND) == platform.broker.seen_of(DEPROVISION) == []


@pytest.mark.parametrize("answer", [ACCEPTED, Reply(400, {"description": "no"})], ids=["in progress", "failed"])
async def test_osb_116_nothing_is_bound_to_an_instance_that_is_not_there_yet(
    platform: Platform, answer: ScriptedReply
) -> None:
    platform.broker.script(PROVISION, answer)
    platform.broker.always(POLL_INSTANCE, IN_PROGRESS)
    await platform.creates_instance()
    await platform.until_condition(INSTANCE, "db", "Ready", "False")
    await platform.creates_binding()
    found = await platform.until_condition(BINDING, "db-binding", "Ready", "False")
    assert condition_of(found, "Failed") == {}
    assert platform.broker.seen_of(BIND) == []
    platform.broker.always(POLL_INSTANCE, None)
    await platform.annotates(INSTANCE, "db", retry_requested_at="now")
    await platform.until_ready(BINDING, "db-binding")


async def test_osb_116_nothing_is_bound_to_an_instance_that_is_being_deleted(platform: Platform) -> None:
    platform.broker.script(PROVISION, ACCEPTED)
    platform.broker.always(POLL_INSTANCE, IN_PROGRESS)
    await platform.creates_instance()
    await platform.creates_binding()
    await platform.broker.wait_for(POLL_INSTANCE)
    held = asyncio.Event()
    platform.broker.script(DEPROVISION, Reply(200, gate=held))
    await platform.deletes(INSTANCE, "db")
    document = {
        "apiVersion": BINDING.api_version,
        "kind": BINDING.kind,
        "metadata": {"name": "late"},
        "spec": {"instanceRef": {"name": "db"}},
    }
    late = await platform.api.post(platform.path(BINDING), document)
    assert (late.status, "being deleted" in late.message) == (422, True)
    await platform.unbinds()
    held.set()
    await platform.until_gone(INSTANCE, "db")
    assert platform.broker.seen_of(BIND) == []
