"""Rotation: a new binding takes the place of the old one, on demand and by itself."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from tests.conformance.platform import BINDING, Platform, sequence
from tests.conformance.scripted.scripted_broker import Reply, SeenRequest
from tests.conformance.scripted.scripted_catalog import simple_plan
from tests.conformance.scripted.scripted_templates import BIND, UNBIND
from tests.integration.gateway.api_client import Document

pytestmark = pytest.mark.asyncio(loop_scope="session")

PREDECESSOR = "predecessor_binding_id"


async def rotates(platform: Platform, name: str = "db-binding") -> Document:
    """Ask for other credentials and wait until they are in the Secret."""
    await platform.annotates(BINDING, name, rotate_requested_at="now")
    return await platform.until(
        BINDING, name, lambda found: found["status"].get("lastRotationTime"), "have other credentials"
    )


def granted(seen: SeenRequest, **metadata: str) -> Reply:
    """Credentials that tell the binding that they belong to."""
    return Reply(201, {"credentials": {"of": seen.ids["binding_id"]}, "metadata": metadata})


@pytest.mark.parametrize("flag", [None, False], ids=["absent", "false"])
async def test_osb_117_bindings_of_a_plan_that_does_not_allow_it_are_not_rotated(
    platform: Platform, flag: bool | None
) -> None:
    platform.offers(simple_plan(binding_rotatable=flag))
    await platform.provisions()
    await platform.binds()
    await platform.annotates(BINDING, "db-binding", rotate_requested_at="now")
    await platform.comes_to_rest()
    assert not any(PREDECESSOR in bind.body for bind in platform.broker.seen_of(BIND))


async def test_osb_118_119_rotation_is_a_new_binding_that_names_its_predecessor(platform: Platform) -> None:
    platform.offers(simple_plan(binding_rotatable=True))
    await platform.provisions()
    bound = await platform.binds(parameters={"role": "reader"})
    found = await rotates(platform)
    first, second = platform.broker.seen_of(BIND)
    assert PREDECESSOR not in first.body
    assert second.body[PREDECESSOR] == first.ids["binding_id"] == bound["spec"]["externalID"]
    assert second.ids["instance_id"] == first.ids["instance_id"]
    assert second.ids["binding_id"] == found["status"]["externalID"] != first.ids["binding_id"]
    shared = ("service_id", "plan_id", "context", "bind_resource")
    assert {key: second.body[key] for key in shared} == {key: first.body[key] for key in shared}
    assert "parameters" not in second.body


async def test_osb_118_predecessor_is_always_the_binding_of_now(platform: Platform) -> None:
    platform.offers(simple_plan(binding_rotatable=True))
    await platform.provisions()
    await platform.binds()
    await rotates(platform)
    await platform.annotates(BINDING, "db-binding", rotate_requested_at="once more")
    first, second, third = await platform.broker.wait_for(BIND, 3)
    assert second.body[PREDECESSOR] == first.ids["binding_id"]
    assert third.body[PREDECESSOR] == second.ids["binding_id"]


async def test_osb_118_binding_that_has_expired_is_nobodys_predecessor(platform: Platform) -> None:
    platform.offers(simple_plan(binding_rotatable=True))
    await platform.provisions()
    platform.broker.script(BIND, lambda seen: granted(seen, expires_at="2020-01-01T00:00:00.0Z"))
    await platform.binds(parameters={"role": "reader"})
    await rotates(platform)
    _, second = platform.broker.seen_of(BIND)
    assert PREDECESSOR not in second.body
    assert second.body["parameters"] == {"role": "reader"}


async def test_osb_120_predecessor_stays_until_the_new_credentials_are_published(platform: Platform) -> None:
    platform.offers(simple_plan(binding_rotatable=True))
    await platform.provisions()
    held = asyncio.Event()
    platform.broker.always(BIND, granted)
    platform.broker.script(UNBIND, Reply(200, gate=held))
    bound = await platform.binds()
    await rotates(platform)
    [unbind] = await platform.broker.wait_for(UNBIND)
    assert unbind.ids["binding_id"] == bound["spec"]["externalID"]
    _, second = platform.broker.seen_of(BIND)
    assert await platform.credentials() == {"of": second.ids["binding_id"].encode()}
    held.set()
    await platform.comes_to_rest()
    assert sequence(platform.broker.seen)[2:] == ["PUT binding", "PUT binding", "DELETE binding"]
    await platform.unbinds()
    assert platform.broker.seen_of(UNBIND)[-1].ids["binding_id"] == second.ids["binding_id"]
    assert len(platform.broker.seen_of(UNBIND)) == 2


async def test_osb_120_rotation_that_fails_leaves_the_credentials_as_they_were(platform: Platform) -> None:
    platform.offers(simple_plan(binding_rotatable=True))
    await platform.provisions()
    platform.broker.script(BIND, granted)
    bound = await platform.binds()
    platform.broker.script(BIND, Reply(400, {"description": "not now"}))
    await platform.annotates(BINDING, "db-binding", rotate_requested_at="now")
    await platform.until_condition(BINDING, "db-binding", "Ready", says="not now")
    await platform.comes_to_rest()
    assert await platform.credentials() == {"of": bound["spec"]["externalID"].encode()}
    assert platform.broker.seen_of(UNBIND) == []


async def test_osb_121_binding_is_renewed_by_itself_shortly_before_it_has_to_be(platform: Platform) -> None:
    platform.offers(simple_plan(binding_rotatable=True), "fixed")
    await platform.registers()
    await asyncio.gather(platform.provisions("db"), platform.provisions("other", plan="fixed"))
    deadline = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=3)
    forms = iter([f"{deadline:%Y-%m-%dT%H:%M:%S}.0Z", f"{deadline:%Y-%m-%dT%H:%M:%S}Z"])
    once = [lambda seen: granted(seen, renew_before=next(forms), expires_at="2999-01-01T00:00:00.000000001Z")] * 2
    platform.broker.script(BIND, *once)
    first = await platform.binds()
    await platform.binds("other-binding", to="other")
    assert first["status"]["renewBefore"] == f"{deadline:%Y-%m-%dT%H:%M:%SZ}"
    assert first["status"]["expiresAt"] == "2999-01-01T00:00:00Z"
    binds = await platform.broker.wait_for(BIND, 4)
    assert datetime.now(UTC) < deadline + timedelta(seconds=1)
    by_instance = {bind.ids["instance_id"]: bind for bind in binds[2:]}
    told = [by_instance[bind.ids["instance_id"]].body.get(PREDECESSOR) for bind in binds[:2]]
    assert told == [binds[0].ids["binding_id"], None]
    await platform.broker.wait_for(UNBIND, 2)


async def test_osb_121_renewal_after_the_end_is_ignored(platform: Platform) -> None:
    await platform.provisions()
    platform.broker.script(
        BIND, lambda seen: granted(seen, renew_before="2999-01-02T00:00:00Z", expires_at="2999-01-01T00:00:00Z")
    )
    found = await platform.binds()
    assert "renewBefore" not in found["status"]
    assert found["status"]["expiresAt"] == "2999-01-01T00:00:00Z"
