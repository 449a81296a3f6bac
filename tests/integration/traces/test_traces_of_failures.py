"""A request that fails through no fault of the client's names its trace; one that is refused does not."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Final

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, get_current_span

from chandlery.model.faults import Unavailable
from tests.conformance.platform import Platform
from tests.conformance.platform_backends import PlatformBackend
from tests.integration.gateway.api_client import CATALOG
from tests.integration.traces.conftest import Spans, ids
from tests.integration.traces.test_one_trace import new_trace

pytestmark = pytest.mark.asyncio(loop_scope="session")

BROKERS: Final = f"{CATALOG}/clusterservicebrokers"
FAILURES: Final = {503: Unavailable("the database is away"), 500: RuntimeError("password=hunter2")}
Fail = Callable[[Exception], None]


@pytest.fixture
def fail(backend: PlatformBackend) -> Iterator[Fail]:
    """From now on requests meet this in the database, and what else goes on in the same process does not."""
    resources = backend.processes[0].resources
    assert resources is not None
    database, whole = resources.database, resources.database.run
    with pytest.MonkeyPatch.context() as patch:

        def fail(error: Exception) -> None:
            async def run(work: Any, **named: Any) -> Any:
                if getattr(get_current_span(), "kind", None) is SpanKind.SERVER:
                    raise error
                return await whole(work, **named)

            patch.setattr(database, "run", run)

        yield fail


@pytest.mark.parametrize("status", FAILURES)
async def test_status_of_a_failure_ends_with_the_trace_of_the_client(
    platform: Platform, spans: Spans, fail: Fail, status: int
) -> None:
    trace_id, headers = new_trace()
    fail(FAILURES[status])

    answer = await replace(platform.api, acting=headers).get(BROKERS)

    assert (answer.status, answer.document["code"], answer.document["kind"]) == (status, status, "Status")
    assert answer.message.endswith(f" (trace {trace_id:032x})")
    assert answer.message.count("(trace ") == 1
    assert "hunter2" not in answer.payload.decode()
    (request,) = await spans.until(trace_id, "GET ")
    assert not request.status.is_ok


async def test_status_of_a_failure_ends_with_a_trace_of_ours_where_the_client_has_none(
    platform: Platform, spans: Spans, fail: Fail
) -> None:
    known = len(spans.all())
    fail(FAILURES[503])

    answer = await platform.api.get(BROKERS)

    (request,) = [span for span in spans.all()[known:] if _is_request(span)]
    assert request.parent is None
    assert answer.message.endswith(f" (trace {ids(request).trace_id:032x})")


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", f"{BROKERS}/none", None, 404),
        ("GET", f"{BROKERS}?limit=many", None, 400),
        ("POST", BROKERS, {"apiVersion": "servicecatalog.k8s.io/v1beta1", "kind": "ClusterServiceBroker"}, 422),
        ("DELETE", "/healthz-of-others", None, 404),
    ],
)
async def test_status_of_a_refusal_names_no_trace(
    platform: Platform, method: str, path: str, body: Any, status: int
) -> None:
    trace_id, headers = new_trace()
    answer = await replace(platform.api, acting=headers).call(method, path, body)
    assert answer.status == status
    assert f"{trace_id:032x}" not in answer.payload.decode()


async def test_status_for_somebody_unknown_names_no_trace(platform: Platform) -> None:
    trace_id, headers = new_trace()
    answer = await replace(platform.api, token="nobody-that-the-gateway-knows", acting=headers).get(BROKERS)
    assert answer.status == 401
    assert f"{trace_id:032x}" not in answer.payload.decode()


def _is_request(span: ReadableSpan) -> bool:
    return span.kind is SpanKind.SERVER
