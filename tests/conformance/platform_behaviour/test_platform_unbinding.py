"""Deletions of bindings and instances: what is sent, in which order, and until when."""

from itertools import pairwise

import pytest

from tests.conformance.platform import BINDING, INSTANCE, Platform, sequence
from tests.conformance.scripted.scripted_broker import Reply
from tests.conformance.scripted.scripted_catalog import simple_catalog, simple_service
from tests.conformance.scripted.scripted_templates import (
    BIND,
    DEPROVISION,
    POLL_BINDING,
    POLL_INSTANCE,
    UNBIND,
    UPDATE,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")

ACCEPTED = Reply(202, {"operation": "x"})
IN_PROGRESS, FAILED = (Reply(200, {"state": state}) for state in ("in progress", "failed"))


async def test_osb_132_deletion_names_service_and_plan_in_its_query_and_has_no_body(platform: Platform) -> None:
    await platform.provisions()
    await platform.binds()
    await platform.unbinds()
    await platform.deprovisions()
    for template in (UNBIND, DEPROVISION):
        [request] = platform.broker.seen_of(template)
        ids = {"service_id": f"{platform.offering_name}-id", "plan_id": f"{platform.offering_name}-default-id"}
        assert {**request.query, **ids} == request.query
        assert set(request.query) - set(ids) <= {"accepts_incomplete"}
        assert request.raw_body == b""


@pytest.mark.parametrize("answer", [200, 400], ids=["changed", "not changed"])
async def test_osb_133_deletion_names_the_plan_of_now(platform: Platform, answer: int) -> None:
    platform.offers("small", "large", plan_updateable=True)
    await platform.provisions(plan="small")
    await platform.binds()
    platform.broker.script(UPDATE, Reply(answer))
    await platform.changes(INSTANCE, "db", {"spec": {"clusterServicePlanExternalName": "large"}})
    await platform.broker.wait_for(UPDATE)
    await platform.comes_to_rest()
    await platform.unbinds()
    await platform.deprovisions()
    plan = "large" if answer == 200 else "small"
    for template in (UNBIND, DEPROVISION):
        [request] = platform.broker.seen_of(template)
        assert request.query["plan_id"] == f"{platform.offering_name}-{plan}-id"


async def test_osb_134_all_bindings_are_gone_before_their_instance_is_deleted(platform: Platform) -> None:
    await platform.provisions()
    await platform.binds("quick")
    slow = await platform.binds("slow")
    only = slow["spec"]["externalID"]
    platform.broker.script(UNBIND, Reply(500), ACCEPTED, only=only)
    platform.broker.script(POLL_BINDING, *[IN_PROGRESS] * 3, only=only)
    await platform.deletes(INSTANCE, "db")
    await platform.until_condition(INSTANCE, "db", "Ready", "False", reason="DeprovisionBlockedByExistingCredentials")
    await platform.deletes(BINDING, "slow")
    await platform.deletes(BINDING, "quick")
    await platform.until_gone(INSTANCE, "db")
    steps = sequence(platform.broker.seen)[4:]
    assert sorted(steps[:-1]) == ["DELETE binding"] * 3 + ["GET binding operation"] * 4
    assert steps[-1] == "DELETE instance"


async def test_osb_134_instance_stays_while_a_binding_cannot_be_deleted(platform: Platform) -> None:
    await platform.provisions()
    await platform.binds()
    platform.broker.always(UNBIND, Reply(500, {"description": "stuck"}))
    await platform.deletes(BINDING, "db-binding")
    await platform.deletes(INSTANCE, "db")
    await platform.broker.wait_for(UNBIND, 4)
    assert platform.broker.seen_of(DEPROVISION) == []
    platform.broker.always(UNBIND, None)
    await platform.until_gone(INSTANCE, "db")


@pytest.mark.parametrize("status", [200, 410])
async def test_osb_135_deletion_ends_with_ok_or_gone_at_once_or_later(platform: Platform, status: int) -> None:
    end = Reply(200, {"state": "succeeded"}) if status == 200 else Reply(410, {})
    for name in ("db", "other"):
        await platform.provisions(name)
        await platform.binds(f"{name}-binding", to=name)
    platform.broker.script(UNBIND, Reply(status, {}), ACCEPTED)
    platform.broker.script(DEPROVISION, Reply(status, {}), ACCEPTED)
    platform.broker.script(POLL_BINDING, IN_PROGRESS, end)
    platform.broker.script(POLL_INSTANCE, IN_PROGRESS, end)
    for name in ("db", "other"):
        await platform.unbinds(f"{name}-binding")
        await platform.deprovisions(name)
    polled = ["DELETE binding", *["GET binding operation"] * 2, "DELETE instance", *["GET instance operation"] * 2]
    assert sequence(platform.broker.seen)[5:] == ["DELETE binding", "DELETE instance", *polled]


async def test_osb_136_object_stays_after_any_other_answer(platform: Platform) -> None:
    await platform.provisions()
    await platform.binds()
    for template, kind, name in ((UNBIND, BINDING, "db-binding"), (DEPROVISION, INSTANCE, "db")):
        platform.broker.script(template, Reply(403), Reply(500))
        platform.broker.always(template, Reply(404, {"description": "never heard of it"}))
        await platform.deletes(kind, name)
        await platform.broker.wait_for(template, 4)
        found = await platform.until_condition(kind, name, "Ready", "Unknown", says="never heard of it")
        assert "chandlery.io/abandon" in str(found["status"]["conditions"])
        platform.broker.always(template, None)
        await platform.until_gone(kind, name)


async def test_osb_137_deletion_is_sent_again_when_it_came_at_the_wrong_time(platform: Platform) -> None:
    await platform.provisions()
    await platform.binds()
    later = [Reply(422, {"error": error}) for error in ("ConcurrencyError", "ConcurrencyError", "AsyncRequired")]
    for template in (UNBIND, DEPROVISION):
        platform.broker.script(template, *later)
    await platform.unbinds()
    await platform.deprovisions()
    for template in (UNBIND, DEPROVISION):
        requests = platform.broker.seen_of(template)
        assert len(requests) == 4
        assert requests[-1].query["accepts_incomplete"] == "true"


@pytest.mark.parametrize("how", ["refused", "failed later"])
async def test_osb_138_instance_whose_deletion_has_failed_gets_no_bindings(platform: Platform, how: str) -> None:
    unusable = {"description": "half of it is gone", "instance_usable": False}
    await platform.provisions()
    platform.broker.always(DEPROVISION, Reply(400, unusable) if how == "refused" else ACCEPTED)
    platform.broker.always(POLL_INSTANCE, Reply(200, {"state": "failed", **unusable}))
    await platform.deletes(INSTANCE, "db")
    await platform.until_condition(INSTANCE, "db", "Ready", "Unknown", says="half of it is gone")
    document = {
        "apiVersion": BINDING.api_version,
        "kind": BINDING.kind,
        "metadata": {"name": "late"},
        "spec": {"instanceRef": {"name": "db"}},
    }
    assert (await platform.api.post(platform.path(BINDING), document)).status == 422
    assert platform.broker.seen_of(BIND) == []
    platform.broker.always(DEPROVISION, None)
    await platform.until_gone(INSTANCE, "db")


async def test_osb_139_deletion_that_fails_is_sent_until_it_succeeds_with_growing_pauses(platform: Platform) -> None:
    await platform.registers(retryPolicy={"initialDelay": "50ms", "maximumDelay": "1s"})
    await platform.provisions()
    await platform.binds()
    for template, polled in ((UNBIND, POLL_BINDING), (DEPROVISION, POLL_INSTANCE)):
        platform.broker.script(template, Reply(500), Reply(503), ACCEPTED)
        platform.broker.script(polled, FAILED)
    await platform.unbinds()
    await platform.deprovisions()
    for template in (UNBIND, DEPROVISION):
        sent = platform.broker.seen_of(template)
        pauses = [later.seen_at - earlier.seen_at for earlier, later in pairwise(sent)]
        assert all(pause >= least for pause, least in zip(pauses, (0.045, 0.09, 0.18), strict=True)), pauses


@pytest.mark.parametrize("what", ["plan", "service"])
async def test_osb_140_deletions_need_nothing_of_the_catalog(platform: Platform, what: str) -> None:
    platform.offers("small", "large")
    await platform.provisions(plan="small")
    await platform.binds()
    if what == "plan":
        platform.offers("large")
    else:
        platform.broker.catalog = simple_catalog(simple_service(f"other-{platform.number}"))
    await platform.relists()
    await platform.unbinds()
    await platform.deprovisions()
    ids = {"service_id": f"{platform.offering_name}-id", "plan_id": f"{platform.offering_name}-small-id"}
    for template in (UNBIND, DEPROVISION):
        [request] = platform.broker.seen_of(template)
        assert {**request.query, **ids} == request.query


async def test_osb_140_deletion_works_while_no_catalog_can_be_had(platform: Platform) -> None:
    await platform.provisions()
    platform.broker.catalog = "no catalog at all"
    await platform.relists_in_vain()
    await platform.deprovisions()
