"""The page that Prometheus scrapes: on a port of its own, as plain ASGI, or within the gateway's application.

It is made beside the event loop, in a thread of its own, once for all who ask meanwhile: a page with all the series
that there can be takes a second.
"""

import asyncio
from collections.abc import Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from typing import Any, Final

from chandlery.settings.settings import Settings
from chandlery.telemetry.catalog.processes import BUILD_INFO
from chandlery.telemetry.metrics import NO_METRICS, Metrics
from chandlery.telemetry.prometheus_metrics import OPENMETRICS, PrometheusMetrics

METRICS_PATH: Final = "/metrics"
OFF: Final = "no metrics are kept, because CHANDLERY_METRICS is false"
_UNKNOWN: Final = "the metrics are at /metrics"
_READ_ONLY: Final = "/metrics is read with GET"
_NOT_ALLOWED: Final = 405
_TEXT: Final = "text/plain; charset=utf-8"
_READING: Final = ("GET", "HEAD")
_THREAD: Final = ThreadPoolExecutor(max_workers=1, thread_name_prefix="metrics")

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Any]
Page = tuple[int, bytes, str]
"""Status, body and media type."""


def make_metrics(settings: Settings, *, services: str) -> Metrics:
    """Those of this process, or the twin that keeps none."""
    if not settings.metrics:
        return NO_METRICS
    metrics = PrometheusMetrics(most_values=settings.metrics_most_values)
    metrics.set(BUILD_INFO, version("chandlery"), services, value=1)
    return metrics


class MetricsPage:
    """What the metrics of this process are by now, as a page."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._making: dict[bool, asyncio.Future[tuple[bytes, str]]] = {}

    async def read(self, accept: str) -> tuple[bytes, str] | None:
        """Body and media type: OpenMetrics with exemplars for whoever takes it. None if no metrics are kept."""
        metrics = self._metrics
        if not isinstance(metrics, PrometheusMetrics):
            return None
        is_openmetrics = OPENMETRICS in accept
        making = self._making.get(is_openmetrics)
        if making is None:
            metrics.look_up()
            making = asyncio.get_running_loop().run_in_executor(
                _THREAD, lambda: metrics.text(is_openmetrics=is_openmetrics)
            )
            self._making[is_openmetrics] = making
            making.add_done_callback(lambda _made: self._making.pop(is_openmetrics, None))
        # Shielded: a client that hangs up must not take the page from the others.
        return await asyncio.shield(making)


class MetricsApp:
    """The page on `metrics_port`, where nobody is asked for a token."""

    def __init__(self, metrics: Metrics) -> None:
        self._page = MetricsPage(metrics)

    async def __call__(self, scope: Scope, _receive: Any, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        status, body, media_type = await self._answer(scope)
        headers = [
            (b"content-type", media_type.encode()),
            (b"cache-control", b"no-store"),
            (b"x-content-type-options", b"nosniff"),
            (b"content-length", b"%d" % len(body)),
        ]
        if status == _NOT_ALLOWED:
            headers.append((b"allow", ", ".join(_READING).encode()))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    async def _answer(self, scope: Scope) -> Page:
        if scope["path"] != METRICS_PATH:
            return _said(404, _UNKNOWN)
        if scope["method"] not in _READING:
            return _said(_NOT_ALLOWED, _READ_ONLY)
        accept = ",".join(value.decode("latin-1") for name, value in scope["headers"] if name == b"accept")
        page = await self._page.read(accept)
        return _said(404, OFF) if page is None else (200, *page)


def _said(status: int, sentence: str) -> Page:
    return status, f"{sentence}\n".encode(), _TEXT
