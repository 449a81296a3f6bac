"""Connections, credentials, time limits, redirects and odd bodies: what holds for every request."""

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from chandlery.process.http.tls_files import self_signed
from chandlery.settings.settings import Settings
from tests.conformance.platform import BINDING, BROKER, INSTANCE, SECRET, Platform, is_settled, sequence
from tests.conformance.scripted.scripted_broker import Reply, ScriptedBroker, ScriptedReply, SeenRequest
from tests.conformance.scripted.scripted_catalog import simple_plan
from tests.conformance.scripted.scripted_templates import (
    BIND,
    DEPROVISION,
    FETCH_INSTANCE,
    GET_CATALOG,
    POLL_BINDING,
    POLL_INSTANCE,
    PROVISION,
    TEMPLATES,
    UNBIND,
    UPDATE,
)
from tests.conformance.whole_life import whole_life

pytestmark = pytest.mark.asyncio(loop_scope="session")

ALL_BUT_FETCH_INSTANCE = set(TEMPLATES) - {FETCH_INSTANCE}
FIELDS = {
    PROVISION: {
        *("service_id", "plan_id", "organization_guid", "space_guid"),
        *("context", "parameters", "maintenance_info"),
    },
    UPDATE: {"service_id", "plan_id", "context", "parameters", "previous_values", "maintenance_info"},
    BIND: {"service_id", "plan_id", "context", "parameters", "app_guid", "bind_resource", "predecessor_binding_id"},
}


@pytest_asyncio.fixture(loop_scope="session")
async def elsewhere() -> AsyncIterator[ScriptedBroker]:
    async with ScriptedBroker() as other:
        yield other


async def guarded(platform: Platform, broker: ScriptedBroker, **secret: str) -> dict[str, Any]:
    """Put the broker in place of the test's own; the reference to a Secret that holds what it asks for."""
    platform.broker = broker
    platform.offers()
    await platform.creates(SECRET, "key", secret)
    return {"secretRef": {"namespace": platform.namespace, "name": "key"}}


async def test_osb_001_every_request_carries_basic_credentials(platform: Platform) -> None:
    async with ScriptedBroker(basic=("ann", "pä:ß")) as broker:
        reference = await guarded(platform, broker, username="ann", password="pä:ß")
        await whole_life(platform, authInfo={"basic": reference})
        assert {request.template for request in broker.seen} >= ALL_BUT_FETCH_INSTANCE
        wanted = "Basic " + base64.b64encode("ann:pä:ß".encode()).decode()
        assert {request.headers["Authorization"] for request in broker.seen} == {wanted}


async def test_osb_002_bearer_token_replaces_the_password(platform: Platform) -> None:
    async with ScriptedBroker(bearer="t0ken") as broker:
        reference = await guarded(platform, broker, token="t0ken")
        await platform.registers(authInfo={"bearer": reference})
        await platform.provisions()
        assert {request.headers["Authorization"] for request in broker.seen} == {"Bearer t0ken"}


async def test_osb_002_registration_with_both_or_neither_is_told_what_is_wrong(platform: Platform) -> None:
    def registration(**auth: Any) -> dict[str, Any]:
        spec = {"url": platform.broker.url, "authInfo": auth}
        meta = {"name": platform.broker_name}
        return {"apiVersion": BROKER.api_version, "kind": BROKER.kind, "metadata": meta, "spec": spec}

    neither = await platform.api.post(platform.path(BROKER), registration())
    assert (neither.status, "authInfo" in neither.message) == (422, True)
    reference = {"secretRef": {"namespace": platform.namespace, "name": "key"}}
    both = await platform.api.post(platform.path(BROKER), registration(basic=reference, bearer=reference), dryRun="All")
    assert both.status == 422 or "basic is used" in both.warnings[0]


async def test_osb_003_private_certificate_needs_its_bundle_or_no_verification(
    platform: Platform, tmp_path: Path
) -> None:
    certificate, key = (part.encode() for part in self_signed("127.0.0.1"))
    (tmp_path / "both.pem").write_bytes(key + certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "both.pem")
    bundle = base64.b64encode(certificate).decode()
    async with ScriptedBroker(tls=context) as broker:
        platform.broker = broker
        platform.offers()
        name = await platform.registers_in_vain()
        await platform.until_condition(BROKER, name, "Ready", "False", says="certificate is refused")
        assert broker.seen == []
        await platform.changes(BROKER, name, {"spec": {"caBundle": bundle}})
        await platform.until_ready(BROKER, name)
        await platform.provisions()
        await platform.registers_in_vain("trusting", insecureSkipTLSVerify=True)
        await broker.wait_for(GET_CATALOG, 2)
        both = await platform.api.patch(platform.path(BROKER, name), {"spec": {"insecureSkipTLSVerify": True}})
        assert (both.status, "spec.caBundle" in both.causes) == (422, True)


@pytest.mark.parametrize("status", [401, 403])
async def test_osb_004_refused_login_is_shown_and_tried_again_without_clean_up(platform: Platform, status: int) -> None:
    platform.broker.always(PROVISION, Reply(status, {"description": "who are you?"}))
    await platform.creates_instance()
    found = await platform.until_condition(INSTANCE, "db", "Ready", "False", says="who are you?")
    assert str(status) in str(found["status"]["conditions"])
    platform.broker.always(PROVISION, None)
    await platform.annotates(INSTANCE, "db", retry_requested_at="now")
    await platform.until_ready(INSTANCE, "db")
    assert platform.broker.seen_of(DEPROVISION) == []


@pytest.mark.parametrize(
    "late", [Reply(201, delay_seconds=60), Reply(201, {"x": "y" * 100}, trickle_seconds=0.05)], ids=["mute", "trickle"]
)
async def test_osb_005_call_ends_at_its_time_limit(platform: Platform, late: Reply) -> None:
    assert Settings.model_fields["osb_timeout_seconds"].default == 60
    platform.broker.script(PROVISION, late)
    await platform.registers(requestTimeout="300ms")
    await platform.provisions()
    assert sequence(platform.broker.seen)[1:] == ["PUT instance", "DELETE instance", "PUT instance"]
    first, clean_up, _ = platform.broker.seen[1:]
    assert 0.3 <= clean_up.seen_at - first.seen_at < 3


async def test_osb_006_base_url_keeps_its_path_and_loses_its_slash(platform: Platform) -> None:
    async with ScriptedBroker(path_prefix="/pre/fix") as broker:
        platform.broker = broker
        platform.offers()
        await platform.registers(url=broker.url + "/")
        await platform.provisions()
        fetch, put = broker.seen
        assert fetch.raw_path == "/pre/fix/v2/catalog"
        assert put.raw_path.startswith("/pre/fix/v2/service_instances/")


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_osb_007_redirect_is_not_followed(platform: Platform, elsewhere: ScriptedBroker, status: int) -> None:
    away = Reply(status, headers={"Location": elsewhere.url + "/v2/catalog"})
    platform.offers(simple_plan(), plan_updateable=True)
    await platform.registers()
    platform.broker.script(PROVISION, away)
    await platform.provisions()
    platform.broker.always(UPDATE, away)
    await platform.changes(INSTANCE, "db", {"spec": {"parameters": {"size": 2}}})
    await platform.until_condition(INSTANCE, "db", "Reconciling", reason="UpdateInstanceCallFailed", says=str(status))
    platform.broker.always(UPDATE, None)
    await platform.until(INSTANCE, "db", is_settled, "be updated")
    platform.broker.script(DEPROVISION, away)
    await platform.deprovisions()
    assert len(platform.broker.seen_of(DEPROVISION)) == 2
    assert elsewhere.seen == []


async def test_osb_008_unknown_fields_of_answers_are_ignored(platform: Platform) -> None:
    odd = {"x-acme": {"nested": [1, None]}}
    platform.offers({**simple_plan(), **odd}, bindings_retrievable=True, **odd)
    platform.broker.catalog.update(odd)
    platform.broker.script(PROVISION, Reply(202, {"operation": "p", **odd}))
    platform.broker.script(POLL_INSTANCE, Reply(200, {"state": "succeeded", **odd}))
    platform.broker.script(BIND, Reply(202, {"operation": "b", **odd}))
    platform.broker.script(POLL_BINDING, Reply(200, {"state": "succeeded", **odd}))
    await platform.provisions()
    await platform.binds()
    platform.broker.script(UNBIND, Reply(200, odd))
    platform.broker.script(DEPROVISION, Reply(200, odd))
    await platform.unbinds()
    await platform.deprovisions()


async def test_osb_009_010_requests_hold_nothing_of_our_own_and_are_json(
    lived: Sequence[SeenRequest],
) -> None:
    for request in lived:
        if request.method in ("PUT", "PATCH"):
            assert request.headers["Content-Type"].partition(";")[0] == "application/json"
            assert set(request.body) <= FIELDS[request.template]
        unknown = set(request.query) - {"accepts_incomplete", "service_id", "plan_id", "operation"}
        assert unknown == set()


@pytest.mark.parametrize("content_type", ["text/plain", "application/octet-stream", "nonsense"])
async def test_osb_010_answers_are_read_whatever_type_they_claim(platform: Platform, content_type: str) -> None:
    headers = {"Content-Type": content_type}
    platform.broker.script(GET_CATALOG, Reply(200, platform.broker.catalog, headers))
    platform.broker.script(PROVISION, Reply(202, {"operation": "p", "dashboard_url": "http://d.test"}, headers))
    platform.broker.script(POLL_INSTANCE, Reply(200, {"state": "succeeded"}, headers))
    platform.broker.script(BIND, Reply(201, {"credentials": {"key": "value"}}, headers))
    found = await platform.provisions()
    assert found["status"]["dashboardURL"] == "http://d.test"
    await platform.binds()
    assert await platform.credentials() == {"key": b"value"}


async def test_osb_011_gets_and_deletes_have_no_body(lived: Sequence[SeenRequest]) -> None:
    bare = [request for request in lived if request.method in ("GET", "DELETE")]
    assert len(bare) >= 8
    assert {request.raw_body for request in bare} == {b""}
    assert not any("Content-Type" in request.headers for request in bare)


async def test_osb_011_answer_beyond_all_measure_is_malformed(platform: Platform) -> None:
    platform.broker.script(PROVISION, Reply(201, {"dashboard_url": "d" * (2 << 20)}))
    await platform.provisions()
    # A malformed 201 is uncertain: what there may be is deleted before the next attempt.
    assert sequence(platform.broker.seen)[1:] == ["PUT instance", "DELETE instance", "PUT instance"]


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (Reply(400, b"<html><h1>Bad Request</h1></html>", {"Content-Type": "text/html"}), "400"),
        (Reply(400, {"error": {"foo": "bar"}, "description": "the disk is full"}), "the disk is full"),
        (Reply(400, {"error": 7, "description": ["no", "text"]}), "400"),
        (Reply(400, {}), "400"),
        (Reply(400, None), "400"),
        (Reply(400, b"[1, 2]"), "400"),
        (Reply(400, b"\xff\xfe{"), "400"),
        (Reply(400, {"description": "ünïcode ✓"}), "ünïcode ✓"),
    ],
    ids=["html", "odd code", "wrong types", "empty object", "nothing", "list", "no UTF-8", "unicode"],
)
async def test_osb_012_error_of_any_shape_is_shown_and_harms_nothing(
    platform: Platform, answer: ScriptedReply, says: str
) -> None:
    platform.broker.script(PROVISION, answer)
    await platform.creates_instance()
    await platform.until_condition(INSTANCE, "db", "Ready", "False", says=says)
    await platform.annotates(INSTANCE, "db", retry_requested_at="now")
    await platform.until_ready(INSTANCE, "db")
    platform.broker.script(BIND, answer)
    await platform.creates_binding()
    await platform.until_condition(BINDING, "db-binding", "Ready", "False", says=says)
    await asyncio.gather(platform.unbinds(), platform.deprovisions())
