"""What a bind is made of and waits for: parameters and their schema, the plan by now, the thing that is bound."""

import base64
from typing import Any

import pytest

from chandlery.model.objects import kinds
from chandlery.model.objects.bindings import BindResource
from chandlery.model.objects.brokers import LocalObjectReference
from chandlery.model.objects.conditions import Condition, ConditionStatus, ConditionType, find_condition
from chandlery.model.objects.core import Secret
from chandlery.model.objects.instances import ParametersFromSource, SecretKeyReference, ServiceInstanceStatus
from chandlery.model.objects.metadata import ObjectMeta
from chandlery.model.objects.offerings import ClusterServicePlan, ClusterServicePlanSpec
from chandlery.model.objects.reasons import BindingReason
from chandlery.reconcile.parameters.parameters import Parameters
from chandlery.reconcile.reconcile_result import Wait, bindings_key
from chandlery.store.database import UnitOfWork
from chandlery_binder.absorb.binding_outcomes import wait
from chandlery_binder.decide.binding_machine import decide
from chandlery_binder.facts.binding_actions import Bind
from tests.conformance.scripted import scripted_templates as osb
from tests.conformance.scripted.scripted_broker import Reply
from tests.unit.binder.binder_fixture import CREDENTIALS, BinderFixture, ready_of
from tests.unit.binder.binding_builders import NOW, make_binding, make_offering, make_snapshot

DRAFT = {"$schema": "http://json-schema.org/draft-07/schema#"}
SCHEMA = {
    **DRAFT,
    "type": "object",
    "properties": {"colour": {"enum": ["red"]}, "length": {"type": "integer"}},
    "required": ["colour"],
}


def test_parameters_that_fit_the_schema_are_sent() -> None:
    fitting = Parameters({"colour": "red"}, {"colour": "red"}, "c0ffee")
    assert isinstance(decide(make_snapshot(offering=_with_schema(), parameters=fitting), NOW), Bind)


def test_parameters_that_do_not_fit_are_told_all_at_once_without_their_values() -> None:
    secretly = Parameters({"colour": "hunter2", "length": "4711"}, {}, "c0ffee")
    sources = tuple(
        ParametersFromSource(secret_key_ref=SecretKeyReference(name=name, key="k")) for name in ("one", "two")
    )
    snapshot = make_snapshot(
        make_binding(spec={"parameters_from": sources}), offering=_with_schema(), parameters=secretly
    )
    action = decide(snapshot, NOW)
    assert isinstance(action, Wait)
    assert (action.reason, action.waiting_for) == ("ErrorWithParameters", "secret:ns/one")
    assert ("colour" in action.message, "length" in action.message) == (True, True)
    assert ("hunter2" in action.message, "4711" in action.message) == (False, False)
    assert wait(snapshot, action, NOW).next.interests == ("secret:ns/one", "secret:ns/two")


def test_missing_parameters_are_held_against_the_schema() -> None:
    action = decide(make_snapshot(offering=_with_schema()), NOW)
    assert isinstance(action, Wait)
    assert "colour" in action.message


async def test_secret_behind_the_parameters_brings_the_bind_back(binder: BinderFixture) -> None:
    schema = {**DRAFT, "properties": {"size": {"type": "integer"}}}
    await binder.change(
        kinds.CLUSTER_SERVICE_PLAN, "plan-1", namespace="", service_binding_create_parameter_schema=schema
    )
    source = ParametersFromSource(secret_key_ref=SecretKeyReference(name="settings", key="json"))
    await binder.change(kinds.SERVICE_BINDING, "knot", parameters_from=(source,))
    await binder.add(_settings('{"size": "large"}'))
    assert ready_of(await binder.work()) == ("False", "ErrorWithParameters")
    assert binder.requests() == []
    await binder.remove(kinds.SECRET, "settings")
    assert ready_of(await binder.work()) == ("False", "ErrorWithParameters")
    await binder.add(_settings('{"size": 3}'))
    assert ready_of(await binder.work()) == ("True", "InjectedBindResult")
    assert binder.broker.seen_of(osb.BIND)[0].body["parameters"] == {"size": 3}


@pytest.mark.parametrize(
    ("resource", "sent", "app_guid"),
    [
        pytest.param(None, {"app_guid": "n-uid"}, "n-uid", id="nothing"),
        pytest.param(BindResource(app_guid="app-1"), {"app_guid": "app-1"}, "app-1", id="application"),
        pytest.param(
            BindResource(route="rope.example"), {"app_guid": "n-uid", "route": "rope.example"}, "n-uid", id="route"
        ),
    ],
)
async def test_bind_tells_what_is_bound(
    binder: BinderFixture, resource: BindResource | None, sent: dict[str, str], app_guid: str
) -> None:
    await binder.change(kinds.SERVICE_BINDING, "knot", bind_resource=resource)
    await binder.work()
    body = binder.broker.seen_of(osb.BIND)[0].body
    assert (body["bind_resource"], body["app_guid"]) == (sent, app_guid)


async def test_bind_goes_on_with_the_old_plan_after_an_update_that_failed(binder: BinderFixture) -> None:
    await binder.add(
        ClusterServicePlan(
            metadata=ObjectMeta(name="plan-2", uid="p2-uid"),
            spec=ClusterServicePlanSpec(
                external_name="large",
                external_id="plan-2",
                bindable=False,
                cluster_service_broker_name="harbour",
                cluster_service_class_ref=LocalObjectReference(name="class-1"),
            ),
        )
    )
    await binder.change(
        kinds.SERVICE_INSTANCE,
        "rope",
        cluster_service_plan_external_name="large",
        cluster_service_plan_ref=LocalObjectReference(name="plan-2"),
    )
    await _set_instance_conditions(
        binder,
        Condition(type=ConditionType.READY, status=ConditionStatus.TRUE, reason="UpdateInstanceCallFailed"),
        Condition(type=ConditionType.FAILED, status=ConditionStatus.TRUE, reason="UpdateInstanceCallFailed"),
    )
    assert ready_of(await binder.work()) == ("True", "InjectedBindResult")
    assert binder.broker.seen_of(osb.BIND)[0].body["plan_id"] == "plan-1"


async def test_bind_waits_while_the_instance_is_updated(binder: BinderFixture) -> None:
    await _set_instance_conditions(
        binder, Condition(type=ConditionType.READY, status=ConditionStatus.FALSE, reason="UpdatingInstance")
    )
    assert ready_of(await binder.work()) == ("False", "ErrorInstanceNotReady")
    assert binder.requests() == []


async def test_bind_waits_while_the_broker_works_on_an_update_of_a_ready_instance(binder: BinderFixture) -> None:
    await _set_instance_status(binder, async_op_in_progress=True)
    assert ready_of(await binder.work()) == ("False", "ErrorAsyncOperationInProgress")
    assert binder.requests() == []
    # The instance's own change wakes the binding.
    await _set_instance_status(binder, async_op_in_progress=False)
    assert ready_of(await binder.work()) == ("True", "InjectedBindResult")


async def test_concurrency_error_is_waited_out_with_the_same_request(binder: BinderFixture) -> None:
    binder.broker.script(osb.BIND, *[Reply(422, {"error": "ConcurrencyError"})] * 2)
    binding = await binder.work()
    assert binding is not None
    assert (ready_of(binding), binding.status.attempts) == (("False", "BindCallFailed"), 1)
    assert binder.requests() == ["PUT"]
    await binder.work(after_seconds=2)
    binding = await binder.work(after_seconds=5)
    assert ready_of(binding) == ("True", "InjectedBindResult")
    bodies = {seen.raw_body for seen in binder.broker.seen_of(osb.BIND)}
    assert (binder.requests(), len(bodies)) == (["PUT", "PUT", "PUT"], 1)


async def test_next_operation_is_not_sent_before_the_last_has_ended(binder: BinderFixture) -> None:
    await binder.change(kinds.CLUSTER_SERVICE_CLASS, "class-1", namespace="", binding_retrievable=True)
    binder.broker.script(osb.BIND, Reply(202, {}))
    binder.broker.script(osb.POLL_BINDING, Reply(200, {"state": "failed"}))
    await binder.work()
    await binder.work(after_seconds=2)
    (poll,) = binder.broker.seen_of(osb.POLL_BINDING)
    assert "operation" not in poll.query
    assert binder.requests() == ["PUT", "GET", "DELETE"]


async def test_every_kind_of_credentials_is_delivered(binder: BinderFixture) -> None:
    await binder.change(kinds.CLUSTER_SERVICE_CLASS, "class-1", namespace="", requires=("syslog_drain", "volume_mount"))
    mount = {
        "driver": "nfs",
        "container_dir": "/d",
        "mode": "r",
        "device_type": "shared",
        "device": {"volume_id": "v"},
    }
    body = {
        "credentials": CREDENTIALS,
        "syslog_drain_url": "syslog://x",
        "route_service_url": "https://no",
        "volume_mounts": [mount],
        "endpoints": [{"host": "h", "ports": [5432]}],
    }
    binder.broker.script(osb.BIND, Reply(201, body))
    binding = await binder.work()
    secret = await binder.secret()
    assert binding is not None
    assert secret is not None
    assert secret["syslog_drain_url"] == "syslog://x"
    assert '"volume_id":"v"' in secret["volume_mounts"]
    assert secret["endpoints"] == '[{"host":"h","ports":[5432]}]'
    assert "route_service_url" not in secret
    assert [each.ports for each in binding.status.endpoints or ()] == [("5432",)]
    assert "IgnoredBindResult" in [reason for reason, _ in await binder.events()]


async def test_failed_binding_is_bound_again_when_it_is_ordered(binder: BinderFixture) -> None:
    binder.broker.script(osb.BIND, Reply(200, b"<html>"))
    binding = await binder.work()
    assert binding is not None
    assert find_condition(binding.status.conditions, ConditionType.FAILED) is not None
    await binder.work(after_seconds=3600)
    assert binder.requests() == ["PUT"]
    await binder.annotate(retry_requested_at="now")
    await binder.work()
    binding = await binder.work(after_seconds=5)
    assert binder.requests() == ["PUT", "DELETE", "PUT"]
    assert ready_of(binding) == ("True", "InjectedBindResult")


@pytest.mark.parametrize(
    ("order", "requests", "reason"),
    [("abandon", ["PUT"], "Abandoned"), ("force_delete", ["PUT", "DELETE"], "ForceDeleted")],
)
async def test_binding_can_go_against_its_broker(
    binder: BinderFixture, order: str, requests: list[str], reason: str
) -> None:
    await binder.work()
    binder.broker.always(osb.UNBIND, Reply(500))
    await binder.annotate(**{order: "true"})
    await binder.delete_binding()
    assert await binder.work() is None
    assert (binder.requests(), await binder.secret()) == (requests, None)
    assert reason in [told for told, _ in await binder.events()]


def _with_schema() -> Any:
    return make_offering(service_binding_create_parameter_schema=SCHEMA)


def _settings(text: str) -> Secret:
    data = {"json": base64.b64encode(text.encode()).decode()}
    return Secret(metadata=ObjectMeta(name="settings", namespace="ns", uid=text), data=data)


async def _set_instance_conditions(binder: BinderFixture, *conditions: Condition) -> None:
    async def change(unit: UnitOfWork) -> None:
        found: Any = await unit.objects.get(kinds.SERVICE_INSTANCE, "ns", "rope")
        status = ServiceInstanceStatus(conditions=conditions)
        await unit.objects.update(found, found.model_copy(update={"status": status}))

    await binder.database.run(change)


async def _set_instance_status(binder: BinderFixture, **fields: Any) -> None:
    async def change(unit: UnitOfWork) -> None:
        found: Any = await unit.objects.get(kinds.SERVICE_INSTANCE, "ns", "rope")
        await unit.objects.update(found, found.model_copy(update={"status": found.status.model_copy(update=fields)}))

    await binder.database.run(change)


def test_a_bind_waits_for_the_one_that_the_broker_is_at_work_on_without_a_key() -> None:
    action = decide(make_snapshot(busy_sibling="other"), NOW)

    assert isinstance(action, Wait)
    assert action.reason == "ErrorAsyncOperationInProgress"
    assert '"other"' in action.message
    assert action.waiting_for == bindings_key(make_binding().metadata.namespace, make_binding().spec.instance_ref.name)


@pytest.mark.parametrize(
    "reason",
    [
        BindingReason.NO_SUCH_INSTANCE,
        BindingReason.INSTANCE_UNRESOLVED,
        BindingReason.INSTANCE_NOT_READY,
        BindingReason.ASYNC_OPERATION_IN_PROGRESS,
        BindingReason.NO_SUCH_CLASS,
        BindingReason.NO_SUCH_PLAN,
        BindingReason.NO_SUCH_BROKER,
        BindingReason.ERROR_WITH_PARAMETERS,
        BindingReason.ERROR_WITH_CREDENTIALS,
        BindingReason.ERROR_EJECTING,
    ],
)
def test_what_a_binding_waits_for_comes_with_a_command(reason: str) -> None:
    change = wait(make_snapshot(), Wait(reason, "Something is missing", None), NOW)

    message = change.document.status.conditions[0].message
    assert message.startswith("Something is missing. ")
    assert "kubectl " in message
    assert "kubectl" not in change.facts[0].message
