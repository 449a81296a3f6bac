"""Orphan mitigation: when, until when, by whom; what it never does."""

import asyncio
import socket

import pytest

from tests.conformance.platform import BINDING, BROKER, INSTANCE, Platform, condition_of, is_settled, sequence
from tests.conformance.scripted.scripted_broker import Reply
from tests.conformance.scripted.scripted_templates import (
    BIND,
    DEPROVISION,
    GET_CATALOG,
    POLL_BINDING,
    POLL_INSTANCE,
    PROVISION,
    UNBIND,
    UPDATE,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")

IDENTITY = "X-Broker-API-Originating-Identity"
ACCEPTED = Reply(202, {"operation": "x"})
FAILED = Reply(200, {"state": "failed"})
DROPPED = Reply(close=True)


async def test_osb_141_what_may_be_left_is_deleted_until_the_broker_confirms_it(platform: Platform) -> None:
    platform.broker.script(PROVISION, Reply(500))
    platform.broker.script(DEPROVISION, Reply(500), Reply(503), ACCEPTED, Reply(410, {}))
    platform.broker.script(POLL_INSTANCE, FAILED)
    await platform.provisions()
    put, *deletions = platform.broker.seen[1:-1]
    assert sequence(deletions) == [
        *["DELETE instance"] * 3,
        "GET instance operation",
        "DELETE instance",
    ]
    for delete in platform.broker.seen_of(DEPROVISION):
        assert delete.ids == put.ids
        ids = {"service_id": put.body["service_id"], "plan_id": put.body["plan_id"], "accepts_incomplete": "true"}
        assert delete.query == ids
    await platform.comes_to_rest()
    assert len(platform.broker.seen_of(DEPROVISION)) == 4


async def test_osb_141_clean_up_of_a_binding_goes_on_until_it_is_confirmed(platform: Platform) -> None:
    await platform.provisions()
    platform.broker.script(BIND, Reply(500))
    platform.broker.script(UNBIND, Reply(500), Reply(404), ACCEPTED, Reply(410, {}))
    platform.broker.script(POLL_BINDING, FAILED)
    await platform.binds()
    clean_up = [*["DELETE binding"] * 3, "GET binding operation", "DELETE binding"]
    assert sequence(platform.broker.seen)[2:] == ["PUT binding", *clean_up, "PUT binding"]


async def test_osb_141_clean_up_goes_on_after_a_restart(platform: Platform) -> None:
    platform.broker.script(PROVISION, Reply(500))
    platform.broker.always(DEPROVISION, Reply(500))
    await platform.creates_instance()
    await platform.broker.wait_for(DEPROVISION, 2)
    await platform.restarts()
    before = len(platform.broker.seen_of(DEPROVISION))
    await platform.broker.wait_for(DEPROVISION, before + 2)
    assert len(platform.broker.seen_of(PROVISION)) == 1
    platform.broker.always(DEPROVISION, None)
    await platform.until_ready(INSTANCE, "db")


async def test_osb_141_clean_up_is_not_held_up_by_a_binding(platform: Platform) -> None:
    platform.broker.always(PROVISION, Reply(500))
    await platform.creates_instance()
    await platform.creates_binding()
    await platform.broker.wait_for(DEPROVISION, 2)
    platform.broker.always(PROVISION, None)
    await platform.until_ready(BINDING, "db-binding")


async def test_osb_142_clean_up_can_be_seen(platform: Platform) -> None:
    platform.broker.script(PROVISION, Reply(500, {"description": "out of disks"}))
    platform.broker.always(DEPROVISION, Reply(500))
    await platform.creates_instance()
    found = await platform.until_condition(INSTANCE, "db", "OrphanMitigation", says="out of disks")
    assert found["status"]["orphanMitigationInProgress"]
    assert found["status"]["lastConditionState"].startswith("OrphanMitigation")
    platform.broker.always(DEPROVISION, None)
    found = await platform.until_ready(INSTANCE, "db")
    assert condition_of(found, "OrphanMitigation") == {}


@pytest.mark.parametrize("word", ["Automatic", "Waive"])
async def test_osb_142_users_decide_when_clean_up_begins_or_that_it_does_not(platform: Platform, word: str) -> None:
    platform.broker.script(PROVISION, Reply(500))
    await platform.registers(orphanMitigation="Manual")
    await platform.creates_instance()
    required = "OrphanMitigationRequired"
    found = await platform.until_condition(INSTANCE, "db", "OrphanMitigation", reason=required, says="kubectl annotate")
    assert found["status"]["lastConditionState"].startswith("OrphanMitigation")
    await platform.comes_to_rest()
    assert sequence(platform.broker.seen)[1:] == ["PUT instance"]
    await platform.annotates(INSTANCE, "db", orphan_mitigation=word)
    found = await platform.until_ready(INSTANCE, "db")
    assert condition_of(found, "OrphanMitigation") == {}
    clean_up = ["DELETE instance"] if word == "Automatic" else []
    assert sequence(platform.broker.seen)[1:] == ["PUT instance", *clean_up, "PUT instance"]


@pytest.mark.parametrize("word", ["Automatic", "Waive"])
async def test_osb_142_users_decide_about_bindings_too(platform: Platform, word: str) -> None:
    await platform.registers(orphanMitigation="Manual")
    await platform.provisions()
    platform.broker.script(BIND, Reply(500))
    await platform.creates_binding()
    required = "OrphanMitigationRequired"
    await platform.until_condition(BINDING, "db-binding", "OrphanMitigation", reason=required, says="kubectl annotate")
    await platform.comes_to_rest()
    assert sequence(platform.broker.seen)[2:] == ["PUT binding"]
    await platform.annotates(BINDING, "db-binding", orphan_mitigation=word)
    await platform.until_ready(BINDING, "db-binding")
    clean_up = ["DELETE binding"] if word == "Automatic" else []
    assert sequence(platform.broker.seen)[2:] == ["PUT binding", *clean_up, "PUT binding"]


async def test_osb_142_deletion_does_not_wait_for_anybodys_word(platform: Platform) -> None:
    platform.broker.script(PROVISION, Reply(500))
    await platform.registers(orphanMitigation="Manual")
    await platform.creates_instance()
    await platform.until_condition(INSTANCE, "db", "OrphanMitigation")
    await platform.deprovisions()
    assert sequence(platform.broker.seen)[1:] == ["PUT instance", "DELETE instance"]


@pytest.mark.parametrize("then", ["goes on", "is deleted"])
async def test_osb_143_creation_whose_answer_was_lost_is_repeated_or_cleaned_up(platform: Platform, then: str) -> None:
    never = asyncio.Event()
    platform.broker.script(PROVISION, Reply(201, gate=never))
    await platform.creates_instance()
    await platform.broker.wait_for(PROVISION)
    if then == "is deleted":
        await platform.deletes(INSTANCE, "db")
    await platform.restarts()
    if then == "is deleted":
        await platform.until_gone(INSTANCE, "db")
        assert sequence(platform.broker.seen)[-1] == "DELETE instance"
    else:
        await platform.until_ready(INSTANCE, "db")
        first, second = platform.broker.seen_of(PROVISION)
        assert (first.raw_path, first.raw_body) == (second.raw_path, second.raw_body)
    never.set()


async def test_osb_143_bind_whose_answer_was_lost_leaves_nothing_when_it_is_deleted(platform: Platform) -> None:
    await platform.provisions()
    never = asyncio.Event()
    platform.broker.script(BIND, Reply(201, {"credentials": {}}, gate=never))
    await platform.creates_binding()
    await platform.broker.wait_for(BIND)
    await platform.deletes(BINDING, "db-binding")
    await platform.restarts()
    await platform.until_gone(BINDING, "db-binding")
    assert sequence(platform.broker.seen)[-1] == "DELETE binding"
    never.set()


@pytest.mark.parametrize("how", ["at once", "later"])
async def test_osb_144_no_creation_is_sent_before_the_clean_up_is_confirmed(platform: Platform, how: str) -> None:
    platform.broker.script(PROVISION, Reply(500) if how == "at once" else ACCEPTED)
    platform.broker.script(POLL_INSTANCE, FAILED)
    platform.broker.always(DEPROVISION, Reply(500))
    await platform.creates_instance()
    await platform.broker.wait_for(DEPROVISION)
    await platform.annotates(INSTANCE, "db", retry_requested_at="now")
    await platform.changes(INSTANCE, "db", {"spec": {"parameters": {"size": 2}}})
    await platform.broker.wait_for(DEPROVISION, len(platform.broker.seen_of(DEPROVISION)) + 3)
    assert len(platform.broker.seen_of(PROVISION)) == 1
    platform.broker.always(DEPROVISION, None)
    await platform.until_ready(INSTANCE, "db")
    last_delete, last_put = platform.broker.seen_of(DEPROVISION)[-1], platform.broker.seen_of(PROVISION)[-1]
    assert last_put.seen_at > last_delete.seen_at


async def test_osb_145_clean_up_of_a_binding_never_deletes_its_instance(platform: Platform) -> None:
    platform.offers(bindings_retrievable=True)
    await platform.provisions()
    platform.broker.script(BIND, Reply(500), Reply(201, b"?"), Reply(204, None), ACCEPTED)
    platform.broker.script(POLL_BINDING, FAILED)
    await platform.creates_binding()
    for number in range(4):
        await platform.until(
            BINDING, "db-binding", lambda found: "Ready" in str(found["status"]["conditions"]), "be somewhere"
        )
        await platform.comes_to_rest()
        await platform.annotates(BINDING, "db-binding", retry_requested_at=str(number))
    await platform.until_ready(BINDING, "db-binding")
    assert len(platform.broker.seen_of(UNBIND)) == 4
    assert platform.broker.seen_of(DEPROVISION) == []


async def test_osb_146_clean_up_carries_no_users_identity(platform: Platform) -> None:
    ann = platform.as_user("ann")
    platform.broker.script(PROVISION, Reply(500))
    platform.broker.script(DEPROVISION, Reply(500), ACCEPTED)
    await ann.provisions()
    platform.broker.script(BIND, Reply(500))
    platform.broker.script(UNBIND, Reply(500), ACCEPTED)
    await ann.binds()
    clean_up = [*platform.broker.seen_of(DEPROVISION), *platform.broker.seen_of(UNBIND)]
    polls = [*platform.broker.seen_of(POLL_INSTANCE), *platform.broker.seen_of(POLL_BINDING)]
    assert (len(clean_up), len(polls)) == (4, 2)
    assert not any(IDENTITY in request.headers for request in [*clean_up, *polls])
    assert all(IDENTITY in request.headers for request in platform.broker.seen_of(PROVISION))


@pytest.mark.parametrize("connection", ["new", "used"])
async def test_osb_169_connection_that_breaks_after_a_creation_was_sent_counts_as_no_answer(
    platform: Platform, connection: str
) -> None:
    if connection == "used" and len(platform.backend.urls) > 1:
        pytest.skip("of several processes, the one that makes the call may not have called this broker before")
    # On a connection that was used before, it may be that the broker had closed it: that is tried once more at once.
    tries = 1 if connection == "new" else 2
    if connection == "new":
        closing = {"Connection": "close"}
        platform.broker.script(GET_CATALOG, Reply(200, platform.broker.catalog, closing))
        for template in (PROVISION, DEPROVISION):
            platform.broker.always(template, Reply(201 if template == PROVISION else 200, headers=closing))
        await platform.registers()
    else:
        await platform.provisions("warm")
        await platform.binds("warm-binding", to="warm")
    before = len(platform.broker.seen)
    platform.broker.script(PROVISION, *[DROPPED] * tries)
    await platform.provisions()
    platform.broker.script(BIND, *[DROPPED] * tries)
    await platform.binds()
    creation = [*["PUT instance"] * tries, "DELETE instance", "PUT instance"]
    bind = [*["PUT binding"] * tries, "DELETE binding", "PUT binding"]
    assert sequence(platform.broker.seen[before:]) == [*creation, *bind]


async def test_osb_170_broker_that_is_not_reached_is_tried_again_without_clean_up(platform: Platform) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nowhere = f"http://127.0.0.1:{unused.getsockname()[1]}"
        await platform.registers()
        for name in ("changed", "bound", "deleted"):
            await platform.provisions(name)
        await platform.binds("unbound", to="bound")
        seen = len(platform.broker.seen)
        await platform.changes(BROKER, platform.broker_name, {"spec": {"url": nowhere}})
        await platform.until_condition(BROKER, platform.broker_name, "Ready", "False")
        await platform.creates_instance("created")
        await platform.changes(INSTANCE, "changed", {"spec": {"parameters": {"size": 2}}})
        await platform.deletes(INSTANCE, "deleted")
        await platform.creates_binding("bound-late", to="bound")
        await platform.deletes(BINDING, "unbound")
        failing = {
            "created": (INSTANCE, "Ready", "False"),
            "changed": (INSTANCE, "Reconciling", "True"),
            "deleted": (INSTANCE, "Ready", "Unknown"),
            "bound-late": (BINDING, "Ready", "False"),
            "unbound": (BINDING, "Ready", "Unknown"),
        }
        for name, (kind, condition, status) in failing.items():
            await platform.until_condition(kind, name, condition, status, says="communicating with the broker")
        assert len(platform.broker.seen) == seen
        await platform.changes(BROKER, platform.broker_name, {"spec": {"url": platform.broker.url}})
        await platform.until_ready(INSTANCE, "created")
        await platform.until(INSTANCE, "changed", is_settled, "be changed")
        await platform.until_ready(BINDING, "bound-late")
        await platform.until_gone(INSTANCE, "deleted")
        await platform.until_gone(BINDING, "unbound")
    later = sorted(step for step in sequence(platform.broker.seen[seen:]) if step != "GET catalog")
    assert later == ["DELETE binding", "DELETE instance", "PATCH instance", "PUT binding", "PUT instance"]
    assert len(platform.broker.seen_of(UPDATE)) == 1
