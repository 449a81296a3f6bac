"""What a process measures of itself: whether it is ready, how late its loop is, when its certificates end."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography import x509
from pydantic import SecretStr

from chandlery.engine.readiness import Readiness, unless
from chandlery.process.http.tls_files import self_signed
from chandlery.process.measuring import certificate_ends, loop_delay, ready_checks
from chandlery.process.measuring.measuring import measuring
from chandlery.settings.settings import Settings
from chandlery.telemetry.catalog.processes import CERTIFICATE_EXPIRY, DEGRADED, EVENT_LOOP_DELAY_SECONDS, READY
from chandlery.telemetry.metrics import NO_METRICS
from chandlery.telemetry.prometheus_metrics import PrometheusMetrics
from tests.support.measured.metrics_page import Told, told
from tests.support.waiting import eventually


@asynccontextmanager
async def going_on(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    running = asyncio.create_task(work)
    yield
    assert not running.done()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def page(metrics: PrometheusMetrics) -> Told:
    return told(metrics.render()[0].decode())


async def test_checks_of_readiness_are_told_though_nobody_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ready_checks, "_EVERY_SECONDS", 0.01)
    metrics, readiness, away = PrometheusMetrics(), Readiness(), asyncio.Event()
    readiness.add("database", unless(away.is_set, "it is away"))
    readiness.add("startup", unless(lambda: False, "it has not started"))
    async with going_on(ready_checks.keep_ready_checks(readiness, metrics)):
        await eventually(
            lambda: page(metrics), lambda seen: seen.get((READY.name, "database")) == 1, what="a look at the database"
        )
        away.set()
        seen = await eventually(lambda: page(metrics), lambda seen: seen[READY.name, "database"] == 0, what="its end")
    assert seen[READY.name, "startup"] == 1
    assert (DEGRADED.name, "database") not in seen


async def test_a_process_that_works_without_a_part_is_told_to_be_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ready_checks, "_EVERY_SECONDS", 0.01)
    metrics, readiness, away = PrometheusMetrics(), Readiness(), asyncio.Event()
    readiness.add("rabbitmq", unless(away.is_set, "it is away"), without="but the gateway works without it")
    async with going_on(ready_checks.keep_ready_checks(readiness, metrics)):
        await eventually(lambda: page(metrics), lambda seen: seen.get((DEGRADED.name, "rabbitmq")) == 0, what="a look")
        away.set()
        seen = await eventually(
            lambda: page(metrics), lambda seen: seen[DEGRADED.name, "rabbitmq"] == 1, what="its end"
        )
    assert seen[READY.name, "rabbitmq"] == 1


async def test_delay_of_the_loop_is_measured_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_delay, "EVERY_SECONDS", 0.0)
    metrics = PrometheusMetrics()
    async with going_on(loop_delay.keep_loop_delay(metrics)):
        count = f"{EVENT_LOOP_DELAY_SECONDS.name}_count"
        await eventually(lambda: page(metrics).get((count,), 0), lambda seen: seen > 2, what="three looks at the clock")


async def test_certificates_for_servers_are_told_and_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificate_ends, "_EVERY_SECONDS", 0.01)
    rabbitmq, database, metrics = tmp_path / "rabbitmq.crt", tmp_path / "database.crt", PrometheusMetrics()
    rabbitmq.write_text(self_signed("rabbitmq")[0])
    settings = Settings(
        amqp_cert_file=rabbitmq, database_url=SecretStr(f"postgresql://db/chandlery?sslmode=require&sslcert={database}")
    )
    names = [(CERTIFICATE_EXPIRY.name, "rabbitmq-client"), (CERTIFICATE_EXPIRY.name, "database-client")]
    async with going_on(certificate_ends.keep_client_certificates(settings, metrics)):
        await eventually(lambda: page(metrics), lambda seen: names[0] in seen and names[1] not in seen)
        database.write_text(self_signed("database")[0])
        seen = await eventually(lambda: page(metrics), lambda seen: names[1] in seen)
    for name, file in zip(names, (rabbitmq, database), strict=True):
        end = x509.load_pem_x509_certificate(file.read_bytes()).not_valid_after_utc
        assert datetime.fromtimestamp(seen[name], UTC) == end


def test_nothing_is_measured_that_nobody_reads() -> None:
    resources: Any = SimpleNamespace(metrics=NO_METRICS)
    assert measuring(resources, is_holder=lambda: True) == ()
