"""How a history may end: whatever has happened, these come to a good end within a bounded time."""

from collections.abc import Callable, Mapping
from typing import Any

from chandlery.model.objects import kinds
from chandlery.model.objects.conditions import ConditionType, find_condition, is_true
from tests.integration.properties.verdicts import check_rest
from tests.integration.properties.world import BINDING, BROKER, INSTANCE, World, registration

Settle = Callable[[], None]
_STEPS = 150
"""Moments at which something is due, at most."""
_PATIENCE_DAYS = 9


def everything_is_deleted(world: World, settle: Settle) -> None:
    """The broker becomes kind, and users delete what they have."""
    _mend(world, settle)
    _delete_all(world)
    _until_gone(world, settle)
    _check_nothing_left(world)


def the_namespace_is_deleted(world: World, settle: Settle) -> None:
    """The same by the namespace alone."""
    _mend(world, settle)
    world.run(world.delete(kinds.NAMESPACE, "ns"))
    _until_gone(world, settle)
    _advance(world, settle, lambda: world.ledger.find(kinds.NAMESPACE, "ns") is None, "the namespace does not go")
    _check_nothing_left(world)


def everything_desired_is_there(world: World, settle: Settle) -> None:
    """The broker becomes kind, users correct what is wrong: then all of it works. At last they delete it."""
    _mend(world, settle)
    broker = world.ledger.find(kinds.CLUSTER_SERVICE_BROKER, BROKER)
    if broker is not None and broker.metadata.deletion_timestamp is None:
        _correct(world)
        _advance(world, settle, lambda: not _not_granted(world), "not everything desired is there", _not_granted)
        check_rest(world)
    _delete_all(world)
    _until_gone(world, settle)
    _check_nothing_left(world)


def everything_is_abandoned(world: World, settle: Settle) -> None:
    """Users give up, and no call is made."""
    world.broker.is_kind = world.broker.is_silent = True
    for kind in (BINDING, INSTANCE):
        for each in world.ledger.objects(kind):
            world.run(world.annotate(kind, each.metadata.name, abandon="true"))
            world.run(world.delete(kind, each.metadata.name))
    # Leases of workers that died run out first.
    world.pass_time(11)
    settle()
    assert not _left(world), f"abandoned, but still there: {_left(world)}"


def everything_is_forced(world: World, settle: Settle) -> None:
    """The broker is gone for good, and users delete by force: bindings go with their instances."""
    world.broker.is_kind = world.broker.is_away = True
    for kind in (INSTANCE, BINDING):
        for each in world.ledger.objects(kind):
            world.run(world.annotate(kind, each.metadata.name, force_delete="true"))
            world.run(world.delete(kind, each.metadata.name))
        _advance(world, settle, lambda: not _left(world, INSTANCE, but=_is_polled), "forced, but still there", _left)
    _advance(world, settle, lambda: not _left(world, but=_is_polled), "forced, but still there", _left)
    # A broker that has accepted the deletion is asked for as long as it may take; nobody has to wait for that.
    everything_is_abandoned(world, settle)


ENDINGS: Mapping[str, Callable[[World, Settle], None]] = {
    each.__name__: each
    for each in (
        everything_is_deleted,
        everything_desired_is_there,
        everything_is_abandoned,
        everything_is_forced,
        the_namespace_is_deleted,
    )
}


def _mend(world: World, settle: Settle) -> None:
    world.broker.is_kind = True
    world.broker.plans = ["small", "large"]
    world.pass_time(11)
    settle()
    if world.ledger.find(kinds.CLUSTER_SERVICE_BROKER, BROKER) is None:
        # "Register it again under the same name."
        world.run(world.create(registration()))
    world.run(world.change(kinds.CLUSTER_SERVICE_BROKER, BROKER, relist_requests=1_000_000))
    settle()


def _correct(world: World) -> None:
    for each in world.ledger.objects(INSTANCE):
        name = each.metadata.name
        plan = {"cluster_service_plan_external_name": "large", "cluster_service_plan_ref": None}
        world.run(world.change(INSTANCE, name, parameters={"value": 0}, **plan))
        world.run(world.annotate(INSTANCE, name, retry_requested_at="at last", orphan_mitigation="Automatic"))
    for each in world.ledger.objects(BINDING):
        orders = {"retry_requested_at": "at last", "orphan_mitigation": "Automatic"}
        world.run(world.annotate(BINDING, each.metadata.name, **orders))


def _not_granted(world: World) -> list[str]:
    instances = {each.metadata.name: each for each in world.ledger.objects(INSTANCE)}
    wanting = [name for name, each in instances.items() if not each.metadata.deletion_timestamp and not _is_done(each)]
    for each in world.ledger.objects(BINDING):
        instance = instances.get(each.spec.instance_ref.name)
        is_bindable = instance is not None and not instance.metadata.deletion_timestamp
        if is_bindable and not each.metadata.deletion_timestamp and not _is_ready(each):
            wanting.append(
                f"binding {each.metadata.name}: {find_condition(each.status.conditions, ConditionType.READY)}"
            )
    return wanting


def _is_ready(document: Any) -> bool:
    return is_true(document.status.conditions, ConditionType.READY)


def _is_done(instance: Any) -> bool:
    status = instance.status
    return _is_ready(instance) and status.reconciled_generation == instance.metadata.generation


def _delete_all(world: World) -> None:
    for kind in (BINDING, INSTANCE):
        for each in world.ledger.objects(kind):
            world.run(world.delete(kind, each.metadata.name))


def _left(world: World, *which: kinds.Kind, but: Callable[[Any], bool] = lambda document: False) -> list[str]:
    found = [each for kind in which or (INSTANCE, BINDING) for each in world.ledger.objects(kind) if not but(each)]
    return [f"{each.kind} {each.metadata.name}: {_why(each)}" for each in found]


def _is_polled(document: Any) -> bool:
    return bool(document.status.async_op_in_progress)


def _why(document: Any) -> str:
    ready = find_condition(document.status.conditions, ConditionType.READY)
    return f"{ready.reason}: {ready.message}" if ready else "silent"


def _until_gone(world: World, settle: Settle) -> None:
    _advance(world, settle, lambda: not _left(world), "deleted, but still there", _left)


def _advance(
    world: World,
    settle: Settle,
    is_done: Callable[[], bool],
    otherwise: str,
    why: Callable[[World], list[str]] = lambda world: [],
) -> None:
    begin = world.now
    for _ in range(_STEPS):
        settle()
        if is_done():
            return
        moment = world.next_moment()
        assert moment is not None, f"{otherwise}, and nothing is due: {why(world)}"
        world.pass_time(max(0.0, (moment - world.now).total_seconds()) + 0.001)
        assert (world.now - begin).days < _PATIENCE_DAYS, f"{otherwise}: {why(world)}"
    raise AssertionError(f"{otherwise}: {why(world)}")


def _check_nothing_left(world: World) -> None:
    left = [name for name, held in world.broker.left().items() if not world.may("let go", held.of)]
    assert not left, f"the broker still has {left}"
