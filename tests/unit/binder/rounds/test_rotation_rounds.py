"""Credentials that are replaced: whole rounds against a scripted broker, from the spec to the last revocation."""

from datetime import timedelta
from typing import Any

import pytest

from chandlery.model.objects import kinds
from chandlery.model.objects.bindings import ServiceBinding
from chandlery.model.objects.conditions import ConditionType, find_condition
from chandlery.model.objects.metadata import to_timestamp
from tests.conformance.scripted import scripted_templates as osb
from tests.conformance.scripted.scripted_broker import Reply
from tests.unit.binder.binder_fixture import BEGINNING, CREDENTIALS, BinderFixture, ready_of

READY = ("True", "InjectedBindResult")
RECONCILING = ConditionType.RECONCILING
SECOND = {"credentials": {"uri": "tcp://other"}}
GRACE = 300.0


async def test_order_replaces_the_secret_before_the_old_credentials_are_revoked(binder: BinderFixture) -> None:
    await _set_rotatable(binder)
    await binder.change(kinds.SERVICE_BINDING, "knot", parameters={"colour": "red"})
    await binder.work()
    binder.broker.script(osb.BIND, Reply(201, SECOND))
    await binder.annotate(rotate_requested_at="now")
    binding = await _work(binder)
    assert ready_of(binding) == READY
    assert await binder.secret() == {"uri": "tcp://other"}
    first, second = binder.broker.seen_of(osb.BIND)
    new = second.ids["binding_id"]
    assert (new != "binding-1", second.ids["instance_id"]) == (True, "instance-1")
    assert second.body["predecessor_binding_id"] == "binding-1"
    assert {**first.body, "predecessor_binding_id": "binding-1"} == {**second.body, "parameters": {"colour": "red"}}
    assert (first.body["parameters"], "parameters" in second.body) == ({"colour": "red"}, False)
    assert (binding.status.external_id, binding.status.last_rotation_time) == (new, binder.now)
    assert binding.status.retiring is not None
    assert [each.external_id for each in binding.status.retiring] == ["binding-1"]
    assert binding.status.retiring[0].unbind_time == binder.now + timedelta(seconds=GRACE)
    assert binder.requests() == ["PUT", "PUT"]
    binding = await _work(binder, after_seconds=GRACE)
    assert binder.requests() == ["PUT", "PUT", "DELETE"]
    (gone,) = binder.broker.seen_of(osb.UNBIND)
    assert gone.ids["binding_id"] == "binding-1"
    assert (binding.status.retiring, ready_of(binding)) == (None, READY)
    await _work(binder, after_seconds=GRACE)
    assert binder.requests() == ["PUT", "PUT", "DELETE"]


async def test_broker_without_rotation_gets_a_bind_of_its_own_with_the_parameters(binder: BinderFixture) -> None:
    await binder.change(kinds.SERVICE_BINDING, "knot", parameters={"colour": "red"})
    await binder.work()
    await binder.annotate(rotate_requested_at="now")
    await binder.work()
    body = binder.broker.seen_of(osb.BIND)[1].body
    assert (body["parameters"], "predecessor_binding_id" in body) == ({"colour": "red"}, False)


async def test_second_rotation_succeeds_the_first(binder: BinderFixture) -> None:
    await _set_rotatable(binder)
    await binder.work()
    for order in ("one", "two"):
        await binder.annotate(rotate_requested_at=order)
        await binder.work()
    _, first, second = binder.broker.seen_of(osb.BIND)
    assert second.body["predecessor_binding_id"] == first.ids["binding_id"]
    await binder.work(after_seconds=GRACE)
    gone = [seen.ids["binding_id"] for seen in binder.broker.seen_of(osb.UNBIND)]
    assert gone == ["binding-1", first.ids["binding_id"]]


async def test_order_from_before_the_first_bind_is_fulfilled_by_it(binder: BinderFixture) -> None:
    await binder.annotate(rotate_requested_at="early")
    await binder.work()
    await binder.work(after_seconds=GRACE)
    assert binder.requests() == ["PUT"]


async def test_credentials_are_renewed_before_they_end(binder: BinderFixture) -> None:
    await _set_rotatable(binder)
    binder.broker.script(osb.BIND, _lasting(hours=10), _lasting(hours=30))
    binding = await _work(binder)
    assert binding.status.expires_at == BEGINNING + timedelta(hours=10)
    await _work(binder, after_seconds=8.9 * 3600)
    assert binder.requests() == ["PUT"]
    binding = await _work(binder, after_seconds=0.2 * 3600)
    assert binder.requests() == ["PUT", "PUT"]
    assert binding.status.expires_at == BEGINNING + timedelta(hours=30)


async def test_expired_predecessor_is_not_named(binder: BinderFixture) -> None:
    await _set_rotatable(binder)
    binder.broker.script(osb.BIND, _lasting(hours=10))
    await binder.work()
    await _work(binder, after_seconds=11 * 3600)
    assert "predecessor_binding_id" not in binder.broker.seen_of(osb.BIND)[1].body


async def test_failed_rotation_keeps_the_credentials_and_cleans_up_after_itself(binder: BinderFixture) -> None:
    await binder.work()
    binder.broker.script(osb.BIND, Reply(500, {"description": "out of rope"}))
    binder.broker.script(osb.UNBIND, Reply(503), Reply(410))
    await binder.annotate(rotate_requested_at="now")
    binding = await _work(binder)
    assert ready_of(binding) == READY
    assert "out of rope" in _message(binding, RECONCILING)
    assert _message(binding) == "Injected bind result"
    assert await binder.secret() == {"uri": "tcp://rope", "port": "4711"}
    failed = binder.broker.seen_of(osb.BIND)[1].ids["binding_id"]
    assert [each.external_id for each in binding.status.retiring or ()] == [failed]
    assert (binding.status.attempts, binding.status.next_attempt_time is not None) == (1, True)
    await _work(binder, after_seconds=1.3)
    assert [seen.ids["binding_id"] for seen in binder.broker.seen_of(osb.UNBIND)] == [failed, failed]
    binding = await _work(binder, after_seconds=3)
    assert len(binder.broker.seen_of(osb.BIND)) == 3
    assert binder.broker.seen_of(osb.BIND)[2].ids["binding_id"] not in ("binding-1", failed)
    assert (_message(binding), binding.status.attempts) == ("Injected bind result", None)
    assert find_condition(binding.status.conditions, RECONCILING) is None
    assert "RotationFailed" in [reason for reason, _ in await binder.events()]


async def test_refused_rotation_stops_until_the_next_order(binder: BinderFixture) -> None:
    await binder.work()
    binder.broker.script(osb.BIND, Reply(400, {"description": "not today"}))
    await binder.annotate(rotate_requested_at="now")
    binding = await _work(binder)
    assert (ready_of(binding), "not today" in _message(binding)) == (READY, True)
    assert "chandlery.io/rotate-requested-at" in _message(binding)
    await _work(binder, after_seconds=86400)
    assert binder.requests() == ["PUT", "PUT"]
    await binder.annotate(rotate_requested_at="tomorrow")
    assert _message(await _work(binder)) == "Injected bind result"
    assert binder.requests() == ["PUT", "PUT", "PUT"]


async def test_asynchronous_rotation_keeps_the_binding_ready(binder: BinderFixture) -> None:
    await _set_rotatable(binder)
    await binder.change(kinds.CLUSTER_SERVICE_CLASS, "class-1", namespace="", binding_retrievable=True)
    await binder.work()
    binder.broker.script(osb.BIND, Reply(202, {"operation": "splice 2"}))
    binder.broker.script(osb.POLL_BINDING, Reply(500), Reply(200, {"state": "succeeded"}))
    binder.broker.script(osb.FETCH_BINDING, Reply(404), Reply(200, SECOND))
    await binder.annotate(rotate_requested_at="now")
    for _ in range(4):
        assert ready_of(await _work(binder, after_seconds=2)) == READY
    binding = await _work(binder, after_seconds=2)
    new = binder.broker.seen_of(osb.BIND)[1].ids["binding_id"]
    assert [seen.query["operation"] for seen in binder.broker.seen_of(osb.POLL_BINDING)] == ["splice 2", "splice 2"]
    assert {seen.ids["binding_id"] for seen in binder.broker.seen_of(osb.FETCH_BINDING)} == {new}
    assert (await binder.secret(), binding.status.external_id) == ({"uri": "tcp://other"}, new)


async def test_rotation_that_fails_at_the_broker_is_undone(binder: BinderFixture) -> None:
    await binder.change(kinds.CLUSTER_SERVICE_CLASS, "class-1", namespace="", binding_retrievable=True)
    await binder.work()
    binder.broker.script(osb.BIND, Reply(202, {}))
    binder.broker.script(osb.POLL_BINDING, Reply(200, {"state": "failed", "description": "snapped"}))
    await binder.annotate(rotate_requested_at="now")
    binding = await _work(binder)
    assert (ready_of(binding), _message(binding, RECONCILING).startswith("The broker is creating")) == (READY, True)
    binding = await _work(binder, after_seconds=2)
    new = binder.broker.seen_of(osb.BIND)[1].ids["binding_id"]
    assert [seen.ids["binding_id"] for seen in binder.broker.seen_of(osb.UNBIND)] == [new]
    assert (ready_of(binding), "snapped" in _message(binding, RECONCILING)) == (READY, True)


@pytest.mark.parametrize("is_async", [False, True], ids=["in the grace", "while the broker works"])
async def test_deletion_unbinds_all_ids_without_the_secret(binder: BinderFixture, *, is_async: bool) -> None:
    await binder.change(kinds.CLUSTER_SERVICE_CLASS, "class-1", namespace="", binding_retrievable=True)
    await binder.work()
    if is_async:
        binder.broker.script(osb.BIND, Reply(202, {}))
    await binder.annotate(rotate_requested_at="now")
    await binder.work()
    await binder.delete_binding()
    assert await binder.work() is None
    assert await binder.secret() is None
    bound = {seen.ids["binding_id"] for seen in binder.broker.seen_of(osb.BIND)}
    unbound = [seen.ids["binding_id"] for seen in binder.broker.seen_of(osb.UNBIND)]
    assert (set(unbound), len(unbound)) == (bound, 2)


async def test_revocation_that_fails_is_retried_and_leaves_the_binding_ready(binder: BinderFixture) -> None:
    await binder.work()
    await binder.annotate(rotate_requested_at="now")
    await binder.work()
    binder.broker.script(osb.UNBIND, Reply(500), Reply(202, {"operation": "u"}))
    binder.broker.script(osb.POLL_BINDING, Reply(200, {"state": "in progress"}), Reply(410))
    binding = await _work(binder, after_seconds=GRACE)
    assert (ready_of(binding), len(binding.status.retiring or ())) == (READY, 1)
    for _ in range(4):
        binding = await _work(binder, after_seconds=3)
    assert (ready_of(binding), binding.status.retiring) == (READY, None)
    assert binder.requests() == ["PUT", "PUT", "DELETE", "DELETE", "GET", "GET"]
    reasons = [reason for reason, _ in await binder.events()]
    assert ("RetirementFailed" in reasons, "RetiredCredentials" in reasons) == (True, True)


async def test_rotation_waits_for_the_instance_and_leaves_the_binding_ready(binder: BinderFixture) -> None:
    await binder.work()
    instance: Any = await binder.find(kinds.SERVICE_INSTANCE, "rope")
    await binder.remove(kinds.SERVICE_INSTANCE, "rope")
    await binder.annotate(rotate_requested_at="now")
    binding = await _work(binder)
    assert (ready_of(binding), "does not exist" in _message(binding, RECONCILING)) == (READY, True)
    await binder.add(instance)
    assert await binder.wake("instance:ns/rope") == ["b-uid"]
    assert _message(await _work(binder)) == "Injected bind result"
    assert binder.requests() == ["PUT", "PUT"]
    assert await binder.wake("instance:ns/rope") == []


async def test_held_mitigation_of_a_rotation_is_asked_about(binder: BinderFixture) -> None:
    await binder.work()
    await binder.annotate(orphan_mitigation="Manual")
    binder.broker.script(osb.BIND, Reply(500))
    await binder.annotate(rotate_requested_at="now")
    binding = await _work(binder)
    held = find_condition(binding.status.conditions, ConditionType.ORPHAN_MITIGATION)
    assert (ready_of(binding), held and held.reason) == (READY, "OrphanMitigationRequired")
    assert binder.requests() == ["PUT", "PUT"]
    await binder.annotate(orphan_mitigation="Automatic")
    binding = await _work(binder, after_seconds=5)
    assert binder.requests() == ["PUT", "PUT", "DELETE", "PUT"]
    assert find_condition(binding.status.conditions, ConditionType.ORPHAN_MITIGATION) is None


def _lasting(*, hours: float) -> Reply:
    end = to_timestamp(BEGINNING + timedelta(hours=hours)).replace("Z", ".123456789Z")
    return Reply(201, {"credentials": CREDENTIALS, "metadata": {"expires_at": end}})


async def _set_rotatable(binder: BinderFixture) -> None:
    await binder.change(kinds.CLUSTER_SERVICE_PLAN, "plan-1", namespace="", binding_rotatable=True)


async def _work(binder: BinderFixture, *, after_seconds: float = 0.0) -> ServiceBinding:
    binding = await binder.work(after_seconds=after_seconds)
    assert binding is not None
    return binding


def _message(binding: ServiceBinding, kind: ConditionType = ConditionType.READY) -> str:
    ready = find_condition(binding.status.conditions, kind)
    assert ready is not None
    return ready.message
