"""What happens when the audit log cannot be written: refused before anything is done, or gone on and counted."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from chandlery.model.faults import ConfigurationFault, Unavailable
from chandlery.process import followed_files
from chandlery.settings.settings import Settings
from chandlery.store.audit.audit_store import AuditStore
from chandlery_gateway.main import GATEWAY
from tests.integration.gateway.api_client import SECRETS, namespace, secret
from tests.integration.gateway.audit.test_audit_events import EVENTS, found
from tests.integration.gateway.conftest import TOKEN, Running, _settings, serving
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture
def running_with(own_url: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Starts a gateway with these settings."""

    @asynccontextmanager
    async def run(**given: Any) -> AsyncIterator[Running]:
        settings = _settings(own_url, tmp_path_factory).model_copy(update=given)
        async with serving(settings) as running:
            yield running

    return run


async def test_with_refuse_nothing_is_done_while_the_disk_is_full(running_with: Any) -> None:
    with capture_logs() as logged:
        async with running_with(audit_table=False, audit_log="/dev/full", audit_unwritable="refuse") as running:
            refused = await running.api.post("/api/v1/namespaces", namespace("team"))
            assert (refused.status, refused.document["reason"]) == (503, "ServiceUnavailable")
            assert refused.headers["Retry-After"]
            assert "the audit log cannot be written (the file /dev/full)" in refused.message
            assert (await running.api.get("/api/v1/namespaces/team")).status == 503, "nor is anything told"
            assert (await running.api.get("/version")).status == 200, "what is not recorded needs no account"
            assert (await running.as_user(None).get("/api/v1/namespaces")).status == 401
            assert "team" not in [row["name"] for row in await running.rows("namespaces")]
    assert any("No space left on device" in line["event"] for line in logged)


async def test_with_count_work_goes_on_while_the_disk_is_full_and_the_log_tells(running_with: Any) -> None:
    with capture_logs() as logged:
        async with running_with(audit_table=False, audit_log="/dev/full") as running:
            assert (await running.api.post("/api/v1/namespaces", namespace("team"))).status == 201
            await eventually(lambda: [line for line in logged if "cannot be written" in line["event"]])
    assert "events are lost" in logged[-1]["event"] or any("are lost" in line["event"] for line in logged)


async def test_with_refuse_an_event_is_written_before_its_request_acts_and_before_it_is_answered(
    running_with: Any, tmp_path: Path
) -> None:
    path = tmp_path / "audit.log"
    async with running_with(audit_log=str(path), audit_unwritable="refuse") as running:
        answer = await running.api.post("/api/v1/namespaces", namespace("team"))
        rows = [row for row in await running.rows("audit_events") if answer.headers["Audit-ID"] in row["name"]]
        assert sorted(row["name"].removeprefix(answer.headers["Audit-ID"]) for row in rows) == ["", "-received"]
        assert path.read_text().count(answer.headers["Audit-ID"]) >= 2


@pytest.mark.parametrize(("mode", "status"), [("refuse", 503), ("count", 200)])
async def test_while_the_database_takes_no_events_it_is_as_the_operator_wishes(
    running_with: Any, monkeypatch: pytest.MonkeyPatch, mode: str, status: int
) -> None:
    async with running_with(audit_unwritable=mode) as running:
        await running.api.made("/api/v1/namespaces", namespace("team"))
        await running.api.made(SECRETS, secret("key", word="hidden"))

        async def away(_store: AuditStore, _entries: Any) -> None:
            raise Unavailable("the database cannot be reached")

        with monkeypatch.context() as patch:
            patch.setattr(AuditStore, "write", away)
            answer = await running.api.get(f"{SECRETS}/key")
            assert answer.status == status
        events = await found(running.api, auditID=answer.headers["Audit-ID"], responseStatus__code=str(status))
        assert [event["stage"] for event in events] == ["ResponseComplete"], "what waited is written when it can be"


async def test_the_policy_of_a_file_says_what_is_kept_and_follows_the_file(
    running_with: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(followed_files, "EVERY_SECONDS", 0.05)
    policy = tmp_path / "policy.yaml"
    head = "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules:\n"
    policy.write_text(f"{head}- {{level: Request, verbs: [create]}}\n- {{level: None}}\n")
    async with running_with(audit_policy_file=policy) as running:
        made = await running.api.post("/api/v1/namespaces", namespace("team"))
        read = await running.api.get("/api/v1/namespaces/team")
        await running.api.post(SECRETS, secret("key", word="hunter2-hunter2"))
        [event] = await found(running.api, auditID=made.headers["Audit-ID"])
        assert event["requestObject"]["metadata"] == {"name": "team"}
        [kept] = await found(running.api, objectRef__name="key")
        assert kept["requestObject"]["stringData"] == {"word": "<removed>"}
        none = await running.api.get(EVENTS, fieldSelector=f"auditID={read.headers['Audit-ID']}")
        assert none.document["items"] == []
        with capture_logs() as logged:
            policy.write_text(f"{head}- {{level: Everything}}\n")
            await eventually(lambda: logged, lambda lines: any("stays in use" in line["event"] for line in lines))
            policy.write_text(f"{head}- {{level: Metadata}}\n")
            await eventually(lambda: logged, lambda lines: any("is now in use" in line["event"] for line in lines))
        assert "rules[0].level: must be one of" in str(logged)
        read = await running.api.get("/api/v1/namespaces/team")
        assert await found(running.api, auditID=read.headers["Audit-ID"])


async def test_a_bad_policy_stops_the_start(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("kind: Policy")
    with pytest.raises(ConfigurationFault, match="CHANDLERY_AUDIT_POLICY_FILE"):
        GATEWAY.check(Settings(audit_policy_file=policy, token=SecretStr(TOKEN)))
