"""What holds at every moment of a history, and what holds when everything has come to rest."""

import base64
from typing import Any

import orjson

from chandlery.model.objects.conditions import ConditionType, find_condition, is_true
from chandlery_binder.facts.binding_notes import BindingMemory
from tests.integration.properties.ledger import Task
from tests.integration.properties.model_broker import Held
from tests.integration.properties.world import BINDING, INSTANCE, SECRET, World

_REMEDIES = ("chandlery.io/", "delete the instance", "Correct", "correct", "create")


def check_now(world: World) -> None:
    """Between any two steps."""
    tasks = {task.uid: task for task in world.ledger.tasks()}
    for instance_id, held in world.broker.instances.items():
        if held.exists:
            _check_known_instance(world, tasks.get(held.of), instance_id, held)
    for (_, binding_id), held in world.broker.bindings.items():
        if held.exists:
            _check_known_binding(world, tasks.get(held.of), binding_id, held)
    for task in tasks.values():
        assert task.object is not None, f"a task without its object: {task.kind}"
        if task.kind == INSTANCE.kind:
            _check_ready_instance(world, task)
    for kind in (INSTANCE, BINDING):
        for each in world.ledger.objects(kind):
            assert each.metadata.uid in tasks, f"nobody looks after {each.kind} {each.metadata.name}"


def check_rest(world: World) -> None:
    """When nothing is due at this moment."""
    for task in world.ledger.tasks():
        is_held = task.lease_until is not None and task.lease_until >= world.now
        if is_held or task.kind not in (INSTANCE.kind, BINDING.kind):
            continue
        _check_outlook(world, task)
        if task.kind == BINDING.kind:
            _check_secret(world, task)


def _check_known_instance(world: World, task: Task | None, instance_id: str, held: Held) -> None:
    if task is None or task.object is None:
        assert world.may("let go", held.of), f"the broker has instance {instance_id}, which nobody knows of"
        return
    if task.sealed is None:
        status = task.object.status
        assert status.deprovision_status == "Required", f"nobody would delete {task.name} at the broker"


def _check_known_binding(world: World, task: Task | None, binding_id: str, held: Held) -> None:
    if task is None or task.object is None:
        assert world.may("let go", held.of), f"the broker has binding {binding_id}, which nobody knows of"
        return
    status, memory = task.object.status, BindingMemory.model_validate(task.memory)
    places = [each.placement for each in memory.retired]
    places += [memory.background_operation.placement] if memory.background_operation else []
    places += [memory.placement] if status.unbind_status == "Required" else []
    known = {place.binding_id or task.object.spec.external_id for place in places}
    if task.sealed is not None and task.sealed.get("request"):
        known.add(task.sealed["request"].get("bindingId") or task.sealed["request"].get("binding_id"))
    assert binding_id in known, f"nobody would delete binding {binding_id} of {task.name} at the broker"


def _check_ready_instance(world: World, task: Task) -> None:
    instance = task.object
    if is_true(instance.status.conditions, ConditionType.READY) and task.sealed is None:
        held = world.broker.instances.get(instance.spec.external_id)
        is_waived = world.may("waive", task.uid)
        assert is_waived or (held is not None and held.exists), f"{task.name} is ready, but the broker has it not"


def _check_outlook(world: World, task: Task) -> None:
    document = task.object
    ready = find_condition(document.status.conditions, ConditionType.READY)
    if task.due_at is not None:
        assert ready is not None and ready.reason, f"{task.name} does not say what it waits for"
        return
    assert document.metadata.deletion_timestamp is None, f"{task.name} is deleted and nothing is due: {_told(document)}"
    if is_true(document.status.conditions, ConditionType.READY):
        return
    failed = find_condition(document.status.conditions, ConditionType.FAILED)
    orphan = find_condition(document.status.conditions, ConditionType.ORPHAN_MITIGATION)
    words = [each.message for each in (failed, orphan) if each is not None]
    assert words, f"{task.name} rests and says nothing of why: {_told(document)}"
    assert any(way in word for word in words for way in _REMEDIES), f"{task.name} names no remedy: {words}"


def _check_secret(world: World, task: Task) -> None:
    binding = task.object
    if binding.metadata.deletion_timestamp or not is_true(binding.status.conditions, ConditionType.READY):
        return
    secret = world.ledger.find(SECRET, binding.spec.secret_name or binding.metadata.name)
    assert secret is not None, f"{task.name} is ready without its Secret: {_told(binding)}"
    key = base64.b64decode((secret.data or {}).get("key", "")).decode()
    valid = [held.credentials for (_, name), held in world.broker.bindings.items() if held.exists]
    gone = [held for (_, name), held in world.broker.bindings.items() if held.of == task.uid]
    is_let_go = any(world.may("let go", of.of) for of in world.broker.instances.values())
    assert key in valid or is_let_go, f"{task.name} is ready with credentials that are revoked: {gone}"


def _told(document: Any) -> str:
    conditions = [f"{each.type}={each.status} {each.reason}" for each in document.status.conditions]
    return orjson.dumps(conditions).decode()
