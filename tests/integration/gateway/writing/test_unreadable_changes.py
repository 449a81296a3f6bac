"""A change that cannot be shown stops nobody: watches pass over it and say so; who sees nothing at all is not ready."""

from typing import Any

import pytest
from structlog.testing import capture_logs

from chandlery.store.database import UnitOfWork
from chandlery.store.objects.changes import ChangeLog, ChangeVerb, LoggedChange
from chandlery_gateway.watch import watch_hub
from tests.integration.gateway.api_client import CATALOG, TABLE, TEAM, Api, instance
from tests.integration.gateway.conftest import Running
from tests.support.waiting import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.both_backends]

INSTANCES = f"{TEAM}/serviceinstances"
BINDINGS = f"{TEAM}/servicebindings"


async def log_unreadable(gateway: Running, body: Any) -> int:
    """Puts a change into the log that no version has written; returns its position."""

    async def write(unit: UnitOfWork) -> int:
        position = await unit.changes.next_position()
        change = LoggedChange(position, "ServiceInstance", "team", "broken", ChangeVerb.MODIFIED, body)
        unit.changes.append(change)
        return position

    return await gateway.resources.database.run(write)


@pytest.mark.parametrize("body", [{"spec": 1}, "no object", {"metadata": {"uid": "x"}, "spec": {"parameters": 1}}])
async def test_a_change_that_cannot_be_shown_is_passed_over(gateway: Running, api: Api, body: Any) -> None:
    # A list of a moment before an unreadable change cannot be had, and the one of the test before may be too new.
    await gateway.settled()
    with capture_logs() as logs:
        async with (
            api.watch(INSTANCES) as plain,
            api.watch(f"{CATALOG}/serviceinstances", accept=TABLE) as table,
            api.watch(INSTANCES, labelSelector="!hidden") as narrow,
            api.watch(BINDINGS, allowWatchBookmarks="true", timeoutSeconds="600") as other,
        ):
            # A watch that is open may still be reading the list that it begins with.
            await api.made(INSTANCES, instance("before"))
            for watch in (plain, table, narrow):
                assert (await watch.next())["type"] == "ADDED"
            position = await log_unreadable(gateway, body)
            await api.made(INSTANCES, instance("after"))
            binding = {"apiVersion": "servicecatalog.k8s.io/v1beta1", "kind": "ServiceBinding"}
            await api.made(BINDINGS, {**binding, "metadata": {"name": "b"}, "spec": {"instanceRef": {"name": "after"}}})
            for watch in (plain, table, narrow):
                error = await watch.next()
                assert (error["type"], error["object"]["code"]) == ("ERROR", 500)
                assert error["object"]["message"] == (
                    f'a change of ServiceInstance "broken" (resource version {position}) cannot be shown '
                    "and was skipped. The watch continues. Read the object to see its current state; the "
                    "server's log says what is wrong"
                )
                assert (await watch.next())["type"] == "ADDED"
            assert await other.until("b") == [("ADDED", "b")]
    told = [entry for entry in logs if entry.get("position") == position]
    assert [(entry["log_level"], entry["kind"], entry["name"]) for entry in told] == [
        ("error", "ServiceInstance", "broken")
    ]


async def test_a_gateway_whose_watches_stand_still_is_not_ready(
    own_gateway: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_hub, "_STANDSTILL_SECONDS", 1.0)
    monkeypatch.setattr(watch_hub, "_IDLE_TICK_SECONDS", 0.05)
    monkeypatch.setattr(watch_hub, "_PAUSE_AFTER_FAULT_SECONDS", 0.05)
    api = own_gateway.api
    async with api.watch(INSTANCES) as watch:
        await api.made(INSTANCES, instance("before"))
        await watch.until("before")
        with monkeypatch.context() as broken:
            broken.setattr(ChangeLog, "read", _fails)
            await api.made(INSTANCES, instance("after"))
            answer = await _until(api, status=503)
            assert (
                "[-]watches failed: the change log has not been read for 1 s, so watches receive nothing new" in answer
            )
        await _until(api, status=200)
        assert await watch.until("after") == [("ADDED", "after")]


async def _fails(*_arguments: Any, **_options: Any) -> None:
    raise TypeError("Integer exceeds 64-bit range")


async def _until(api: Api, *, status: int) -> str:
    answer = await eventually(lambda: api.get("/readyz"), lambda seen: seen.status == status, what="/readyz")
    return answer.payload.decode()
