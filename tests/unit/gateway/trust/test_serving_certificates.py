"""Gateways that keep one certificate together, in a Secret of the cluster, with the `caBundle` in step."""

import asyncio
import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from chandlery.model.faults import Conflict, Fault, Forbidden, Unavailable
from chandlery.model.objects.wire import JsonObject
from chandlery.process.http.listener_tls import MadeTls
from chandlery_gateway.trust import serving_certificates
from chandlery_gateway.trust.ca_bundles import API_SERVICES
from chandlery_gateway.trust.serving_certificates import ServingCertificates, service_names
from chandlery_gateway.trust.stored_certificates import StoredCertificate, read_stored
from tests.support.clusters.scripted_cluster import ScriptedCluster
from tests.support.waiting import eventually

SECRET = "/api/v1/namespaces/ns/secrets/tls"
APIS = "/apis/apiregistration.k8s.io/v1/apiservices"
OURS = {"service": {"name": "catalog", "namespace": "ns", "port": 443}}
FIRST = f"{APIS}/{API_SERVICES[0]}"


class Stage:
    """A cluster with our APIServices, and gateways at a moment of our choice."""

    def __init__(self) -> None:
        self.cluster = ScriptedCluster("ns")
        self.now = datetime.now(UTC)
        for name in API_SERVICES:
            self.cluster.put(f"{APIS}/{name}", spec=dict(OURS))

    def gateway(self) -> ServingCertificates:
        return ServingCertificates(self.cluster, secret="tls", service="catalog", namespace="ns", now=lambda: self.now)

    @property
    def stored(self) -> StoredCertificate:
        found = read_stored(self.cluster.objects[SECRET])
        assert found is not None
        return found

    def bundle(self, path: str = FIRST) -> str:
        return base64.b64decode(self.cluster.objects[path]["spec"].get("caBundle", "")).decode()


@pytest.fixture
def stage() -> Stage:
    return Stage()


async def test_first_gateway_makes_it_and_all_show_the_same(stage: Stage) -> None:
    gateways = [stage.gateway() for _ in range(3)]
    shown = await asyncio.gather(*(gateway.begin() for gateway in gateways))
    assert stage.cluster.writes.count(("create", SECRET)) == 1
    assert {tls.ends_at for tls in shown} == {stage.stored.ends_at}
    assert stage.cluster.objects[SECRET]["type"] == "kubernetes.io/tls"
    assert stage.stored.names == frozenset(service_names("catalog", "ns"))
    for name in API_SERVICES:
        assert stage.bundle(f"{APIS}/{name}") == stage.stored.bundle_text


async def test_empty_secret_that_an_operator_has_made_is_filled_and_keeps_what_else_it_has(stage: Stage) -> None:
    stage.cluster.put(SECRET, type="Opaque", data={"note": "eA=="}, metadata={"labels": {"a": "b"}})
    await stage.gateway().begin()
    found = stage.cluster.objects[SECRET]
    assert (found["type"], found["data"]["note"], found["metadata"]["labels"]) == ("Opaque", "eA==", {"a": "b"})
    assert ("create", SECRET) not in stage.cluster.writes


async def test_nothing_is_written_while_nothing_is_due(stage: Stage) -> None:
    gateway = stage.gateway()
    await gateway.begin()
    before = len(stage.cluster.writes)
    await gateway.keep_once()
    await stage.gateway().keep_once()
    assert len(stage.cluster.writes) == before


async def test_renewed_certificate_is_shown_by_all_without_a_restart(stage: Stage) -> None:
    gateways = [stage.gateway() for _ in range(2)]
    shown = [await gateway.begin() for gateway in gateways]
    contexts = [tls.context for tls in shown]
    stage.now += timedelta(days=61)
    await asyncio.gather(*(gateway.keep_once() for gateway in gateways))
    assert stage.cluster.writes.count(("replace", SECRET)) == 1
    for tls, context in zip(shown, contexts, strict=True):
        assert tls.context is not context
        assert tls.ends_at == stage.stored.ends_at


async def test_new_authority_is_in_every_bundle_before_its_certificate_is_shown(stage: Stage) -> None:
    gateway = stage.gateway()
    tls = await gateway.begin()
    stage.now += timedelta(days=3240)
    await gateway.keep_once()
    old = stage.stored
    stage.now += timedelta(days=50)
    seen: list[tuple[str, bool]] = []

    def put(path: str, tell: Callable[..., Any] = stage.cluster.put, **fields: Any) -> JsonObject:
        found: JsonObject = tell(path, **fields)
        seen.append((path, stage.stored.issuer == stage.stored.bundle[0]))
        return found

    stage.cluster.put = put  # type: ignore[method-assign]
    for _ in range(3):
        await gateway.keep_once()
    assert stage.stored.bundle[0] not in old.bundle
    assert stage.stored.issuer == stage.stored.bundle[0]
    assert tls.ends_at == stage.stored.ends_at
    signed = next(at for at, (path, is_signed) in enumerate(seen) if path == SECRET and is_signed)
    assert {path for path, _ in seen[:signed]} >= {f"{APIS}/{name}" for name in API_SERVICES}
    assert old.bundle[0] in stage.bundle()
    stage.now += timedelta(days=2)
    await gateway.keep_once()
    assert stage.bundle() == stage.stored.bundle[0]


async def test_authority_that_cannot_be_made_known_signs_nothing(stage: Stage) -> None:
    gateway = stage.gateway()
    tls = await gateway.begin()
    stage.now += timedelta(days=3240)
    await gateway.keep_once()
    stage.now += timedelta(days=45)
    _refuse(stage, "patch", Forbidden("may not patch"))
    context = tls.context
    for _ in range(3):
        with pytest.raises(Forbidden):
            await gateway.keep_once()
    assert stage.stored.issuer == stage.stored.bundle[1]
    assert tls.context is context


async def test_bundle_of_somebody_elses_service_is_left_alone(stage: Stage) -> None:
    stage.cluster.put(FIRST, spec={"service": {"name": "catalog", "namespace": "elsewhere"}, "caBundle": "b2xk"})
    await stage.gateway().begin()
    assert stage.bundle() == "old"


async def test_bundle_that_others_have_changed_is_mended_and_any_certificate_is_taken_no_more(stage: Stage) -> None:
    gateway = stage.gateway()
    await gateway.begin()
    stage.cluster.put(FIRST, spec={**OURS, "insecureSkipTLSVerify": True})
    await gateway.keep_once()
    assert stage.bundle() == stage.stored.bundle_text
    assert stage.cluster.objects[FIRST]["spec"]["insecureSkipTLSVerify"] is False


async def test_api_service_that_comes_later_gets_its_bundle(stage: Stage) -> None:
    stage.cluster.remove(FIRST)
    gateway = stage.gateway()
    await gateway.begin()
    stage.cluster.put(FIRST, spec=dict(OURS))
    await gateway.keep_once()
    assert stage.bundle() == stage.stored.bundle_text


async def test_secret_that_was_deleted_is_made_anew_with_another_authority(stage: Stage) -> None:
    gateway = stage.gateway()
    tls = await gateway.begin()
    old = stage.stored
    stage.cluster.remove(SECRET)
    await gateway.keep_once()
    assert stage.stored.bundle != old.bundle
    assert stage.bundle() == stage.stored.bundle_text
    assert tls.ends_at == stage.stored.ends_at


async def test_gateway_serves_even_if_it_may_not_touch_api_services_and_says_what_it_needs(stage: Stage) -> None:
    _refuse(stage, "patch", Forbidden("may not patch"))
    with capture_logs() as logs:
        assert isinstance(await stage.gateway().begin(), MadeTls)
    assert "get and patch of the APIServices v1beta1.servicecatalog.k8s.io" in logs[-1]["event"]


async def test_gateway_waits_for_a_cluster_that_is_away(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.cluster.fault = Unavailable("away")
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 3:
            stage.cluster.fault = None

    monkeypatch.setattr(asyncio, "sleep", sleep)
    with capture_logs() as logs:
        await stage.gateway().begin()
    assert waited == [1, 2, 4]
    assert [line["event"] for line in logs if line["log_level"] == "error"] == [
        "the certificate in Secret ns/tls cannot be kept: away"
    ]


async def test_others_who_write_again_and_again_are_not_fought(stage: Stage) -> None:
    gateway = stage.gateway()
    await gateway.begin()
    stage.now += timedelta(days=61)
    _refuse(stage, "replace", Conflict())
    with pytest.raises(Conflict, match="changed by others again and again"):
        await gateway.keep_once()


async def test_secret_that_changes_is_looked_at_at_once(stage: Stage) -> None:
    gateway = stage.gateway()
    tls = await gateway.begin()
    following = asyncio.create_task(gateway.follow())
    try:
        await stage.cluster.has_watchers.wait()
        stage.now += timedelta(days=61)
        await stage.gateway().keep_once()
        await eventually(lambda: tls.ends_at, lambda ends_at: ends_at == stage.stored.ends_at)
    finally:
        following.cancel()


async def test_what_others_got_in_the_way_of_is_tried_again_soon(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving_certificates, "_EVERY_SECONDS", 3600.0)
    monkeypatch.setattr(serving_certificates, "_PAUSE_SECONDS", 0.01)
    gateway = stage.gateway()
    await gateway.begin()
    patch, refused = stage.cluster.patch, 0

    async def patch_at_the_third_try(*given: Any, **named: Any) -> JsonObject:
        nonlocal refused
        if refused < 2:
            refused += 1
            raise Conflict
        return await patch(*given, **named)

    stage.cluster.patch = patch_at_the_third_try  # type: ignore[method-assign]
    following = asyncio.create_task(gateway.follow())
    try:
        await stage.cluster.has_watchers.wait()
        stage.cluster.put(FIRST, spec=dict(OURS))
        stage.cluster.put(SECRET, **stage.cluster.objects[SECRET])
        await eventually(stage.bundle, lambda bundle: bundle == stage.stored.bundle_text)
    finally:
        following.cancel()
    assert refused == 2


@pytest.mark.parametrize(("pause", "following"), [(60, 1), (1, 2), (16, 30), (30, 30)])
def test_pauses_after_failures_grow_to_half_of_the_usual_one(pause: float, following: float) -> None:
    assert serving_certificates._after_failure(pause) == following


def _refuse(stage: Stage, method: str, fault: Fault) -> None:
    async def refuse(*_: object, **__: object) -> None:
        raise fault

    setattr(stage.cluster, method, refuse)
