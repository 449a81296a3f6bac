"""The route `/metrics`, for Prometheus with a token: whoever may `get` that path reads it, as in Kubernetes.

The default role `system:monitoring` has that right. Every process has the same page on `CHANDLERY_METRICS_PORT`, too.
"""

from fastapi import APIRouter, Request, Response

from chandlery.model.faults import NotFound
from chandlery.model.objects.instances import UserInfo
from chandlery.process.http.metrics_page import METRICS_PATH, OFF, MetricsPage
from chandlery.telemetry.metrics import Metrics
from chandlery_gateway.http.pipeline import Pipeline
from chandlery_gateway.identity.authorization import Access


def register_metrics(router: APIRouter, pipeline: Pipeline, metrics: Metrics) -> None:
    """The route; it is there and finds nothing if no metrics are kept."""
    page = MetricsPage(metrics)

    async def handle(request: Request, _user: UserInfo) -> Response:
        found = await page.read(request.headers.get("accept", ""))
        if found is None:
            raise NotFound(OFF)
        body, media_type = found
        return Response(body, media_type=media_type)

    endpoint = pipeline.endpoint(handle, access=_access, kind=None, route="metrics")
    router.add_api_route(METRICS_PATH, endpoint, methods=["GET"], include_in_schema=False)


def _access(_request: Request, user: UserInfo) -> Access:
    return Access(user=user, verb="get", path=METRICS_PATH)
