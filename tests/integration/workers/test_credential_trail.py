"""The uid of a binding finds what has become of its credentials: who asked, made, delivered, read, rotated, removed."""

from typing import Any

import aiohttp

from chandlery.model.objects.annotations import ROTATE
from tests.conformance.scripted import scripted_templates as osb
from tests.conformance.scripted.scripted_broker import Reply, ScriptedBroker, simple_catalog
from tests.conformance.scripted.scripted_catalog import simple_service
from tests.integration.workers.fleet import BINDING, INSTANCE, NS, Fleet, instance
from tests.integration.workers.test_no_secret_anywhere import CATALOG, api_of
from tests.support.waiting import eventually

BINDINGS = f"{CATALOG}/namespaces/{NS}/servicebindings"
SECRET = f"/api/v1/namespaces/{NS}/secrets/knot"
EVENTS = "/apis/audit.chandlery.io/v1/auditevents"
MERGE = {"Content-Type": "application/merge-patch+json"}


async def story(session: aiohttp.ClientSession, uid: str) -> list[dict[str, Any]]:
    """All about the binding, the oldest first."""
    async with session.get(EVENTS, params={"fieldSelector": f"objectRef.uid={uid}"}) as response:
        assert response.status == 200, await response.text()
        items: list[dict[str, Any]] = (await response.json())["items"]
        return items[::-1]


async def test_uid_of_a_binding_tells_the_whole_story_of_its_credentials(fleet: Fleet) -> None:
    catalog = simple_catalog(simple_service("db", plans=["small"]))
    async with ScriptedBroker(catalog, credentials={"password": "one"}) as broker, api_of(fleet) as session:
        await fleet.worker("ClusterServiceBroker")
        worker = await fleet.worker("ServiceInstance", "ServiceBinding", rotation_grace_seconds=0)
        await fleet.offer("harbour", broker.url)
        await fleet.create(instance("one", "db"))
        await fleet.until_ready(INSTANCE, "one")
        knot = {"metadata": {"name": "knot"}, "spec": {"instanceRef": {"name": "one"}}}
        async with session.post(BINDINGS, json=knot) as made:
            assert made.status == 201, await made.text()
            uid = (await made.json())["metadata"]["uid"]
        # The API's process has no relay of its own: the sweep finds what is due.
        await fleet.ready_in_time(BINDING, "knot", worker.sweep(), seconds=60)
        async with session.get(SECRET) as read:
            assert read.status == 200
        broker.script(osb.BIND, Reply(201, {"credentials": {"password": "two"}}))
        patch = {"metadata": {"annotations": {ROTATE: "now"}}}
        async with session.patch(f"{BINDINGS}/knot", json=patch, headers=MERGE) as asked:
            assert asked.status == 200, await asked.text()

        async def is_revoked() -> bool:
            return any(event["verb"] == "revoke" for event in await story(session, uid))

        await fleet.in_time(is_revoked, BINDING, "knot", worker.sweep(), seconds=60)
        async with session.delete(f"{BINDINGS}/knot") as gone:
            assert gone.status == 200

        async def is_gone() -> bool:
            return await fleet.ready(BINDING, "knot") is None

        await fleet.in_time(is_gone, BINDING, "knot", worker.sweep(), seconds=60)
        await eventually(lambda: story(session, uid), lambda events: any(event["verb"] == "delete" for event in events))
        events = await story(session, uid)
    told = [(event["verb"], event["objectRef"]["resource"], event["user"]["username"]) for event in events]
    binder = "system:chandlery:binder"
    for step in (
        ("create", "servicebindings", "admin"),
        ("bind", "servicebindings", binder),
        ("deliver", "secrets", binder),
        ("get", "secrets", "admin"),
        ("patch", "servicebindings", "admin"),
        ("rotate", "servicebindings", binder),
        ("revoke", "servicebindings", binder),
        ("delete", "servicebindings", "admin"),
        ("withdraw", "secrets", binder),
        ("unbind", "servicebindings", binder),
    ):
        assert step in told, told
    assert told.index(("bind", "servicebindings", binder)) < told.index(("get", "secrets", "admin"))
    assert told.index(("rotate", "servicebindings", binder)) < told.index(("unbind", "servicebindings", binder))
    assert told.count(("deliver", "secrets", binder)) == 2
    by_verb = {event["verb"]: event for event in events}
    assert by_verb["bind"]["annotations"]["audit.chandlery.io/author"] == "admin"
    assert by_verb["bind"]["objectRef"]["uid"] == uid
