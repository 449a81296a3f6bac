"""The page on a port of its own: one path, to be read, and nothing else."""

import asyncio
from typing import Any

import pytest

from chandlery.process.http.metrics_page import MetricsApp, MetricsPage, make_metrics
from chandlery.settings.settings import Settings
from chandlery.telemetry.metrics import NO_METRICS, Metrics
from chandlery.telemetry.prometheus_metrics import PrometheusMetrics
from tests.support.measured.metrics_page import told


async def ask(
    metrics: Metrics, path: str = "/metrics", method: str = "GET", accept: str = "*/*"
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body."""
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "headers": [(b"accept", accept.encode())]}
    await MetricsApp(metrics)(scope, None, send)
    start, body = sent
    return start["status"], {name.decode(): value.decode() for name, value in start["headers"]}, body["body"]


async def test_page_tells_which_version_runs_and_what_it_serves() -> None:
    metrics = make_metrics(Settings(), services="gateway+binder")
    status, headers, body = await ask(metrics)
    assert status == 200
    assert headers["content-type"].startswith("text/plain; version=")
    assert headers["content-length"] == str(len(body))
    assert [key[1] for key in told(body.decode()) if key[0] == "chandlery_build_info"] == ["gateway+binder"]


async def test_page_is_openmetrics_for_whoever_takes_it() -> None:
    _, headers, body = await ask(PrometheusMetrics(), accept="application/openmetrics-text;version=1.0.0,*/*;q=0.1")
    assert headers["content-type"].startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")


async def test_head_is_answered_as_get_without_the_page() -> None:
    status, headers, body = await ask(PrometheusMetrics(), method="HEAD")
    assert (status, body) == (200, b"")
    assert int(headers["content-length"]) > 0


@pytest.mark.parametrize(
    ("path", "method", "status", "sentence"),
    [
        ("/", "GET", 404, "the metrics are at /metrics\n"),
        ("/metrics/", "GET", 404, "the metrics are at /metrics\n"),
        ("/livez", "GET", 404, "the metrics are at /metrics\n"),
        ("/metrics", "POST", 405, "/metrics is read with GET\n"),
    ],
)
async def test_all_else_is_answered_with_a_sentence(path: str, method: str, status: int, sentence: str) -> None:
    answered, headers, body = await ask(PrometheusMetrics(), path, method)
    assert (answered, body.decode()) == (status, sentence)
    assert headers.get("allow") == ("GET, HEAD" if status == 405 else None)


async def test_without_metrics_it_says_which_setting_keeps_none() -> None:
    assert make_metrics(Settings(metrics=False), services="gateway") is NO_METRICS
    status, _, body = await ask(NO_METRICS)
    assert (status, body) == (404, b"no metrics are kept, because CHANDLERY_METRICS is false\n")


async def test_who_hangs_up_takes_the_page_from_nobody() -> None:
    page = MetricsPage(PrometheusMetrics())
    leaving, staying = asyncio.create_task(page.read("")), asyncio.create_task(page.read(""))
    await asyncio.sleep(0)
    leaving.cancel()
    assert await staying is not None
    assert await page.read("") is not await staying
