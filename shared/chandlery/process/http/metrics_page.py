"""The page that Prometheus scrapes: on a port of its own, as plain ASGI, or within the gateway's application."""

from collections.abc import Callable, MutableMapping
from importlib.metadata import version
from typing import Any, Final

from chandlery.settings.settings import Settings
from chandlery.telemetry.catalog.processes import BUILD_INFO
from chandlery.telemetry.metrics import NO_METRICS, Metrics
from chandlery.telemetry.prometheus_metrics import PrometheusMetrics

METRICS_PATH: Final = "/metrics"
_OFF: Final = b"no metrics are kept, because CHANDLERY_METRICS is false\n"
_UNKNOWN: Final = b"the metrics are at /metrics\n"
_TEXT: Final = "text/plain; charset=utf-8"

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Any]


def make_metrics(settings: Settings, *, services: str) -> Metrics:
    """Those of this process, or the twin that keeps none."""
    if not settings.metrics:
        return NO_METRICS
    metrics = PrometheusMetrics(most_values=settings.metrics_most_values)
    metrics.set(BUILD_INFO, version("chandlery"), services, value=1)
    return metrics


def metrics_page(metrics: Metrics, accept: str) -> tuple[int, bytes, str]:
    """Status, body and media type: OpenMetrics with exemplars for whoever prefers it."""
    if not isinstance(metrics, PrometheusMetrics):
        return 404, _OFF, _TEXT
    body, media_type = metrics.render(accept)
    return 200, body, media_type


class MetricsApp:
    """The page on `metrics_port`, where nobody is asked for a token."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    async def __call__(self, scope: Scope, _receive: Any, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        accept = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"accept"), "")
        is_page = scope["path"] == METRICS_PATH
        status, body, media_type = metrics_page(self._metrics, accept) if is_page else (404, _UNKNOWN, _TEXT)
        headers = [
            (b"content-type", media_type.encode()),
            (b"cache-control", b"no-store"),
            (b"x-content-type-options", b"nosniff"),
            (b"content-length", b"%d" % len(body)),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
