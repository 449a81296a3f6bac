"""Values that are secret, planted wherever a client can put one, and a search of all that the audit log keeps."""

import base64
from pathlib import Path
from typing import Any

import pytest

from tests.integration.gateway.api_client import JSON_PATCH, SECRETS, TEAM, instance, secret
from tests.integration.gateway.audit.test_unwritable_audit_log import running_with
from tests.integration.gateway.conftest import TOKEN
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")
__all__ = ["running_with"]

PLANTED = "geheimnis-im-pruefbericht"
ENCODED = base64.b64encode(PLANTED.encode()).decode()


async def test_nothing_that_is_secret_is_in_the_table_or_in_the_file(running_with: Any, tmp_path: Path) -> None:
    policy, path = tmp_path / "policy.yaml", tmp_path / "audit.log"
    policy.write_text("apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Request}]\n")
    async with running_with(audit_policy_file=policy, audit_log=str(path), audit_unwritable="refuse") as running:
        api = running.api
        annotated = {**secret("key", word=PLANTED), "metadata": {"name": "key", "annotations": {"note/a": PLANTED}}}
        sent = [
            await api.post("/api/v1/namespaces", {"kind": "Namespace", "metadata": {"name": "team"}}),
            await api.post(SECRETS, annotated),
            await api.put(f"{SECRETS}/key", {**secret("key"), "data": {"word": ENCODED}}),
            await api.patch(f"{SECRETS}/key", {"stringData": {"word": PLANTED}}),
            await api.patch(f"{SECRETS}/key", [{"op": "add", "path": "/data/x", "value": ENCODED}], JSON_PATCH),
            await api.post(SECRETS, b'{"kind": "Secret", "data": {"x": "' + PLANTED.encode()),
            await api.get(f"{SECRETS}/key"),
            await api.get(SECRETS),
            await api.post(f"{TEAM}/serviceinstances", instance("db", parameters={"password": PLANTED})),
            await api.post(f"{TEAM}/serviceinstances", instance("other", paramters={"password": PLANTED})),
            await api.post(f"{TEAM}/serviceinstances", instance("third", plan=PLANTED)),
            await api.get(f"{TEAM}/serviceinstances", token=PLANTED, **{"continue": PLANTED}),
            await api.get(f"{TEAM}/serviceinstances", **{PLANTED: "1"}, fieldManager=PLANTED),
            await api.get(f"/login/{PLANTED}"),
            await api.get(f"/apis/{PLANTED}/v1"),
            await api.get(f"/apis/{PLANTED}/v1/things/{PLANTED}"),
            await running.as_user(PLANTED).get(SECRETS),
            await api.call("GET", SECRETS, headers={"Cookie": PLANTED, "X-Token": PLANTED, "Authorization": PLANTED}),
            await api.delete(f"{SECRETS}/key", {"kind": "DeleteOptions", "password": PLANTED}),
        ]
        assert len({answer.status for answer in sent}) > 4, "all sorts of answers"
        wanted = {answer.headers["Audit-ID"] for answer in sent}

        async def kept() -> str:
            return repr(await running.rows("audit_events")) + repr(await running.rows("audit_subjects"))

        table = await eventually(kept, lambda text: all(each in text for each in wanted), what="all of them")
        text = path.read_text()
    assert all(each in text for each in wanted)
    for hidden in (PLANTED, ENCODED, TOKEN):
        assert hidden not in table
        assert hidden not in text
    assert '"requestObject"' in text
