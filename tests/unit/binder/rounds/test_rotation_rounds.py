"""Credentials that are replaced: whole rounds against a scripted broker, from the wish to the last revocation."""

from datetime import timedelta
from typing import Any

import pytest

from chandlery.model.objects import kinds
from chandlery.model.objects.bindings import ServiceBinding
from chandlery.model.objects.conditions import ConditionType, find_condition
from chandlery.model.objects.metadata import to_timestamp
from tests.conformance.scripted import scripted_templates as osb
from tests.conformance.scripted.scripted_broker import Reply
from tests.unit.binder.binder_fixture import BEGINNING, CREDENTIALS, Harbour, ready_of

READY = ("True", "InjectedBindResult")
RECONCILING = ConditionType.RECONCILING
SECOND = {"credentials": {"uri": "tcp://other"}}
GRACE = 300.0


async def test_order_replaces_the_secret_before_the_old_credentials_are_revoked(harbour: Harbour) -> None:
    await _set_rotatable(harbour)
    await harbour.change(kinds.SERVICE_BINDING, "knot", parameters={"colour": "red"})
    await harbour.work()
    harbour.broker.script(osb.BIND, Reply(201, SECOND))
    await harbour.annotate(rotate_requested_at="now")
    binding = await _work(harbour)
    assert ready_of(binding) == READY
    assert await harbour.secret() == {"uri": "tcp://other"}
    first, second = harbour.broker.seen_of(osb.BIND)
    new = second.ids["binding_id"]
    assert (new != "binding-1", second.ids["instance_id"]) == (True, "instance-1")
    assert second.body["predecessor_binding_id"] == "binding-1"
    assert {**first.body, "predecessor_binding_id": "binding-1"} == {**second.body, "parameters": {"colour": "red"}}
    assert (first.body["parameters"], "parameters" in second.body) == ({"colour": "red"}, False)
    assert (binding.status.external_id, binding.status.last_rotation_time) == (new, harbour.now)
    assert binding.status.retiring is not None
    assert [each.external_id for each in binding.status.retiring] == ["binding-1"]
    assert binding.status.retiring[0].unbind_time == harbour.now + timedelta(seconds=GRACE)
    assert harbour.requests() == ["PUT", "PUT"]
    binding = await _work(harbour, after_seconds=GRACE)
    assert harbour.requests() == ["PUT", "PUT", "DELETE"]
    (gone,) = harbour.broker.seen_of(osb.UNBIND)
    assert gone.ids["binding_id"] == "binding-1"
    assert (binding.status.retiring, ready_of(binding)) == (None, READY)
    await _work(harbour, after_seconds=GRACE)
    assert harbour.requests() == ["PUT", "PUT", "DELETE"]


async def test_broker_without_rotation_gets_a_bind_of_its_own_with_the_parameters(harbour: Harbour) -> None:
    await harbour.change(kinds.SERVICE_BINDING, "knot", parameters={"colour": "red"})
    await harbour.work()
    await harbour.annotate(rotate_requested_at="now")
    await harbour.work()
    body = harbour.broker.seen_of(osb.BIND)[1].body
    assert (body["parameters"], "predecessor_binding_id" in body) == ({"colour": "red"}, False)


async def test_second_rotation_succeeds_the_first(harbour: Harbour) -> None:
    await _set_rotatable(harbour)
    await harbour.work()
    for order in ("one", "two"):
        await harbour.annotate(rotate_requested_at=order)
        await harbour.work()
    _, first, second = harbour.broker.seen_of(osb.BIND)
    assert second.body["predecessor_binding_id"] == first.ids["binding_id"]
    await harbour.work(after_seconds=GRACE)
    gone = [seen.ids["binding_id"] for seen in harbour.broker.seen_of(osb.UNBIND)]
    assert gone == ["binding-1", first.ids["binding_id"]]


async def test_order_from_before_the_first_bind_is_fulfilled_by_it(harbour: Harbour) -> None:
    await harbour.annotate(rotate_requested_at="early")
    await harbour.work()
    await harbour.work(after_seconds=GRACE)
    assert harbour.requests() == ["PUT"]


async def test_credentials_are_renewed_before_they_end(harbour: Harbour) -> None:
    await _set_rotatable(harbour)
    harbour.broker.script(osb.BIND, _lasting(hours=10), _lasting(hours=30))
    binding = await _work(harbour)
    assert binding.status.expires_at == BEGINNING + timedelta(hours=10)
    await _work(harbour, after_seconds=8.9 * 3600)
    assert harbour.requests() == ["PUT"]
    binding = await _work(harbour, after_seconds=0.2 * 3600)
    assert harbour.requests() == ["PUT", "PUT"]
    assert binding.status.expires_at == BEGINNING + timedelta(hours=30)


async def test_expired_predecessor_is_not_named(harbour: Harbour) -> None:
    await _set_rotatable(harbour)
    harbour.broker.script(osb.BIND, _lasting(hours=10))
    await harbour.work()
    await _work(harbour, after_seconds=11 * 3600)
    assert "predecessor_binding_id" not in harbour.broker.seen_of(osb.BIND)[1].body


async def test_failed_rotation_keeps_the_credentials_and_cleans_up_after_itself(harbour: Harbour) -> None:
    await harbour.work()
    harbour.broker.script(osb.BIND, Reply(500, {"description": "out of rope"}))
    harbour.broker.script(osb.UNBIND, Reply(503), Reply(410))
    await harbour.annotate(rotate_requested_at="now")
    binding = await _work(harbour)
    assert ready_of(binding) == READY
    assert "out of rope" in _message(binding, RECONCILING)
    assert _message(binding) == "Injected bind result"
    assert await harbour.secret() == {"uri": "tcp://rope", "port": "4711"}
    failed = harbour.broker.seen_of(osb.BIND)[1].ids["binding_id"]
    assert [each.external_id for each in binding.status.retiring or ()] == [failed]
    assert (binding.status.attempts, binding.status.next_attempt_time is not None) == (1, True)
    await _work(harbour, after_seconds=1.3)
    assert [seen.ids["binding_id"] for seen in harbour.broker.seen_of(osb.UNBIND)] == [failed, failed]
    binding = await _work(harbour, after_seconds=3)
    assert len(harbour.broker.seen_of(osb.BIND)) == 3
    assert harbour.broker.seen_of(osb.BIND)[2].ids["binding_id"] not in ("binding-1", failed)
    assert (_message(binding), binding.status.attempts) == ("Injected bind result", None)
    assert find_condition(binding.status.conditions, RECONCILING) is None
    assert "RotationFailed" in [reason for reason, _ in await harbour.events()]


async def test_refused_rotation_stops_until_the_next_order(harbour: Harbour) -> None:
    await harbour.work()
    harbour.broker.script(osb.BIND, Reply(400, {"description": "not today"}))
    await harbour.annotate(rotate_requested_at="now")
    binding = await _work(harbour)
    assert (ready_of(binding), "not today" in _message(binding)) == (READY, True)
    assert "chandlery.io/rotate-requested-at" in _message(binding)
    await _work(harbour, after_seconds=86400)
    assert harbour.requests() == ["PUT", "PUT"]
    await harbour.annotate(rotate_requested_at="tomorrow")
    assert _message(await _work(harbour)) == "Injected bind result"
    assert harbour.requests() == ["PUT", "PUT", "PUT"]


async def test_asynchronous_rotation_keeps_the_binding_ready(harbour: Harbour) -> None:
    await _set_rotatable(harbour)
    await harbour.change(kinds.CLUSTER_SERVICE_CLASS, "class-1", namespace="", binding_retrievable=True)
    await harbour.work()
    harbour.broker.script(osb.BIND, Reply(202, {"operation": "splice 2"}))
    harbour.broker.script(osb.POLL_BINDING, Reply(500), Reply(200, {"state": "succeeded"}))
    harbour.broker.script(osb.FETCH_BINDING, Reply(404), Reply(200, SECOND))
    await harbour.annotate(rotate_requested_at="now")
    for _ in range(4):
        assert ready_of(await _work(harbour, after_seconds=2)) == READY
    binding = await _work(harbour, after_seconds=2)
    new = harbour.broker.seen_of(osb.BIND)[1].ids["binding_id"]
    assert [seen.query["operation"] for seen in harbour.broker.seen_of(osb.POLL_BINDING)] == ["splice 2", "splice 2"]
    assert {seen.ids["binding_id"] for seen in harbour.broker.seen_of(osb.FETCH_BINDING)} == {new}
    assert (await harbour.secret(), binding.status.external_id) == ({"uri": "tcp://other"}, new)


async def test_rotation_that_fails_at_the_broker_is_undone(harbour: Harbour) -> None:
    await harbour.change(kinds.CLUSTER_SERVICE_CLASS, "class-1", namespace="", binding_retrievable=True)
    await harbour.work()
    harbour.broker.script(osb.BIND, Reply(202, {}))
    harbour.broker.script(osb.POLL_BINDING, Reply(200, {"state": "failed", "description": "snapped"}))
    await harbour.annotate(rotate_requested_at="now")
    binding = await _work(harbour)
    assert (ready_of(binding), _message(binding, RECONCILING).startswith("The broker makes")) == (READY, True)
    binding = await _work(harbour, after_seconds=2)
    new = harbour.broker.seen_of(osb.BIND)[1].ids["binding_id"]
    assert [seen.ids["binding_id"] for seen in harbour.broker.seen_of(osb.UNBIND)] == [new]
    assert (ready_of(binding), "snapped" in _message(binding, RECONCILING)) == (READY, True)


@pytest.mark.parametrize("is_async", [False, True], ids=["in the grace", "while the broker works"])
async def test_deletion_unbinds_all_ids_without_the_secret(harbour: Harbour, *, is_async: bool) -> None:
    await harbour.change(kinds.CLUSTER_SERVICE_CLASS, "class-1", namespace="", binding_retrievable=True)
    await harbour.work()
    if is_async:
        harbour.broker.script(osb.BIND, Reply(202, {}))
    await harbour.annotate(rotate_requested_at="now")
    await harbour.work()
    await harbour.delete_binding()
    assert await harbour.work() is None
    assert await harbour.secret() is None
    bound = {seen.ids["binding_id"] for seen in harbour.broker.seen_of(osb.BIND)}
    unbound = [seen.ids["binding_id"] for seen in harbour.broker.seen_of(osb.UNBIND)]
    assert (set(unbound), len(unbound)) == (bound, 2)


async def test_revocation_that_fails_is_retried_and_leaves_the_binding_ready(harbour: Harbour) -> None:
    await harbour.work()
    await harbour.annotate(rotate_requested_at="now")
    await harbour.work()
    harbour.broker.script(osb.UNBIND, Reply(500), Reply(202, {"operation": "u"}))
    harbour.broker.script(osb.POLL_BINDING, Reply(200, {"state": "in progress"}), Reply(410))
    binding = await _work(harbour, after_seconds=GRACE)
    assert (ready_of(binding), len(binding.status.retiring or ())) == (READY, 1)
    for _ in range(4):
        binding = await _work(harbour, after_seconds=3)
    assert (ready_of(binding), binding.status.retiring) == (READY, None)
    assert harbour.requests() == ["PUT", "PUT", "DELETE", "DELETE", "GET", "GET"]
    reasons = [reason for reason, _ in await harbour.events()]
    assert ("RetirementFailed" in reasons, "RetiredCredentials" in reasons) == (True, True)


async def test_rotation_waits_for_the_instance_and_leaves_the_binding_ready(harbour: Harbour) -> None:
    await harbour.work()
    instance: Any = await harbour.find(kinds.SERVICE_INSTANCE, "rope")
    await harbour.remove(kinds.SERVICE_INSTANCE, "rope")
    await harbour.annotate(rotate_requested_at="now")
    binding = await _work(harbour)
    assert (ready_of(binding), "does not exist" in _message(binding, RECONCILING)) == (READY, True)
    await harbour.add(instance)
    assert await harbour.wake("instance:ns/rope") == ["b-uid"]
    assert _message(await _work(harbour)) == "Injected bind result"
    assert harbour.requests() == ["PUT", "PUT"]
    assert await harbour.wake("instance:ns/rope") == []


async def test_held_mitigation_of_a_rotation_is_asked_about(harbour: Harbour) -> None:
    await harbour.work()
    await harbour.annotate(orphan_mitigation="Manual")
    harbour.broker.script(osb.BIND, Reply(500))
    await harbour.annotate(rotate_requested_at="now")
    binding = await _work(harbour)
    held = find_condition(binding.status.conditions, ConditionType.ORPHAN_MITIGATION)
    assert (ready_of(binding), held and held.reason) == (READY, "OrphanMitigationRequired")
    assert harbour.requests() == ["PUT", "PUT"]
    await harbour.annotate(orphan_mitigation="Automatic")
    binding = await _work(harbour, after_seconds=5)
    assert harbour.requests() == ["PUT", "PUT", "DELETE", "PUT"]
    assert find_condition(binding.status.conditions, ConditionType.ORPHAN_MITIGATION) is None


def _lasting(*, hours: float) -> Reply:
    end = to_timestamp(BEGINNING + timedelta(hours=hours)).replace("Z", ".123456789Z")
    return Reply(201, {"credentials": CREDENTIALS, "metadata": {"expires_at": end}})


async def _set_rotatable(harbour: Harbour) -> None:
    await harbour.change(kinds.CLUSTER_SERVICE_PLAN, "plan-1", namespace="", binding_rotatable=True)


async def _work(harbour: Harbour, *, after_seconds: float = 0.0) -> ServiceBinding:
    binding = await harbour.work(after_seconds=after_seconds)
    assert binding is not None
    return binding


def _message(binding: ServiceBinding, kind: ConditionType = ConditionType.READY) -> str:
    ready = find_condition(binding.status.conditions, kind)
    assert ready is not None
    return ready.message
