"""Whoever writes a Secret (a user, a binding, the end of a namespace), whoever waits is woken. No sweep runs here."""

import base64
import json

import pytest

from chandlery.engine import deletions
from chandlery.model.objects.conditions import ConditionType, find_condition
from chandlery.model.objects.core import Secret
from chandlery.model.objects.instances import ParametersFromSource, SecretKeyReference
from chandlery.model.objects.kinds import AnyObject
from chandlery.store.database import UnitOfWork
from tests.conformance.scripted import scripted_templates as osb
from tests.conformance.scripted.scripted_broker import Reply, ScriptedBroker
from tests.integration.workers.fleet import BINDING, INSTANCE, NS, SECRET, Fleet, binding, instance
from tests.integration.workers.test_no_secret_anywhere import secret
from tests.support.waiting import eventually

SOURCE = ParametersFromSource(secret_key_ref=SecretKeyReference(name="source", key="settings"))
WAITS = ("False", "ErrorWithParameters")


def _given(size: int) -> Reply:
    return Reply(201, {"credentials": {"settings": {"size": size}}})


async def _begin(fleet: Fleet, broker: ScriptedBroker) -> None:
    await fleet.offer("harbour", broker.url)
    await fleet.worker("ServiceInstance", "ServiceBinding")


async def _watcher(fleet: Fleet) -> None:
    await fleet.create(instance("watcher", "harbour", parameters_from=(SOURCE,), watch_parameters_from=True))


async def test_an_instance_that_waits_for_the_secret_of_a_binding_is_made_as_soon_as_that_is_written(
    fleet: Fleet,
) -> None:
    async with ScriptedBroker() as broker:
        await _begin(fleet, broker)
        await _watcher(fleet)
        await fleet.until_condition(INSTANCE, "watcher", WAITS)
        broker.script(osb.BIND, _given(1))
        await fleet.create(instance("source", "harbour"), binding("source"))
        await fleet.until_ready(INSTANCE, "watcher")
        assert broker.seen_of(osb.PROVISION)[-1].body["parameters"] == {"size": 1}


async def test_an_instance_is_updated_as_soon_as_a_binding_rotates_the_secret_that_it_watches(fleet: Fleet) -> None:
    async with ScriptedBroker() as broker:
        await _begin(fleet, broker)
        broker.script(osb.BIND, _given(1), _given(2))
        await fleet.create(instance("source", "harbour"), binding("source"))
        await fleet.until_ready(BINDING, "source")
        await _watcher(fleet)
        await fleet.until_ready(INSTANCE, "watcher")
        await fleet.change(binding("source"), _ordering_a_rotation)
        await broker.wait_for(osb.UPDATE)
        assert broker.seen_of(osb.UPDATE)[0].body["parameters"] == {"size": 2}
        assert len(broker.seen_of(osb.UPDATE)) == 1


async def test_a_binding_is_not_looked_at_again_for_what_it_has_written_itself(fleet: Fleet) -> None:
    async with ScriptedBroker() as broker:
        await _begin(fleet, broker)
        await fleet.create(instance("source", "harbour"))
        await fleet.until_ready(INSTANCE, "source")
        await fleet.create(binding("source"))
        await fleet.until_ready(BINDING, "source")
        row = await fleet.work_row(BINDING, "source")
        assert (row["due_at"], row["revision"]) == (None, 0)


async def test_a_secret_that_goes_with_its_namespace_wakes_who_watches_it(fleet: Fleet) -> None:
    async with ScriptedBroker() as broker:
        await _begin(fleet, broker)
        await fleet.create(secret("source", settings=json.dumps({"size": 1})))
        await _watcher(fleet)
        await fleet.until_ready(INSTANCE, "watcher")
        before = (await fleet.work_row(INSTANCE, "watcher"))["revision"]
        found = await fleet.find(SECRET, "source")

        async def delete(unit: UnitOfWork) -> None:
            await deletions.delete(unit, found)

        await fleet.front.database.run(delete)
        assert (await fleet.work_row(INSTANCE, "watcher"))["revision"] > before
        assert isinstance(found, Secret)
        assert found.metadata.namespace == NS


def _ordering_a_rotation(old: AnyObject) -> tuple[AnyObject, tuple[str, ...]]:
    annotations = {**(old.metadata.annotations or {}), "chandlery.io/rotate-requested-at": "now"}
    return old.model_copy(update={"metadata": old.metadata.model_copy(update={"annotations": annotations})}), ()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        pytest.param({"settings": "no JSON"}, "does not hold a JSON object", id="no JSON any more"),
        pytest.param({"other": "{}"}, 'has no key "settings"', id="without its key"),
        pytest.param(None, "does not exist", id="deleted"),
    ],
)
async def test_an_instance_tells_that_the_secret_which_it_watches_cannot_be_used_and_serves_on(
    fleet: Fleet, data: dict[str, str] | None, why: str
) -> None:
    async with ScriptedBroker() as broker:
        await _begin(fleet, broker)
        await fleet.create(secret("source", settings=json.dumps({"size": 1})))
        await _watcher(fleet)
        await fleet.until_ready(INSTANCE, "watcher")
        usable = await fleet.find(SECRET, "source")
        if data is None:
            await fleet.delete(usable)
        else:
            await fleet.change(usable, lambda old: (_with_data(old, secret("source", **data)), ()))

        await eventually(lambda: _tells(fleet, why), what="the instance to tell")
        assert (await fleet.ready(INSTANCE, "watcher") or ("", ""))[0] == "True"
        told = [row["spec"] for row in await fleet.rows("events") if row["spec"]["reason"] == "ErrorWithParameters"]
        assert told
        assert all(why in each["message"] and each["type"] == "Warning" for each in told)

        if data is None:
            await fleet.create(secret("source", settings=json.dumps({"size": 1})))
        else:
            await fleet.change(await fleet.find(SECRET, "source"), lambda old: (_with_data(old, usable), ()))
        await eventually(lambda: _tells_nothing(fleet), what="the instance to take it back")
        assert broker.seen_of(osb.UPDATE) == []


async def _pending(fleet: Fleet) -> str:
    found = await fleet.find(INSTANCE, "watcher")
    condition = find_condition(found.status.conditions, ConditionType.RECONCILING)
    return condition.message if condition else ""


async def _tells(fleet: Fleet, why: str) -> bool:
    return why in await _pending(fleet)


async def _tells_nothing(fleet: Fleet) -> bool:
    return await _pending(fleet) == ""


def _with_data(old: AnyObject, like: AnyObject) -> AnyObject:
    assert isinstance(like, Secret)
    data = {key: base64.b64encode(text.encode()).decode() for key, text in (like.string_data or {}).items()}
    return old.model_copy(update={"data": like.data or data})
