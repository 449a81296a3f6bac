"""What the gateway says of itself in `/openapi/v3` is used against it: no request made from that gets a 5xx.

A few of the operations here, each at its limits; `make fuzz` takes all of them, as several users, for half an hour.
"""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from tests.integration.gateway.api_client import CATALOG
from tests.integration.gateway.conftest import TOKEN, Running
from tests.integration.gateway.seeds import catalog_seeds

# The pickier one; by hand-made requests both are tried.
_ON = pytest.mark.parametrize(
    "store", [pytest.param("postgresql", marks=pytest.mark.servers)], indirect=True, scope="session"
)
pytestmark = [
    _ON,
    pytest.mark.usefixtures("store"),
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(400),
]

_SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")
_HOOKS = "tests.integration.gateway.limits.schemathesis_hooks"
_SECONDS = 300.0
_CATALOG = "apis/servicecatalog.k8s.io/v1beta1"
_BRIEFLY = [
    ("api/v1", ["POST /api/v1/namespaces/{namespace}/secrets", "PATCH /api/v1/namespaces/{namespace}/secrets/{name}"]),
    ("apis/authentication.k8s.io/v1", ["POST /apis/authentication.k8s.io/v1/selfsubjectreviews"]),
    ("apis/authentication.k8s.io/v1beta1", ["POST /apis/authentication.k8s.io/v1beta1/selfsubjectreviews"]),
    ("apis/authorization.k8s.io/v1", ["POST /apis/authorization.k8s.io/v1/subjectaccessreviews"]),
    ("apis/audit.chandlery.io/v1", ["GET /apis/audit.chandlery.io/v1/auditevents"]),
    ("apis/history.chandlery.io/v1", ["GET /apis/history.chandlery.io/v1/serviceinstanceoperations"]),
    (
        "apis/rbac.authorization.k8s.io/v1",
        ["POST /apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings"],
    ),
    ("apis/events.k8s.io/v1", ["PUT /apis/events.k8s.io/v1/namespaces/{namespace}/events/{name}"]),
    (_CATALOG, [f"GET {CATALOG}/namespaces/{{namespace}}/serviceinstances"]),
    (_CATALOG, [f"POST {CATALOG}/namespaces/{{namespace}}/serviceinstances"]),
    (_CATALOG, [f"PUT {CATALOG}/clusterservicebrokers/{{name}}"]),
    (_CATALOG, [f"DELETE {CATALOG}/namespaces/{{namespace}}/servicebindings/{{name}}"]),
]
"""Operations of each document, a few seconds at a time."""
_DOCUMENTS = list(dict.fromkeys(document for document, _ in _BRIEFLY))


async def test_every_document_of_the_index_is_used(gateway: Running) -> None:
    paths = (await gateway.api.read("/openapi/v3"))["paths"]
    assert set(paths) == set(_DOCUMENTS)


@pytest.mark.parametrize(("document", "operations"), _BRIEFLY)
async def test_request_made_from_the_schema_gets_no_server_error(
    gateway: Running, document: str, operations: list[str]
) -> None:
    await _plant_seeds(gateway)
    base = gateway.session._base_url
    options = ["--phases", "coverage", *(word for name in operations for word in ("--include-name", name))]
    running = await asyncio.create_subprocess_exec(
        str(_SCHEMATHESIS),
        "run",
        f"{base}/openapi/v3/{document}",
        *("--url", str(base), "--header", f"Authorization: Bearer {TOKEN}"),
        *("--checks", "not_a_server_error", "--request-timeout", "30", "--continue-on-failure", "--warnings", "off"),
        *("--seed", "1", "--generation-deterministic", "--no-color"),
        *("--suppress-health-check", "all"),
        *options,
        env={**os.environ, "SCHEMATHESIS_HOOKS": _HOOKS, "PYTHONPATH": str(Path(__file__).parents[4])},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(_SECONDS):
            printed, _ = await running.communicate()
    finally:
        if running.returncode is None:
            running.kill()
    said = (printed or b"").decode(errors="replace")
    assert running.returncode == 0, said
    assert "No issues found" in said
    assert (await gateway.api.get("/livez")).status == 200


async def _plant_seeds(gateway: Running) -> None:
    """An object of each kind that a request may be led to."""
    for path, seed in catalog_seeds():
        await gateway.api.made(path, seed)
