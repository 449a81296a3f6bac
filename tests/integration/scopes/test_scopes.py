"""What works for a broker of all namespaces works for one of a single namespace, and in the same words."""

import pytest

from tests.conformance.platform import BINDING, INSTANCE, SECRET, condition_of, is_ready
from tests.conformance.scripted.scripted_broker import Reply
from tests.conformance.scripted.scripted_catalog import parameter_schemas, simple_catalog, simple_plan, simple_service
from tests.conformance.scripted.scripted_templates import (
    BIND,
    DEPROVISION,
    GET_CATALOG,
    POLL_INSTANCE,
    PROVISION,
    UNBIND,
    UPDATE,
)
from tests.integration.scopes.scoped_platform import ScopedPlatform

pytestmark = pytest.mark.asyncio(loop_scope="session")

SIZES = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "properties": {"size": {"type": "integer", "maximum": 5}},
}


def plan_id(platform: ScopedPlatform, plan: str) -> str:
    return f"{platform.offering_name}-{plan}-id"


async def test_another_plan_and_other_parameters_are_told_with_what_was_before(platform: ScopedPlatform) -> None:
    await platform.has()
    made = await platform.gets(plan="small", parameters={"size": 1})
    assert platform.plan_state(made, "externalProperties") == ("small", plan_id(platform, "small"))
    found = await platform.changed(PlanExternalName="large", parameters={"size": 2})
    [patch] = platform.broker.seen_of(UPDATE)
    assert patch.body["service_id"] == f"{platform.offering_name}-id"
    assert (patch.body["plan_id"], patch.body["parameters"]) == (plan_id(platform, "large"), {"size": 2})
    assert patch.body["previous_values"]["plan_id"] == plan_id(platform, "small")
    assert platform.plan_state(found, "externalProperties") == ("large", plan_id(platform, "large"))
    plans = {each["metadata"]["name"] for each in await platform.lists(platform.plan_kind)}
    assert found["spec"][f"{platform.scope}PlanRef"]["name"] in plans
    assert found["status"]["userSpecifiedPlanName"] == "large"
    assert found["status"]["userSpecifiedClassName"] == f"{platform.class_kind.kind}/{platform.offering_name}"

    found = await platform.changed(parameters={"size": 3})
    patch = platform.broker.seen_of(UPDATE)[-1]
    assert "plan_id" not in patch.body or patch.body["plan_id"] == plan_id(platform, "large")
    assert patch.body["previous_values"]["plan_id"] == plan_id(platform, "large")
    assert found["status"]["externalProperties"]["parameters"] == {"size": 3}
    await platform.deprovisions()
    [delete] = platform.broker.seen_of(DEPROVISION)
    assert delete.query["plan_id"] == plan_id(platform, "large")


async def test_a_plan_that_may_not_be_left_is_kept(platform: ScopedPlatform) -> None:
    platform.offers("small", simple_plan("large", plan_updateable=False), plan_updateable=True)
    await platform.has()
    await platform.gets(plan="large")
    answer = await platform.asks(PlanExternalName="small")
    assert answer.status == 422
    assert "does not allow plan changes" in answer.causes[f"spec.{platform.scope}PlanExternalName"]
    assert platform.broker.seen_of(UPDATE) == []


async def test_an_update_that_failed_is_taken_back(platform: ScopedPlatform) -> None:
    platform.broker.script(UPDATE, Reply(400, {"description": "not today"}))
    await platform.has()
    await platform.gets(plan="small")
    assert (await platform.asks(PlanExternalName="large")).status == 200
    failed = await platform.until_failed(INSTANCE, "db", says="not today")
    assert is_ready(failed), "the old plan still works"
    assert platform.plan_state(failed, "externalProperties")[0] == "small"
    back = await platform.asks(PlanExternalName="small")
    assert back.status == 200
    generation = back.document["metadata"]["generation"]
    await platform.until(
        INSTANCE, "db", lambda found: found["status"]["reconciledGeneration"] == generation, "have its old plan"
    )
    assert len(platform.broker.seen_of(UPDATE)) == 1


async def test_the_only_plan_need_not_be_named(platform: ScopedPlatform) -> None:
    platform.offers("only", plan_updateable=True)
    await platform.has()
    made = await platform.gets(plan=None)
    assert made["spec"][f"{platform.scope}PlanExternalName"] == "only"
    platform.offers("only", "other")
    await platform.relists_after()
    answer = await platform.wants("second", plan=None)
    assert answer.status == 422
    assert '2 plans ("only", "other")' in answer.causes[f"spec.{platform.scope}PlanExternalName"]


async def test_restrictions_hide_what_they_exclude_and_bring_it_back(platform: ScopedPlatform) -> None:
    name = platform.offering_name
    other = simple_service(f"other-{platform.number}", plans=["foreign"])
    platform.broker.catalog = simple_catalog(platform.offers("small", simple_plan("large", free=False)), other)
    wanted = {"serviceClass": [f"spec.externalName in ({name})"], "servicePlan": ["spec.free=true"]}
    await platform.has(catalogRestrictions=wanted)
    assert set(await platform.offered()) == {name, "small"}
    class_path = f"spec.{platform.scope}Class.name"
    await platform.relists_after(catalogRestrictions={"servicePlan": [f"{class_path}={name}-id"], "serviceClass": None})
    assert set(await platform.offered()) == {name, "small", "large"}
    await platform.relists_after(catalogRestrictions=None)
    assert set(await platform.offered()) == {name, "small", "large", other["name"], "foreign"}


async def test_a_relist_renames_and_withdraws(platform: ScopedPlatform) -> None:
    await platform.has()
    await platform.gets(plan="small")
    small = simple_plan("tiny", plan_id=plan_id(platform, "small"))
    platform.offers(small, "new", plan_updateable=True)
    await platform.relists_after()
    assert set(await platform.offered()) == {platform.offering_name, "tiny", "new"}
    platform.offers("new", plan_updateable=True)
    await platform.relists_after()
    offered = await platform.offered()
    assert offered["tiny"]["status"]["removedFromBrokerCatalog"] is True, "it is in use"
    await platform.deprovisions()
    await platform.relists_after()
    assert set(await platform.offered()) == {platform.offering_name, "new"}
    assert len(platform.broker.seen_of(GET_CATALOG)) == 4


async def test_parameters_are_held_against_the_schemas_of_the_plan(platform: ScopedPlatform) -> None:
    platform.offers(simple_plan("small", schemas=parameter_schemas(create=SIZES, update=SIZES, bind=SIZES)))
    await platform.has()
    answer = await platform.wants(parameters={"size": 6})
    assert (answer.status, list(answer.causes)) == (422, ["spec.parameters.size"])
    await platform.gets(parameters={"size": 1})
    answer = await platform.asks(parameters={"size": 7})
    assert (answer.status, list(answer.causes)) == (422, ["spec.parameters.size"])
    bound = {"metadata": {"name": "b"}, "spec": {"instanceRef": {"name": "db"}, "parameters": {"size": 8}}}
    answer = await platform.api.post(platform.path(BINDING), bound)
    assert (answer.status, list(answer.causes)) == (422, ["spec.parameters.size"])
    assert platform.broker.seen_of(UPDATE) == platform.broker.seen_of(BIND) == []


async def test_parameters_and_logins_come_from_secrets(platform: ScopedPlatform) -> None:
    await platform.creates(SECRET, "login", {"token": "t"})
    await platform.creates(SECRET, "more", {"k": '{"password": "hunter2"}'})
    reference = {"name": "login", **({} if platform.is_namespaced else {"namespace": platform.namespace})}
    await platform.has(authInfo={"bearer": {"secretRef": reference}})
    [catalog] = platform.broker.seen_of(GET_CATALOG)
    assert catalog.headers["Authorization"] == "Bearer t"
    source = {"secretKeyRef": {"name": "more", "key": "k"}}
    made = await platform.gets(parametersFrom=[source], watchParametersFrom=True)
    assert made["status"]["externalProperties"]["parameters"] == {"password": "<redacted>"}
    await platform.changes(SECRET, "more", {"stringData": {"k": '{"password": "correct horse"}'}})
    [patch] = await platform.broker.wait_for(UPDATE, timeout_seconds=10)
    assert patch.body["parameters"] == {"password": "correct horse"}


async def test_bindings_come_and_go(platform: ScopedPlatform) -> None:
    await platform.has()
    await platform.gets()
    await platform.binds(parameters={"role": "reader"})
    [bind] = platform.broker.seen_of(BIND)
    assert (bind.body["service_id"], bind.body["plan_id"]) == (
        f"{platform.offering_name}-id",
        plan_id(platform, "small"),
    )
    assert bind.body["context"]["namespace"] == platform.namespace
    assert (await platform.credentials())["password"] == b"secret"
    await platform.deletes(INSTANCE, "db")
    await platform.until_condition(INSTANCE, "db", "Ready", "False", reason="DeprovisionBlockedByExistingCredentials")
    await platform.unbinds()
    await platform.until_gone(INSTANCE, "db")
    assert len(platform.broker.seen_of(UNBIND)) == len(platform.broker.seen_of(DEPROVISION)) == 1


async def test_a_class_that_is_not_bindable_is_not_bound(platform: ScopedPlatform) -> None:
    platform.offers("small", bindable=False)
    await platform.has()
    await platform.gets()
    assert list((await platform.is_refused_a_binding()).causes) == ["spec.instanceRef.name"]
    assert platform.broker.seen_of(BIND) == []


async def test_operations_and_clean_up_name_service_and_plan(platform: ScopedPlatform) -> None:
    platform.broker.script(PROVISION, Reply(500), Reply(202, {"operation": "create"}))
    await platform.has()
    await platform.gets()
    ids = {"service_id": f"{platform.offering_name}-id", "plan_id": plan_id(platform, "small")}
    [clean_up] = platform.broker.seen_of(DEPROVISION)
    poll = platform.broker.seen_of(POLL_INSTANCE)[-1]
    for request in (clean_up, poll):
        assert {key: request.query[key] for key in ids} == ids
    assert poll.query["operation"] == "create"


async def test_an_upgrade_is_offered_and_taken(platform: ScopedPlatform) -> None:
    platform.offers(simple_plan("small", maintenance_version="1.0.0"), plan_updateable=True)
    await platform.has()
    await platform.gets()
    platform.offers(simple_plan("small", maintenance_version="1.1.0"), plan_updateable=True)
    await platform.relists_after()
    await platform.until(
        INSTANCE,
        "db",
        lambda found: found["status"].get("upgradeAvailable") == {"version": "1.1.0"},
        "offer an upgrade",
    )
    found = await platform.changed(maintenanceVersion="1.1.0")
    [patch] = platform.broker.seen_of(UPDATE)
    assert patch.body["maintenance_info"] == {"version": "1.1.0"}
    assert "upgradeAvailable" not in found["status"]


async def test_a_broker_stays_until_its_last_instance_is_gone(platform: ScopedPlatform) -> None:
    await platform.has()
    await platform.gets()
    kind, name = platform.broker_kind, platform.broker_name
    await platform.deletes(kind, name)
    reason = "DeletionBlockedByExistingInstances"
    kept = await platform.until_condition(kind, name, "Ready", "False", reason=reason)
    assert kept["metadata"]["deletionTimestamp"]
    assert set(await platform.offered()) == {platform.offering_name, "small", "large"}
    await platform.deprovisions()
    await platform.until_gone(kind, name)
    assert await platform.offered() == {}


async def test_two_namespaces_may_have_the_same_broker(platform: ScopedPlatform) -> None:
    if not platform.is_namespaced:
        # Classes of all namespaces share their names: the second broker is told so.
        await platform.has()
        second = await platform.registers_in_vain("second")
        found = await platform.until_condition(platform.broker_kind, second, "Ready", "False")
        assert platform.broker_name in condition_of(found, "Ready")["message"]
        return
    other = ScopedPlatform(
        platform.backend, platform.broker, platform.session, platform.number + 10_000, scope=platform.scope
    )
    other_namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": other.namespace}}
    await platform.api.made("/api/v1/namespaces", other_namespace)
    await platform.has()
    await other.has()
    await platform.gets()
    named = platform.named(ClassExternalName=platform.offering_name, PlanExternalName="small")
    await other.creates(INSTANCE, "db", named)
    await other.until_ready(INSTANCE, "db")
    namespaces = {put.body["context"]["namespace"] for put in platform.broker.seen_of(PROVISION)}
    assert namespaces == {platform.namespace, other.namespace}
