"""Whole rounds of the binder: real requests to a scripted broker, real transactions in SQLite, a clock to move."""

import asyncio
import base64
import json
import threading
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from chandlery.model.objects import kinds
from chandlery.model.objects.bindings import SecretTransform
from chandlery.model.objects.conditions import ConditionType, find_condition
from chandlery.model.objects.core import Secret
from chandlery.model.objects.metadata import ObjectMeta
from chandlery.reconcile.parameters import bounded_validators, parameter_schemas
from chandlery.store.database import UnitOfWork
from tests.conformance.scripted import scripted_templates as osb
from tests.conformance.scripted.scripted_broker import Reply
from tests.unit.binder.binder_fixture import (
    CREDENTIALS,
    BinderFixture,
    message_of,
    ready_instance,
    ready_of,
    registration,
)

IDENTITY = "X-Broker-API-Originating-Identity"


async def test_bind_delivers_a_secret(binder: BinderFixture) -> None:
    binding = await binder.work()
    assert ready_of(binding) == ("True", "InjectedBindResult")
    assert await binder.secret() == {"uri": "tcp://rope", "port": "4711"}
    (seen,) = binder.broker.seen_of(osb.BIND)
    assert seen.ids == {"instance_id": "instance-1", "binding_id": "binding-1"}
    assert seen.query == {}
    assert seen.body == {
        "service_id": "service-1",
        "plan_id": "plan-1",
        "app_guid": "n-uid",
        "bind_resource": {"app_guid": "n-uid"},
        "context": {
            "platform": "kubernetes",
            "namespace": "ns",
            "clusterid": "cluster-1",
            "instance_name": "rope",
        },
    }
    platform, _, identity = seen.headers[IDENTITY].partition(" ")
    assert (platform, json.loads(base64.b64decode(identity))["username"]) == ("kubernetes", "ann")


async def test_bind_is_tried_again_after_the_broker_has_confirmed_the_mitigation(binder: BinderFixture) -> None:
    binder.broker.script(osb.BIND, Reply(500))
    binder.broker.script(osb.UNBIND, Reply(503))
    await binder.work()
    assert binder.requests() == ["PUT", "DELETE"]
    waiting = await binder.work(after_seconds=5)
    assert ready_of(waiting) == ("False", "BindCallFailed")
    assert binder.requests() == ["PUT", "DELETE", "DELETE"]
    assert IDENTITY not in binder.broker.seen_of(osb.UNBIND)[0].headers
    binding = await binder.work(after_seconds=10)
    assert ready_of(binding) == ("True", "InjectedBindResult")
    assert [seen.ids["binding_id"] for seen in binder.broker.seen_of(osb.BIND)] == ["binding-1", "binding-1"]


async def test_credentials_outlive_a_secret_that_is_in_the_way(binder: BinderFixture, tmp_path: Path) -> None:
    await binder.add(Secret(metadata=ObjectMeta(name="knot", namespace="ns", uid="s-uid"), data={"mine": "eA=="}))
    binding = await binder.work()
    assert ready_of(binding) == ("False", "ErrorInjectingBindResult")
    assert await binder.secret() == {"mine": "x"}
    assert b"tcp://rope" not in _all_bytes(tmp_path)
    await binder.remove(kinds.SECRET, "knot")
    binding = await binder.work(after_seconds=60)
    assert ready_of(binding) == ("True", "InjectedBindResult")
    assert await binder.secret() == {"uri": "tcp://rope", "port": "4711"}
    assert binder.requests() == ["PUT"]


async def test_credentials_that_never_fit_into_a_secret_are_refused_once(binder: BinderFixture) -> None:
    names = ["uri", *(f"k{number}" for number in range(21))]
    steps = [{"addKey": {"key": new, "jsonPathExpression": f"{{.{old}}}{{.{old}}}"}} for old, new in pairwise(names)]
    transforms = tuple(SecretTransform.model_validate(step) for step in steps)
    await binder.change(kinds.SERVICE_BINDING, "knot", secret_transforms=transforms)
    binding = await binder.work()
    assert binder.requests() == ["PUT", "DELETE"]
    failed = find_condition(binding.status.conditions, ConditionType.FAILED) if binding else None
    assert failed is not None
    assert (failed.status, failed.reason) == ("True", "ErrorInjectingBindResult")
    for told in (failed.message, message_of(binding)):
        # Each way out, once.
        assert told.count("kubectl delete servicebinding knot -n ns") == 1
        assert told.count("kubectl annotate servicebinding knot -n ns --overwrite chandlery.io/retry-requested-at") == 1
    await binder.work(after_seconds=100_000)
    assert binder.requests() == ["PUT", "DELETE"]
    assert await binder.secret() is None


async def test_credentials_wait_for_another_secret_that_makes_them_too_large(binder: BinderFixture) -> None:
    big = base64.b64encode(b"x" * (1 << 20)).decode()
    await binder.add(Secret(metadata=ObjectMeta(name="other", namespace="ns", uid="o-uid"), data={"big": big}))
    step = SecretTransform.model_validate({"addKeysFrom": {"secretRef": {"name": "other"}}})
    await binder.change(kinds.SERVICE_BINDING, "knot", secret_transforms=(step,))
    assert ready_of(await binder.work()) == ("False", "ErrorInjectingBindResult")
    await binder.remove(kinds.SECRET, "other")
    await binder.add(Secret(metadata=ObjectMeta(name="other", namespace="ns", uid="p-uid"), data={"ca": "eA=="}))
    assert await binder.wake("secret:ns/other") == ["b-uid"]
    assert ready_of(await binder.work()) == ("True", "InjectedBindResult")
    assert await binder.secret() == {"uri": "tcp://rope", "port": "4711", "ca": "x"}
    assert binder.requests() == ["PUT"]


async def test_transforms_that_wait_for_another_secret_tell_how_to_make_or_mend_it(
    binder: BinderFixture,
) -> None:
    taken = SecretTransform.model_validate({"addKeysFrom": {"secretRef": {"name": "other"}}})
    read = SecretTransform.model_validate({"addKey": {"key": "x", "jsonPathExpression": "{.ca}"}})
    await binder.change(kinds.SERVICE_BINDING, "knot", secret_transforms=(taken, read))
    assert message_of(await binder.work()).endswith(": kubectl create secret generic other -n ns --from-file=KEY=FILE")
    await binder.add(Secret(metadata=ObjectMeta(name="other", namespace="ns", uid="o-uid"), data={"cb": "eA=="}))
    assert await binder.wake("secret:ns/other") == ["b-uid"]
    told = message_of(await binder.work())
    assert 'the key "ca" does not exist. Correct the Secrets of addKeysFrom' in told
    assert "kubectl describe secret" not in told


async def test_secret_is_gone_before_the_broker_is_asked_to_unbind(binder: BinderFixture) -> None:
    await binder.work()
    await binder.delete_binding()
    gate = asyncio.Event()
    binder.broker.script(osb.UNBIND, Reply(200, gate=gate))
    working = asyncio.create_task(binder.work())
    (seen,) = await binder.broker.wait_for(osb.UNBIND)
    assert await binder.secret() is None
    assert seen.query == {"service_id": "service-1", "plan_id": "plan-1", "accepts_incomplete": "true"}
    assert IDENTITY in seen.headers
    gate.set()
    assert await working is None


async def test_unbind_leaves_the_secrets_of_others_alone(binder: BinderFixture) -> None:
    await binder.add(Secret(metadata=ObjectMeta(name="knot", namespace="ns", uid="s-uid"), data={"mine": "eA=="}))
    await binder.work()
    await binder.delete_binding()
    assert await binder.work() is None
    assert await binder.secret() == {"mine": "x"}
    assert binder.requests() == ["PUT", "DELETE"]


async def test_unbind_needs_neither_instance_nor_class(binder: BinderFixture) -> None:
    await binder.work()
    await binder.remove(kinds.SERVICE_INSTANCE, "rope")
    await binder.delete_binding()
    assert await binder.work() is None
    (seen,) = binder.broker.seen_of(osb.UNBIND)
    assert seen.ids == {"instance_id": "instance-1", "binding_id": "binding-1"}
    assert (seen.query["service_id"], seen.query["plan_id"]) == ("service-1", "plan-1")


async def test_refused_bind_is_deleted_without_a_call(binder: BinderFixture) -> None:
    binder.broker.script(osb.BIND, Reply(400, {"description": "no such knot"}))
    assert ready_of(await binder.work()) == ("False", "BindCallFailed")
    await binder.delete_binding()
    assert await binder.work() is None
    assert binder.requests() == ["PUT"]


async def test_worker_that_stops_leaves_the_same_bind_to_the_next(binder: BinderFixture) -> None:
    binder.broker.script(osb.BIND, Reply(201, {"credentials": {"lost": "x"}}, gate=asyncio.Event()))
    stopped = asyncio.create_task(binder.work())
    await binder.broker.wait_for(osb.BIND)
    stopped.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopped
    await binder.remove(kinds.SERVICE_INSTANCE, "rope")
    binding = await binder.work(after_seconds=1)
    assert ready_of(binding) == ("True", "InjectedBindResult")
    first, second = binder.broker.seen_of(osb.BIND)
    assert first.raw_body == second.raw_body


async def test_worker_that_stopped_makes_the_next_wait_while_the_broker_is_not_registered(
    binder: BinderFixture,
) -> None:
    binder.broker.script(osb.BIND, Reply(201, gate=asyncio.Event()))
    stopped = asyncio.create_task(binder.work())
    await binder.broker.wait_for(osb.BIND)
    stopped.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopped
    await _remove_broker(binder)
    assert ready_of(await binder.work(after_seconds=1)) == ("False", "ReferencesNonexistentBroker")
    await binder.add(registration(binder.broker.url))
    assert ready_of(await binder.work(after_seconds=600)) == ("True", "InjectedBindResult")
    assert binder.requests() == ["PUT", "PUT"]


async def test_asynchronous_bind_is_polled_and_fetched(binder: BinderFixture) -> None:
    await binder.change(kinds.CLUSTER_SERVICE_CLASS, "class-1", namespace="", binding_retrievable=True)
    binder.broker.script(osb.BIND, Reply(202, {"operation": "key-1", "credentials": {"not": "for use"}}))
    binder.broker.script(osb.POLL_BINDING, Reply(200, {"state": "in progress"}), Reply(200, {"state": "succeeded"}))
    binder.broker.script(osb.FETCH_BINDING, Reply(404), Reply(200, {"credentials": CREDENTIALS}))
    assert ready_of(await binder.work()) == ("False", "Binding")
    await binder.work(after_seconds=5)
    assert ready_of(await binder.work(after_seconds=5)) == ("False", "FetchingBindingFailed")
    assert ready_of(await binder.work(after_seconds=60)) == ("True", "InjectedBindResult")
    assert await binder.secret() == {"uri": "tcp://rope", "port": "4711"}
    assert binder.broker.seen_of(osb.POLL_BINDING)[0].query["operation"] == "key-1"
    assert binder.requests() == ["PUT", "GET", "GET", "GET", "GET"]


async def test_bind_waits_for_its_instance(binder: BinderFixture) -> None:
    await binder.remove(kinds.SERVICE_INSTANCE, "rope")
    assert ready_of(await binder.work()) == ("False", "ReferencesNonexistentInstance")
    await binder.add(ready_instance())

    async def wake(unit: UnitOfWork) -> list[str]:
        return [command.uid for command in await unit.wakes.enqueue_waiting("instance:ns/rope")]

    assert await binder.database.run(wake) == ["b-uid"]
    assert ready_of(await binder.work()) == ("True", "InjectedBindResult")


def _all_bytes(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.iterdir())


async def _remove_broker(binder: BinderFixture) -> None:
    async def remove(unit: UnitOfWork) -> None:
        found = await unit.objects.get(kinds.CLUSTER_SERVICE_BROKER, "", "harbour")
        assert found is not None
        await unit.objects.remove(found)

    await binder.database.run(remove)


async def test_schema_of_the_broker_is_evaluated_off_the_loop(
    binder: BinderFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema = {"$schema": "http://json-schema.org/draft-07/schema#", "title": "off the loop", "required": ["role"]}
    await binder.change(
        kinds.CLUSTER_SERVICE_PLAN, "plan-1", namespace="", service_binding_create_parameter_schema=schema
    )
    threads = []
    first_errors = bounded_validators.first_errors

    def noted(*arguments: Any) -> Any:
        threads.append(threading.get_ident())
        return first_errors(*arguments)

    monkeypatch.setattr(parameter_schemas, "first_errors", noted)
    assert ready_of(await binder.work()) == ("False", "ErrorWithParameters")
    assert threads
    assert threading.get_ident() not in threads


async def test_instance_whose_wish_is_in_vain_is_bound_on_the_plan_that_it_has(binder: BinderFixture) -> None:
    vain: dict[str, Any] = {"cluster_service_plan_external_name": "smal", "cluster_service_plan_ref": None}
    await binder.change(kinds.SERVICE_INSTANCE, "rope", **vain)
    assert ready_of(await binder.work()) == ("True", "InjectedBindResult")
    (seen,) = binder.broker.seen_of(osb.BIND)
    assert (seen.body["service_id"], seen.body["plan_id"]) == ("service-1", "plan-1")
