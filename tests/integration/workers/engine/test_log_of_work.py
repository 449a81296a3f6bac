"""What operators read: the story of an object by its uid, one line for each call and each change of a condition."""

from typing import Any

import structlog
from structlog.testing import LogCapture

from tests.conformance.scripted import scripted_templates as osb
from tests.conformance.scripted.scripted_broker import Reply, ScriptedBroker
from tests.integration.workers.fleet import INSTANCE, Fleet, instance
from tests.support.waiting import eventually

LOOKED_INTO = {"decide_round", "end_round", "publish_message", "handle_message"}
"""What debug tells besides."""


def actions_about(capture: LogCapture, uid: str) -> set[str]:
    return {entry["action"] for entry in capture.entries if entry.get("uid") == uid}


def captured() -> LogCapture:
    """All lines from now on, with what is bound to the context; the fixture of the suite puts it back."""
    capture = LogCapture()
    structlog.configure(processors=[structlog.contextvars.merge_contextvars, capture])
    return capture


async def test_grep_for_a_uid_gives_the_story_of_a_failing_instance(fleet: Fleet) -> None:
    capture = captured()
    try:
        async with ScriptedBroker() as scripted:
            scripted.script(osb.PROVISION, Reply(500, {"description": "disk on fire"}))
            await fleet.offer("db", scripted.url)
            await fleet.worker("ServiceInstance")
            await fleet.create(instance("one", "db"))
            uid = (await fleet.find(INSTANCE, "one")).metadata.uid
            await scripted.wait_for(osb.DEPROVISION)
            await eventually(lambda: has_called(capture, uid, 2), what="both calls to be told")
            await eventually(lambda: LOOKED_INTO - actions_about(capture, uid), lambda missing: not missing)
            identities = {request.headers["X-Broker-API-Request-Identity"] for request in scripted.seen}
        story = [entry for entry in capture.entries if entry.get("uid") == uid]
        calls = [entry for entry in story if entry.get("action") == "call_broker"]
        provision = calls[0]
        assert provision["event"].startswith("ProvisionInstance for ServiceInstance ns/one: 500 in ")
        assert {key: provision[key] for key in ("kind", "namespace", "name", "broker", "operation", "status")} == {
            "kind": "ServiceInstance",
            "namespace": "ns",
            "name": "one",
            "broker": "db",
            "operation": "ProvisionInstance",
            "status": 500,
        }
        assert (provision["attempt"], provision["log_level"], provision["error"]) == (1, "warning", "disk on fire")
        assert 0 < provision["ms"] < 1e6
        assert provision["outcome"] == "failure"
        assert {call["request_identity"] for call in calls} == identities
        changes = [entry for entry in story if entry.get("action") == "change_condition"]
        assert ("Ready", "False") in {(entry["condition"], entry["condition_status"]) for entry in changes}
        assert len(
            {(entry["condition"], entry["condition_status"], entry["condition_reason"]) for entry in changes}
        ) == len(changes)
    finally:
        structlog.reset_defaults()


async def has_called(capture: LogCapture, uid: str, count: int) -> bool:
    calls: list[Any] = [entry for entry in capture.entries if entry.get("action") == "call_broker"]
    return len([call for call in calls if call.get("uid") == uid]) >= count
