"""Ids of offerings, plans, instances, bindings and operations: unique, opaque, percent-encoded, never made up."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

import pytest

from tests.conformance.platform import BINDING, INSTANCE, Platform, of, sequence
from tests.conformance.scripted.scripted_broker import Reply, SeenRequest
from tests.conformance.scripted.scripted_catalog import simple_plan
from tests.conformance.scripted.scripted_templates import (
    BIND,
    DEPROVISION,
    POLL_BINDING,
    POLL_INSTANCE,
    PROVISION,
    UNBIND,
    UPDATE,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")

ODD_IDS = ["a/b c?d&e=é+%", "Mixed.Case_id~", "x" * 200, "50%25", "../..", "😀"]
ODD_OPERATIONS = ["svc 42", "a+b&c=d%2F", "ünï#?/\\", '{"json": [1]}', "x" * 10_000, "é" * 10_000]


async def test_osb_027_no_two_instances_or_bindings_share_an_id(platform: Platform) -> None:
    await platform.registers()
    names = [f"db-{number}" for number in range(20)]
    await asyncio.gather(*(platform.provisions(name) for name in names))
    await asyncio.gather(*(platform.binds(f"{name}-binding", to=name) for name in names))
    instances = {request.ids["instance_id"] for request in platform.broker.seen_of(PROVISION)}
    bindings = {request.ids["binding_id"] for request in platform.broker.seen_of(BIND)}
    assert (len(instances), len(bindings), len(instances | bindings)) == (20, 20, 40)
    assert all(UUID(each) for each in instances | bindings)


async def test_osb_028_id_is_used_again_only_after_a_confirmed_clean_up(platform: Platform) -> None:
    platform.broker.script(PROVISION, Reply(500))
    platform.broker.script(DEPROVISION, Reply(500), Reply(202, {"operation": "clean"}))
    platform.broker.script(POLL_INSTANCE, Reply(200, {"state": "in progress"}))
    await platform.provisions()
    clean_up = ["DELETE instance", "DELETE instance", "GET instance operation", "GET instance operation"]
    assert sequence(platform.broker.seen)[1:] == ["PUT instance", *clean_up, "PUT instance"]


async def test_osb_028_id_of_a_deleted_instance_is_not_used_again(platform: Platform) -> None:
    await platform.provisions()
    await platform.deprovisions()
    await platform.provisions()
    first, second = platform.broker.seen_of(PROVISION)
    assert first.ids["instance_id"] != second.ids["instance_id"]


@pytest.mark.parametrize("odd", ODD_IDS, ids=lambda odd: odd[:15])
async def test_osb_029_033_ids_of_any_kind_arrive_as_they_are(platform: Platform, odd: str) -> None:
    service_id, plan_id, larger_id = (f"{odd}-{kind}-{platform.number}" for kind in ("service", "plan", "larger"))
    plans = [simple_plan(plan_id=plan_id), simple_plan("larger", plan_id=larger_id)]
    platform.offers(*plans, service_id=service_id, bindings_retrievable=True, plan_updateable=True)
    platform.broker.script(PROVISION, Reply(202, {"operation": odd}))
    await platform.registers()
    await platform.provisions()
    await platform.binds()
    await platform.unbinds()
    await platform.deprovisions()
    for template in (PROVISION, BIND):
        [put] = platform.broker.seen_of(template)
        assert (put.body["service_id"], put.body["plan_id"]) == (service_id, plan_id)
    for template in (POLL_INSTANCE, UNBIND, DEPROVISION):
        [request] = platform.broker.seen_of(template)
        assert (request.query["service_id"], request.query["plan_id"]) == (service_id, plan_id)
    [poll] = platform.broker.seen_of(POLL_INSTANCE)
    assert poll.query["operation"] == odd


async def test_osb_029_space_and_plus_are_percent_encoded_in_the_query(platform: Platform) -> None:
    platform.broker.script(PROVISION, Reply(202, {"operation": "a b+c/d"}))
    await platform.provisions()
    [poll] = platform.broker.seen_of(POLL_INSTANCE)
    assert "operation=a%20b%2Bc%2Fd" in poll.raw_path


@pytest.mark.parametrize("odd", ["a.b-c~d", "UPPER.case_~"])
async def test_osb_029_033_id_that_a_user_chooses_arrives_as_it_is(platform: Platform, odd: str) -> None:
    wanted = f"{odd}-{platform.number}"
    await platform.provisions(externalID=wanted)
    await platform.binds(externalID=f"{wanted}-b")
    await platform.unbinds()
    await platform.deprovisions()
    assert {request.ids["instance_id"] for request in platform.broker.seen[1:]} == {wanted}
    assert {request.ids["binding_id"] for request in platform.broker.seen_of(UNBIND)} == {f"{wanted}-b"}


async def test_osb_030_key_of_an_operation_comes_back_verbatim_with_each_poll(platform: Platform) -> None:
    platform.offers(bindings_retrievable=True)
    keys: dict[str, str] = {}

    def accept(seen: SeenRequest) -> Reply:
        key = keys.setdefault(seen.ids["instance_id"], ODD_OPERATIONS[len(keys) % len(ODD_OPERATIONS)])
        return Reply(202, {"operation": key})

    for template in (PROVISION, BIND, UNBIND, DEPROVISION):
        platform.broker.always(template, accept)
    platform.broker.script(POLL_INSTANCE, Reply(200, {"state": "in progress"}))
    await platform.registers()

    async def live(name: str) -> None:
        await platform.provisions(name)
        await platform.binds(name, to=name)
        await platform.unbinds(name)
        await platform.deprovisions(name)

    await asyncio.gather(*(live(f"db-{number}") for number in range(len(ODD_OPERATIONS))))
    polls = of(platform.broker.seen, POLL_INSTANCE, POLL_BINDING)
    assert len(polls) == 4 * len(ODD_OPERATIONS) + 1
    assert all(poll.query["operation"] == keys[poll.ids["instance_id"]] for poll in polls)
    assert set(keys.values()) == set(ODD_OPERATIONS)


@pytest.mark.parametrize("body", [{}, {"operation": None}], ids=["absent", "null"])
async def test_osb_031_without_a_key_none_is_sent(platform: Platform, body: dict[str, None]) -> None:
    platform.broker.script(PROVISION, Reply(202, {"operation": "A"}))
    platform.broker.script(DEPROVISION, Reply(202, body))
    await platform.provisions()
    await platform.deprovisions()
    creation, deletion = platform.broker.seen_of(POLL_INSTANCE)
    assert creation.query["operation"] == "A"
    assert "operation" not in deletion.query


async def test_osb_032_longer_key_makes_the_answer_malformed(platform: Platform) -> None:
    platform.offers(bindings_retrievable=True)
    too_long = Reply(202, {"operation": "x" * 10_001})
    platform.broker.script(PROVISION, too_long)
    platform.broker.script(BIND, too_long)
    await platform.provisions()
    await platform.creates_binding()
    await platform.broker.wait_for(UNBIND)
    assert platform.broker.seen_of(POLL_INSTANCE) == platform.broker.seen_of(POLL_BINDING) == []
    clean = ["PUT instance", "DELETE instance", "PUT instance", "PUT binding", "DELETE binding"]
    assert sequence(platform.broker.seen)[1:6] == clean


async def test_osb_034_id_is_used_only_after_the_request_that_introduces_it(lived: Sequence[SeenRequest]) -> None:
    introduced: set[str] = set()
    for request in lived:
        if request.template in (PROVISION, BIND):
            introduced.update(request.ids.values())
        assert set(request.ids.values()) <= introduced
    assert {request.template for request in lived} >= {UPDATE, UNBIND, DEPROVISION}


async def test_osb_034_what_was_never_sent_is_not_deleted_at_the_broker(platform: Platform) -> None:
    await platform.creates_instance(plan="unknown")
    await platform.until_condition(INSTANCE, "db", "Ready", "False")
    await platform.creates_binding()
    await platform.until_condition(BINDING, "db-binding", "Ready", "False")
    await platform.unbinds()
    await platform.deprovisions()
    assert sequence(platform.broker.seen) == ["GET catalog"]
