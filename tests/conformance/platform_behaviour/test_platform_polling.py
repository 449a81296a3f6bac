"""Asynchronous operations: the offer, the polls and their end; ConcurrencyError; one thing at a time."""

import asyncio
import itertools
from collections.abc import Sequence
from typing import Any

import pytest

from chandlery.contracts.messages import Reconcile
from chandlery.reconcile.reconcile_result import broker_key
from tests.conformance.platform import BINDING, INSTANCE, Platform, is_settled, of, sequence
from tests.conformance.scripted.scripted_broker import Reply, ScriptedReply, SeenRequest
from tests.conformance.scripted.scripted_catalog import simple_plan
from tests.conformance.scripted.scripted_exchange import peak_in_flight
from tests.conformance.scripted.scripted_templates import (
    BIND,
    DEPROVISION,
    FETCH_BINDING,
    POLL_BINDING,
    POLL_INSTANCE,
    PROVISION,
    UNBIND,
    UPDATE,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")

ACCEPTED = Reply(202, {"operation": "x"})
IN_PROGRESS, SUCCEEDED, FAILED = (
    Reply(200, {"state": state, "description": f"it is {state}"}) for state in ("in progress", "succeeded", "failed")
)
CONCURRENCY = Reply(422, {"error": "ConcurrencyError"})
ASYNC_REQUIRED = Reply(422, {"error": "AsyncRequired", "description": "only asynchronously"})
ODD_POLLS: dict[str, ScriptedReply] = {
    **{str(status): Reply(status, {"description": "odd"}) for status in (400, 401, 404, 412, 422, 500, 503)},
    "201": Reply(201, {"state": "succeeded"}),
    "202": Reply(202, {"state": "succeeded"}),
    "204": Reply(204, None),
    "302": Reply(302, headers={"Location": "/elsewhere"}),
    "half": Reply(200, b"{"),
    "empty": Reply(200, b""),
    "list": Reply(200, []),
    "no state": Reply(200, {}),
    "unknown state": Reply(200, {"state": "weird"}),
    "number for a state": Reply(200, {"state": 1}),
    "dropped": Reply(close=True),
    "late": Reply(200, delay_seconds=60),
}


async def test_osb_051_asynchronous_work_is_offered_for_instances(lived: Sequence[SeenRequest]) -> None:
    for request in of(lived, PROVISION, UPDATE, DEPROVISION, BIND, UNBIND):
        assert request.query["accepts_incomplete"] == "true"


async def test_osb_051_052_work_that_was_not_offered_is_a_failure_when_it_is_accepted(platform: Platform) -> None:
    platform.broker.script(BIND, ACCEPTED)
    await platform.provisions()
    await platform.creates_binding()
    await platform.broker.wait_for(UNBIND)
    assert "accepts_incomplete" not in platform.broker.seen_of(BIND)[0].query
    assert platform.broker.seen_of(POLL_BINDING) == []


async def test_osb_052_asynchronous_work_is_offered_for_bindings_that_can_be_fetched(platform: Platform) -> None:
    platform.offers(bindings_retrievable=True)
    await platform.provisions()
    await platform.binds()
    await platform.unbinds()
    [bind], [unbind] = platform.broker.seen_of(BIND), platform.broker.seen_of(UNBIND)
    assert bind.query["accepts_incomplete"] == unbind.query["accepts_incomplete"] == "true"


async def test_osb_053_async_required_is_shown_without_clean_up(platform: Platform) -> None:
    platform.broker.always(PROVISION, ASYNC_REQUIRED)
    await platform.creates_instance()
    await platform.until_condition(INSTANCE, "db", "Ready", "False", says="only asynchronously")
    platform.broker.always(PROVISION, None)
    await platform.annotates(INSTANCE, "db", retry_requested_at="now")
    await platform.until_ready(INSTANCE, "db")
    platform.broker.always(BIND, ASYNC_REQUIRED)
    await platform.creates_binding()
    await platform.until_condition(BINDING, "db-binding", "Ready", "False", says="only asynchronously")
    assert platform.broker.seen_of(DEPROVISION) == platform.broker.seen_of(UNBIND) == []


async def test_osb_054_055_operation_is_polled_where_it_belongs(lived: Sequence[SeenRequest]) -> None:
    operations = [poll.query["operation"] for poll in of(lived, POLL_INSTANCE)]
    assert operations == ["create", "change", "delete"]
    assert [poll.query["operation"] for poll in of(lived, POLL_BINDING)] == ["bind", "unbind"]
    service = of(lived, PROVISION)[0].body["service_id"]
    for poll in of(lived, POLL_INSTANCE, POLL_BINDING):
        assert poll.query["service_id"] == service
        assert poll.query["plan_id"].startswith(service.removesuffix("-id"))


async def test_osb_056_polls_name_the_old_plan_while_it_is_changed(platform: Platform) -> None:
    platform.offers("small", "large", plan_updateable=True)
    platform.broker.script(UPDATE, ACCEPTED)
    platform.broker.script(POLL_INSTANCE, IN_PROGRESS, IN_PROGRESS)
    await platform.provisions(plan="small")
    await platform.updates(clusterServicePlanExternalName="large")
    await platform.deprovisions()
    polls = platform.broker.seen_of(POLL_INSTANCE)
    assert [poll.query["plan_id"] for poll in polls] == [f"{platform.offering_name}-small-id"] * 3
    [delete] = platform.broker.seen_of(DEPROVISION)
    assert delete.query["plan_id"] == f"{platform.offering_name}-large-id"


async def test_osb_057_polls_end_with_the_operation(platform: Platform) -> None:
    platform.broker.script(PROVISION, ACCEPTED)
    platform.broker.script(POLL_INSTANCE, IN_PROGRESS, IN_PROGRESS, SUCCEEDED)
    await platform.provisions()
    platform.broker.script(UPDATE, ACCEPTED)
    platform.broker.script(POLL_INSTANCE, IN_PROGRESS, FAILED)
    await platform.changes(INSTANCE, "db", {"spec": {"parameters": {"size": 2}}})
    await platform.until_condition(INSTANCE, "db", "Failed", reason="UpdateInstanceCallFailed")
    await platform.broker.wait_for(UPDATE)
    await platform.comes_to_rest()
    assert platform.broker.unused(POLL_INSTANCE) == 0
    polls = [request.template == POLL_INSTANCE for request in platform.broker.seen]
    # After a failed update it may be sent again, but nothing is polled without another 202.
    assert polls.count(True) == 5


@pytest.mark.parametrize("description", ["40 % are done", "", None])
async def test_osb_058_description_of_an_operation_is_shown(platform: Platform, description: str | None) -> None:
    state: dict[str, Any] = {"state": "in progress"} | ({} if description is None else {"description": description})
    platform.broker.script(PROVISION, ACCEPTED)
    platform.broker.always(POLL_INSTANCE, Reply(200, state))
    await platform.creates_instance()
    await platform.until_condition(INSTANCE, "db", "Ready", "False", reason="Provisioning", says=description or "")
    await platform.broker.wait_for(POLL_INSTANCE, 2)
    platform.broker.always(POLL_INSTANCE, None)
    await platform.until_ready(INSTANCE, "db")


async def test_osb_059_gone_ends_every_deletion(platform: Platform) -> None:
    platform.offers(bindings_retrievable=True)
    gone = Reply(410, {})
    platform.broker.script(PROVISION, Reply(500))
    platform.broker.script(DEPROVISION, ACCEPTED, ACCEPTED)
    platform.broker.script(POLL_INSTANCE, gone, gone)
    await platform.provisions()
    await platform.binds()
    platform.broker.script(UNBIND, ACCEPTED)
    platform.broker.script(POLL_BINDING, gone)
    await platform.unbinds()
    await platform.deprovisions()
    assert len(platform.broker.seen_of(DEPROVISION)) == 2
    assert len(platform.broker.seen_of(UNBIND)) == 1


async def test_osb_059_gone_ends_neither_creation_nor_change(platform: Platform) -> None:
    platform.offers(bindings_retrievable=True)
    gone = [Reply(410, {})] * 3
    for template in (PROVISION, UPDATE, BIND):
        platform.broker.script(template, ACCEPTED)
    platform.broker.script(POLL_INSTANCE, *gone)
    await platform.provisions()
    platform.broker.script(POLL_INSTANCE, *gone)
    await platform.updates(parameters={"size": 2})
    platform.broker.script(POLL_BINDING, *gone)
    await platform.binds()
    assert len(platform.broker.seen_of(POLL_INSTANCE)) == 8
    assert len(platform.broker.seen_of(POLL_BINDING)) == 4
    assert platform.broker.seen_of(DEPROVISION) == platform.broker.seen_of(UNBIND) == []


async def test_osb_060_odd_answer_to_a_poll_is_followed_by_the_next(platform: Platform) -> None:
    platform.offers(bindings_retrievable=True)
    platform.broker.script(PROVISION, ACCEPTED)
    platform.broker.script(POLL_INSTANCE, *ODD_POLLS.values())
    platform.broker.script(BIND, ACCEPTED)
    platform.broker.script(POLL_BINDING, *ODD_POLLS.values())
    await platform.registers(requestTimeout="300ms")
    await platform.provisions()
    assert platform.broker.unused(POLL_INSTANCE) == 0
    await platform.binds()
    assert platform.broker.unused(POLL_BINDING) == 0
    changes = [each for each in sequence(platform.broker.seen) if not each.endswith("operation")]
    assert changes == ["GET catalog", "PUT instance", "PUT binding", "GET binding"]


@pytest.mark.parametrize("bounded_by", ["plan", "platform"])
async def test_osb_061_creation_that_takes_too_long_has_failed_and_is_cleaned_up(
    platform: Platform, bounded_by: str
) -> None:
    platform.offers(simple_plan(maximum_polling_duration=1 if bounded_by == "plan" else 60))
    retries = {
        "initialDelay": "10ms",
        "maximumDelay": "50ms",
        "giveUpAfter": "1s" if bounded_by == "platform" else "1h",
    }
    platform.broker.script(PROVISION, ACCEPTED)
    platform.broker.always(POLL_INSTANCE, IN_PROGRESS)
    await platform.registers(retryPolicy=retries)
    await platform.creates_instance()
    [clean_up] = await platform.broker.wait_for(DEPROVISION)
    [put, *_] = platform.broker.seen_of(PROVISION)
    assert 0.9 <= clean_up.seen_at - put.seen_at < 3
    polls = len(platform.broker.seen_of(POLL_INSTANCE))
    await platform.until_condition(INSTANCE, "db", "Ready", "False")
    assert len(platform.broker.seen_of(POLL_INSTANCE)) == polls


async def test_osb_061_change_that_takes_too_long_has_failed_without_clean_up(platform: Platform) -> None:
    platform.offers(simple_plan(maximum_polling_duration=1))
    await platform.provisions()
    platform.broker.script(UPDATE, ACCEPTED)
    platform.broker.always(POLL_INSTANCE, IN_PROGRESS)
    await platform.changes(INSTANCE, "db", {"spec": {"parameters": {"size": 2}}})
    await platform.until_condition(INSTANCE, "db", "Failed", reason="UpdateInstanceCallFailed")
    assert platform.broker.seen_of(DEPROVISION) == []


async def test_osb_061_deletion_that_takes_too_long_is_sent_again(platform: Platform) -> None:
    platform.offers(simple_plan(maximum_polling_duration=1))
    await platform.provisions()
    platform.broker.script(DEPROVISION, ACCEPTED)
    platform.broker.always(POLL_INSTANCE, IN_PROGRESS)
    await platform.deprovisions()
    first, second = platform.broker.seen_of(DEPROVISION)
    assert second.seen_at - first.seen_at >= 0.9


async def test_osb_062_polls_go_on_after_a_restart(platform: Platform) -> None:
    platform.broker.script(PROVISION, Reply(202, {"operation": "the key"}))
    platform.broker.always(POLL_INSTANCE, IN_PROGRESS)
    await platform.creates_instance()
    await platform.broker.wait_for(POLL_INSTANCE, 2)
    await platform.restarts()
    before = len(platform.broker.seen_of(POLL_INSTANCE))
    await platform.broker.wait_for(POLL_INSTANCE, before + 2, timeout_seconds=15)
    platform.broker.always(POLL_INSTANCE, None)
    await platform.until_ready(INSTANCE, "db")
    assert {poll.query["operation"] for poll in platform.broker.seen_of(POLL_INSTANCE)} == {"the key"}
    assert len(platform.broker.seen_of(PROVISION)) == 1


async def test_osb_063_operation_has_one_poller_however_often_messages_come(platform: Platform) -> None:
    platform.broker.script(PROVISION, ACCEPTED)
    platform.broker.always(POLL_INSTANCE, Reply(200, {"state": "in progress"}, delay_seconds=0.02))
    created = await platform.creates_instance()
    await platform.broker.wait_for(POLL_INSTANCE)
    command = Reconcile(
        kind="ServiceInstance", uid=created["metadata"]["uid"], lane=broker_key(None, platform.broker_name)
    )
    resources = platform.backend.processes[0].resources
    assert resources is not None
    for _ in range(5):
        await resources.bus.publish([command] * 20)
    await platform.broker.wait_for(POLL_INSTANCE, 8)
    platform.broker.always(POLL_INSTANCE, None)
    await platform.until_ready(INSTANCE, "db")
    polls = platform.broker.seen_of(POLL_INSTANCE)
    assert peak_in_flight(polls) == 1
    pauses = [after.seen_at - before.seen_at for before, after in itertools.pairwise(polls[1:])]
    assert min(pauses) > 0.025


@pytest.mark.parametrize("body", [CONCURRENCY.body, {"error": "ConcurrencyError", "description": "busy"}])
async def test_osb_064_065_same_request_is_sent_again_until_it_is_taken(platform: Platform, body: Any) -> None:
    busy = [Reply(422, body)] * 2
    for template in (PROVISION, UPDATE, DEPROVISION, BIND, UNBIND):
        platform.broker.script(template, *busy)
    await platform.provisions(parameters={"size": 1})
    await platform.updates(parameters={"size": 2})
    await platform.binds()
    await platform.unbinds()
    await platform.deprovisions()
    for template in (PROVISION, UPDATE, DEPROVISION, BIND, UNBIND):
        first, second, third = platform.broker.seen_of(template)
        assert first.raw_path == second.raw_path == third.raw_path
        assert first.raw_body == second.raw_body == third.raw_body


async def test_osb_066_bindings_are_all_made_by_a_broker_that_takes_one_at_a_time(platform: Platform) -> None:
    at_work = 0

    def reply(_seen: Any) -> Reply:
        nonlocal at_work
        at_work += 1
        return CONCURRENCY if at_work % 2 else Reply(201, {"credentials": {"key": "value"}})

    await platform.provisions()
    platform.broker.always(BIND, reply)
    names = [f"binding-{number}" for number in range(4)]
    await asyncio.gather(*(platform.binds(name) for name in names))
    assert platform.broker.seen_of(UNBIND) == []


async def test_osb_067_broker_without_keys_for_bindings_gets_one_at_a_time(platform: Platform) -> None:
    platform.offers(bindings_retrievable=True)
    await platform.provisions()
    platform.broker.always(BIND, Reply(202, {}))
    platform.broker.always(POLL_BINDING, IN_PROGRESS)
    await platform.creates_binding("first")
    await platform.broker.wait_for(POLL_BINDING, 1)
    await platform.creates_binding("second")
    await platform.broker.wait_for(POLL_BINDING, 6)
    platform.broker.always(POLL_BINDING, None)
    await platform.until_ready(BINDING, "first")
    await platform.until_ready(BINDING, "second")
    first, second = (request.ids["binding_id"] for request in platform.broker.seen_of(BIND))
    about_bindings = [request for request in platform.broker.seen if "binding_id" in request.ids]
    order = [request.ids["binding_id"] for request in about_bindings if request.template != FETCH_BINDING]
    assert order.index(second) > max(position for position, each in enumerate(order) if each == first)


async def test_osb_068_deletion_is_sent_during_a_creation_and_polled_itself(platform: Platform) -> None:
    platform.broker.script(PROVISION, Reply(202, {"operation": "create"}))
    platform.broker.always(POLL_INSTANCE, IN_PROGRESS)
    await platform.creates_instance()
    await platform.broker.wait_for(POLL_INSTANCE, 2)
    platform.broker.script(DEPROVISION, Reply(202, {"operation": "delete"}))
    await platform.deletes(INSTANCE, "db")
    await platform.broker.wait_for(DEPROVISION)
    before = len(platform.broker.seen_of(POLL_INSTANCE))
    await platform.broker.wait_for(POLL_INSTANCE, before + 2)
    platform.broker.always(POLL_INSTANCE, None)
    await platform.until_gone(INSTANCE, "db")
    deletion = next(number for number, each in enumerate(platform.broker.seen) if each.template == DEPROVISION)
    after = [each.query.get("operation") for each in platform.broker.seen[deletion + 1 :]]
    assert set(after) == {"delete"}


async def test_osb_068_changes_wait_for_the_call_under_way_and_are_not_lost(platform: Platform) -> None:
    gate = asyncio.Event()
    platform.broker.script(PROVISION, Reply(201, gate=gate))
    await platform.creates_instance()
    await platform.broker.wait_for(PROVISION)
    await platform.changes(INSTANCE, "db", {"spec": {"parameters": {"size": 2}}})
    await platform.changes(INSTANCE, "db", {"spec": {"parameters": {"size": 3}}})
    # The call is slow enough to be announced in the status, after the changes.
    await platform.until_condition(INSTANCE, "db", "Ready", "False", reason="ProvisionRequestInFlight")
    gate.set()
    await platform.until(INSTANCE, "db", is_settled, "be as desired")
    await platform.deprovisions()
    assert peak_in_flight(platform.broker.seen) == 1
    assert platform.broker.seen_of(UPDATE)[-1].body["parameters"] == {"size": 3}
