"""Each state in which something waits for its service broker, and each way out that is promised for it: all work."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from chandlery.model.objects.kinds import Kind
from tests.conformance.platform import BINDING, BROKER, INSTANCE, Platform, condition_of, sequence
from tests.conformance.scripted.scripted_broker import Reply
from tests.conformance.scripted.scripted_templates import (
    BIND,
    DEPROVISION,
    POLL_BINDING,
    POLL_INSTANCE,
    PROVISION,
    UNBIND,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")

ACCEPTED = Reply(202, {"operation": "x"})
IN_PROGRESS = Reply(200, {"state": "in progress"})
BUSY = Reply(422, {"error": "ConcurrencyError"})
SELDOM: dict[str, Any] = {"pollPolicy": {"initialInterval": "1h", "maximumInterval": "1h"}}
"""Nothing is polled by itself: what happens is what was ordered."""
NO_ANSWERS = [
    pytest.param(Reply(400, {"description": "which one?"}), id="400"),
    pytest.param(Reply(500), id="500"),
    pytest.param(Reply(200, b"null"), id="null"),
    pytest.param(Reply(200, {}), id="no state"),
    pytest.param(Reply(200, {"state": "unknown"}), id="another state"),
    pytest.param(Reply(200, b"<html>Log in</html>"), id="html"),
]
Enter = Callable[[Platform], Awaitable[None]]


async def _polled_instance(platform: Platform) -> None:
    """The broker has accepted the deletion."""
    await platform.registers(**SELDOM)
    await platform.provisions()
    platform.broker.script(DEPROVISION, ACCEPTED)
    await platform.deletes(INSTANCE, "db")
    await platform.until_condition(INSTANCE, "db", "Ready", "False", reason="Deprovisioning")


async def _refused_instance(platform: Platform) -> None:
    """The broker refuses the deletion."""
    await platform.registers(retryPolicy={"initialDelay": "1h", "maximumDelay": "1h"})
    await platform.provisions()
    platform.broker.script(DEPROVISION, Reply(403))
    await platform.deletes(INSTANCE, "db")
    await platform.until_condition(INSTANCE, "db", "Ready", "Unknown", reason="DeprovisionCallFailed")


async def _created_instance(platform: Platform) -> None:
    """The broker will not be interrupted in a creation, and does not say how far it is."""
    await platform.registers(**SELDOM)
    platform.broker.script(PROVISION, ACCEPTED)
    platform.broker.script(DEPROVISION, BUSY)
    await platform.creates_instance()
    await platform.until_condition(INSTANCE, "db", "Ready", "False", reason="Provisioning")
    await platform.deletes(INSTANCE, "db")
    await platform.broker.wait_for(DEPROVISION)


async def _polled_binding(platform: Platform) -> None:
    """The broker has accepted the unbind."""
    await platform.registers(**SELDOM)
    await platform.provisions()
    await platform.binds()
    platform.broker.script(UNBIND, ACCEPTED)
    await platform.deletes(BINDING, "db-binding")
    await platform.until_condition(BINDING, "db-binding", "Ready", "False", reason="Unbinding")


async def _refused_binding(platform: Platform) -> None:
    """The broker refuses the unbind."""
    await platform.registers(retryPolicy={"initialDelay": "1h", "maximumDelay": "1h"})
    await platform.provisions()
    await platform.binds()
    platform.broker.script(UNBIND, Reply(403))
    await platform.deletes(BINDING, "db-binding")
    await platform.until_condition(BINDING, "db-binding", "Ready", "Unknown", reason="UnbindCallFailed")


async def _created_binding(platform: Platform) -> None:
    """The broker will not be interrupted in a bind, and does not say how far it is."""
    platform.offers(bindings_retrievable=True)
    await platform.registers(**SELDOM)
    await platform.provisions()
    platform.broker.script(BIND, ACCEPTED)
    platform.broker.script(UNBIND, BUSY)
    await platform.creates_binding()
    await platform.until_condition(BINDING, "db-binding", "Ready", "False", reason="Binding")
    await platform.deletes(BINDING, "db-binding")
    await platform.broker.wait_for(UNBIND)


WAITING: list[Any] = [
    pytest.param(_polled_instance, INSTANCE, "db", id="instance-polled"),
    pytest.param(_refused_instance, INSTANCE, "db", id="instance-refused"),
    pytest.param(_created_instance, INSTANCE, "db", id="instance-being-created"),
    pytest.param(_polled_binding, BINDING, "db-binding", id="binding-polled"),
    pytest.param(_refused_binding, BINDING, "db-binding", id="binding-refused"),
    pytest.param(_created_binding, BINDING, "db-binding", id="binding-being-created"),
]


def _deletion_of(kind: Kind) -> str:
    return DEPROVISION if kind is INSTANCE else UNBIND


def _poll_of(kind: Kind) -> str:
    return POLL_INSTANCE if kind is INSTANCE else POLL_BINDING


@pytest.mark.parametrize(("enter", "kind", "name"), WAITING)
async def test_an_order_to_try_again_sends_the_deletion_again(
    platform: Platform, enter: Enter, kind: Kind, name: str
) -> None:
    await enter(platform)
    platform.broker.always(_poll_of(kind), Reply(400))
    await platform.annotates(kind, name, retry_requested_at="now")
    await platform.until_gone(kind, name)
    assert len(platform.broker.seen_of(_deletion_of(kind))) == 2


@pytest.mark.parametrize("no_answer", NO_ANSWERS)
@pytest.mark.parametrize(("enter", "kind", "name"), WAITING)
async def test_force_ends_at_the_first_answer_that_says_nothing(
    platform: Platform, enter: Enter, kind: Kind, name: str, no_answer: Reply
) -> None:
    await enter(platform)
    platform.broker.always(_poll_of(kind), no_answer)
    platform.broker.always(_deletion_of(kind), Reply(500))
    await platform.annotates(kind, name, force_delete="true")
    await platform.until_gone(kind, name)
    assert any(told.startswith("ForceDeleted") for told in await platform.events(name))


@pytest.mark.parametrize(("enter", "kind", "name"), WAITING)
async def test_abandoning_ends_without_another_request(platform: Platform, enter: Enter, kind: Kind, name: str) -> None:
    await enter(platform)
    before = len(platform.broker.seen)
    await platform.annotates(kind, name, abandon="true")
    await platform.until_gone(kind, name)
    assert len(platform.broker.seen) == before


@pytest.mark.parametrize("no_answer", NO_ANSWERS)
async def test_polls_of_a_deletion_that_say_nothing_lead_to_another_deletion_by_themselves(
    platform: Platform, no_answer: Reply
) -> None:
    await platform.provisions()
    await platform.binds()
    for kind, name in ((BINDING, "db-binding"), (INSTANCE, "db")):
        platform.broker.script(_deletion_of(kind), ACCEPTED)
        platform.broker.always(_poll_of(kind), no_answer)
        await platform.deletes(kind, name)
        await platform.until_gone(kind, name)
        assert len(platform.broker.seen_of(_deletion_of(kind))) == 2
        assert len(platform.broker.seen_of(_poll_of(kind))) == 10


async def test_operation_in_progress_is_polled_to_its_end_although_some_polls_say_nothing(platform: Platform) -> None:
    await platform.provisions()
    platform.broker.script(DEPROVISION, ACCEPTED)
    row = [Reply(500)] * 9
    platform.broker.script(POLL_INSTANCE, *row, IN_PROGRESS, *row, IN_PROGRESS, Reply(410))
    await platform.deprovisions()
    assert len(platform.broker.seen_of(DEPROVISION)) == 1


@pytest.mark.parametrize(("enter", "kind", "name"), [WAITING[0], WAITING[3]])
async def test_condition_names_each_way_out_of_polls_that_say_nothing(
    platform: Platform, enter: Enter, kind: Kind, name: str
) -> None:
    await enter(platform)
    platform.broker.always(_poll_of(kind), Reply(400, {"description": "which one?"}))
    platform.broker.always(_deletion_of(kind), ACCEPTED)
    quick = {"spec": {"pollPolicy": {"initialInterval": "100ms", "maximumInterval": "100ms"}}}
    await platform.changes(BROKER, platform.broker_name, quick)
    await platform.annotates(kind, name, retry_requested_at="now")
    found = await platform.until_condition(kind, name, "Ready", "False", reason="ErrorPollingLastOperation")
    message = condition_of(found, "Ready")["message"]
    assert "which one?" in message
    for order in ("retry-requested-at=$(date +%s)", "force-delete=true", "abandon=true"):
        command = (
            f"kubectl annotate {kind.kind.lower()} {name} -n {platform.namespace} --overwrite chandlery.io/{order}"
        )
        assert command in message


async def _mitigated_instance(platform: Platform) -> None:
    """The broker has accepted to delete what a failed creation may have left."""
    await platform.registers(**SELDOM)
    platform.broker.script(PROVISION, Reply(500))
    platform.broker.script(DEPROVISION, ACCEPTED)
    await platform.creates_instance()
    await platform.until_condition(INSTANCE, "db", "OrphanMitigation")
    await platform.broker.wait_for(DEPROVISION)


async def _mitigated_binding(platform: Platform) -> None:
    """The broker has accepted to unbind what a failed bind may have left."""
    await platform.registers(**SELDOM)
    await platform.provisions()
    platform.broker.script(BIND, Reply(500))
    platform.broker.script(UNBIND, ACCEPTED)
    await platform.creates_binding()
    await platform.until_condition(BINDING, "db-binding", "OrphanMitigation")
    await platform.broker.wait_for(UNBIND)


MITIGATED: list[Any] = [
    pytest.param(_mitigated_instance, INSTANCE, "db", id="instance"),
    pytest.param(_mitigated_binding, BINDING, "db-binding", id="binding"),
]


@pytest.mark.parametrize(("enter", "kind", "name"), MITIGATED)
@pytest.mark.parametrize("way", ["retry", "waive", "force", "abandon"])
async def test_each_way_out_of_a_mitigation_that_does_not_end_works(
    platform: Platform, enter: Enter, kind: Kind, name: str, way: str
) -> None:
    await enter(platform)
    platform.broker.always(_poll_of(kind), Reply(400))
    deletion, creation = _deletion_of(kind), PROVISION if kind is INSTANCE else BIND
    if way == "retry":
        await platform.annotates(kind, name, retry_requested_at="now")
        await platform.until_ready(kind, name)
        assert len(platform.broker.seen_of(deletion)) == 2
        return
    if way == "waive":
        await platform.annotates(kind, name, orphan_mitigation="Waive")
        await platform.until_ready(kind, name)
        assert (len(platform.broker.seen_of(deletion)), len(platform.broker.seen_of(creation))) == (1, 2)
        return
    await platform.annotates(kind, name, **{"force_delete" if way == "force" else "abandon": "true"})
    await platform.deletes(kind, name)
    await platform.until_gone(kind, name)


async def test_revocation_whose_broker_does_not_say_what_came_of_it_is_sent_again(platform: Platform) -> None:
    await platform.provisions()
    await platform.binds()
    platform.broker.script(UNBIND, ACCEPTED)
    platform.broker.always(POLL_BINDING, Reply(400))
    await platform.annotates(BINDING, "db-binding", rotate_requested_at="now")
    await platform.broker.wait_for(UNBIND, 2)
    assert sequence(platform.broker.seen).count("PUT binding") == 2
    await platform.until(BINDING, "db-binding", lambda found: not found["status"].get("retiring"), "have one id")


@pytest.mark.parametrize("order", ["retry_requested_at", "force_delete", "abandon"])
async def test_each_way_out_of_a_rotation_that_does_not_end_works(platform: Platform, order: str) -> None:
    platform.offers(bindings_retrievable=True)
    await platform.provisions()
    await platform.binds()
    platform.broker.script(BIND, ACCEPTED)
    platform.broker.always(POLL_BINDING, Reply(400))
    await platform.annotates(BINDING, "db-binding", rotate_requested_at="now")
    found = await platform.until_condition(BINDING, "db-binding", "Reconciling", says="--overwrite chandlery.io/retry")
    assert condition_of(found, "Ready")["status"] == "True"
    if order == "retry_requested_at":
        await platform.annotates(BINDING, "db-binding", retry_requested_at="now")
        await platform.broker.wait_for(BIND, 3)
        await platform.broker.wait_for(UNBIND)
        return
    await platform.annotates(BINDING, "db-binding", **{order: "true"})
    await platform.unbinds()
