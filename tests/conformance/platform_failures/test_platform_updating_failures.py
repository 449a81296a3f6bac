"""Changes that fail: whether the instance can be used, whether the change is repeated, what is ignored."""

import asyncio
from itertools import pairwise
from typing import Any

import pytest

from tests.conformance.platform import BINDING, INSTANCE, Platform, condition_of, is_ready
from tests.conformance.scripted.scripted_broker import Reply, ScriptedReply
from tests.conformance.scripted.scripted_templates import BIND, DEPROVISION, POLL_INSTANCE, PROVISION, UPDATE

pytestmark = pytest.mark.asyncio(loop_scope="session")

ACCEPTED = Reply(202, {"operation": "x"})


async def fails_to_update(platform: Platform, size: int, *answers: ScriptedReply) -> None:
    """Change the parameters; the broker gives these answers."""
    platform.broker.script(UPDATE, *answers)
    await platform.changes(INSTANCE, "db", {"spec": {"parameters": {"size": size}}})
    await platform.until_failed(INSTANCE, "db")


async def test_osb_097_no_failure_of_a_change_leads_to_clean_up(platform: Platform) -> None:
    await platform.registers(requestTimeout="200ms")
    await platform.provisions()
    odd = [
        Reply(500),
        Reply(204, None),
        Reply(200, delay_seconds=60),
        Reply(201),
        Reply(202, []),
        Reply(410),
        Reply(302),
    ]
    platform.broker.script(UPDATE, *odd)
    await platform.updates(parameters={"size": 2})
    assert len(platform.broker.seen_of(UPDATE)) == len(odd) + 1
    assert platform.broker.seen_of(DEPROVISION) == []


@pytest.mark.parametrize("how", ["refused", "failed later"])
async def test_osb_100_instance_that_is_unusable_gets_no_bindings_until_a_change_succeeds(
    platform: Platform, how: str
) -> None:
    unusable = {"description": "it is half way", "instance_usable": False}
    await platform.provisions()
    platform.broker.script(POLL_INSTANCE, Reply(200, {"state": "failed", **unusable}))
    await fails_to_update(platform, 2, Reply(400, unusable) if how == "refused" else ACCEPTED)
    await platform.until_condition(INSTANCE, "db", "Ready", "False", says="it is half way")
    await platform.creates_binding()
    await platform.until_condition(BINDING, "db-binding", "Ready", "False", reason="ErrorInstanceNotReady")
    await platform.comes_to_rest()
    assert platform.broker.seen_of(BIND) == []
    await platform.updates(parameters={"size": 3})
    await platform.until_ready(BINDING, "db-binding")


@pytest.mark.parametrize("how", ["refused", "failed later"])
async def test_osb_100_instance_is_usable_where_nothing_is_said(platform: Platform, how: str) -> None:
    await platform.provisions()
    platform.broker.script(POLL_INSTANCE, Reply(200, {"state": "failed"}))
    await fails_to_update(platform, 2, Reply(400) if how == "refused" else ACCEPTED)
    assert is_ready(await platform.reads(INSTANCE, "db"))
    await platform.binds()


@pytest.mark.parametrize("how", ["refused", "broken", "failed later"])
async def test_osb_101_change_that_is_not_repeatable_is_not_repeated_and_another_one_is_sent(
    platform: Platform, how: str
) -> None:
    once = {"description": "never again", "update_repeatable": False}
    answers: dict[str, ScriptedReply] = {"refused": Reply(422, once), "broken": Reply(500, once)}
    await platform.provisions(parameters={"size": 1})
    platform.broker.script(POLL_INSTANCE, Reply(200, {"state": "failed", **once}))
    await fails_to_update(platform, 2, answers.get(how, ACCEPTED))
    found = await platform.until_failed(INSTANCE, "db", says="never again")
    assert condition_of(found, "Ready")["status"] == "True"
    await platform.comes_to_rest()
    assert len(platform.broker.seen_of(UPDATE)) == 1
    await platform.updates(parameters={"size": 3})
    assert [patch.body["parameters"]["size"] for patch in platform.broker.seen_of(UPDATE)] == [2, 3]


@pytest.mark.parametrize("template", [PROVISION, BIND])
async def test_osb_102_flags_are_ignored_where_they_do_not_belong(platform: Platform, template: str) -> None:
    flags = {"instance_usable": False, "update_repeatable": False}
    platform.broker.script(template, Reply(422, flags), Reply(500, flags))
    await platform.creates_instance()
    if template == PROVISION:
        await platform.until_ready(INSTANCE, "db")
    await platform.creates_binding()
    if template == BIND:
        await platform.until_failed(BINDING, "db-binding")
        await platform.annotates(BINDING, "db-binding", retry_requested_at="now")
    await platform.until_ready(BINDING, "db-binding")
    assert is_ready(await platform.reads(INSTANCE, "db"))
    await platform.binds("another")


async def test_osb_102_flags_that_are_no_booleans_are_ignored(platform: Platform) -> None:
    await platform.registers()

    async def is_as_if_absent(name: str, odd: Any) -> None:
        flags = {"instance_usable": odd, "update_repeatable": odd}
        await platform.provisions(name, externalID=name)
        platform.broker.script(UPDATE, Reply(500, flags), only=name)
        await platform.updates(name, parameters={"size": 2})
        platform.broker.script(UPDATE, Reply(400, flags), only=name)
        await platform.changes(INSTANCE, name, {"spec": {"parameters": {"size": 3}}})
        await platform.until_failed(INSTANCE, name)
        await platform.binds(name, to=name)
        patches = [patch for patch in platform.broker.seen_of(UPDATE) if patch.ids["instance_id"] == name]
        assert len(patches) == 3, name

    odd = {"text": "false", "number": 0, "null": None, "list": [], "object": {}}
    await asyncio.gather(*(is_as_if_absent(name, value) for name, value in odd.items()))


async def test_osb_103_failed_change_is_repeated_with_growing_pauses(platform: Platform) -> None:
    await platform.registers(retryPolicy={"initialDelay": "50ms", "maximumDelay": "1s"})
    await platform.provisions()
    held = asyncio.Event()
    platform.broker.script(UPDATE, Reply(500), Reply(503), Reply(502), Reply(200, gate=held))
    changed = await platform.changes(INSTANCE, "db", {"spec": {"parameters": {"size": 2}}})
    await platform.broker.wait_for(UPDATE, 4)
    found = await platform.until(INSTANCE, "db", lambda found: found["status"].get("attempts") == 3, "count attempts")
    assert found["metadata"]["generation"] == changed["metadata"]["generation"]
    held.set()
    await platform.until_ready(INSTANCE, "db")
    sent = platform.broker.seen_of(UPDATE)
    pauses = [later.seen_at - earlier.seen_at for earlier, later in pairwise(sent)]
    assert all(pause >= least for pause, least in zip(pauses, (0.045, 0.09, 0.18), strict=True)), pauses
    assert len({patch.raw_body for patch in sent}) == 1
