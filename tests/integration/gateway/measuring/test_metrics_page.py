"""`/metrics` on the port of the API: for whom, in which form, and what it tells of requests."""

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics

from chandlery.telemetry.catalog.api_requests import API_REQUEST_SECONDS, API_REQUESTS, AUTHENTICATION_FAILURES
from tests.integration.gateway.api_client import CATALOG, RBAC, Api
from tests.integration.gateway.conftest import Running
from tests.integration.gateway.measuring.scraping import PAGE, scraped
from tests.support.measured.metrics_page import names, news

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_page_is_for_whoever_may_get_that_path(own_gateway: Running) -> None:
    api, stranger, ann = own_gateway.api, own_gateway.as_user(None), own_gateway.as_user("token-of-ann-the-developer")
    assert (await api.get(PAGE)).status == 200
    assert (await stranger.get(PAGE)).status == 401
    await api.delete(f"{RBAC}/clusterrolebindings/ann-may-do-everything")
    refused = await ann.get(PAGE)
    assert refused.status == 403 and refused.message.startswith('User "ann" cannot get path "/metrics"')
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "ann"}
    await api.patch(f"{RBAC}/clusterrolebindings/system:monitoring", {"subjects": [subject]})
    assert (await ann.get(PAGE)).status == 200


async def test_page_comes_in_the_form_that_is_asked_for(api: Api) -> None:
    plain = await api.get(PAGE)
    assert plain.headers["Content-Type"].startswith("text/plain; version=")
    assert "process_open_fds" in set(names(plain.payload.decode()))
    asked = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3"
    other = await api.call("GET", PAGE, headers={"Accept": asked})
    assert other.headers["Content-Type"].startswith("application/openmetrics-text")
    assert list(openmetrics(other.payload.decode()))  # type: ignore[no-untyped-call]


async def test_requests_are_counted_by_route_verb_and_code(gateway: Running) -> None:
    api, stranger = gateway.api, gateway.as_user("nobody-has-this-token")
    before = await scraped(api)
    await api.get(f"{CATALOG}/namespaces/team/serviceinstances")
    await api.get(f"{CATALOG}/namespaces/team/serviceinstances/missing/status")
    await api.get(f"{CATALOG}/no-such-thing/of-a-user")
    await api.get("/openapi/v3")
    await api.get(CATALOG)
    await stranger.get(f"{CATALOG}/namespaces/team/serviceinstances")
    more = news(before, await scraped(api))
    assert {key[1:] for key in more if key[0] == API_REQUESTS.name} == {
        ("200", "serviceinstances", "list"),
        ("404", "serviceinstances/status", "get"),
        ("404", "none", "get"),
        ("200", "openapi", "get"),
        ("200", "discovery", "get"),
        ("401", "serviceinstances", "list"),
        ("200", "metrics", "get"),
    }
    assert more[f"{API_REQUEST_SECONDS.name}_count", "serviceinstances", "list"] == 2
    assert more[AUTHENTICATION_FAILURES.name, "unknown token"] == 1


async def test_nothing_that_a_client_has_made_up_becomes_a_label(gateway: Running) -> None:
    api = gateway.api
    made_up = {"Accept": "made-up"}
    async with gateway.session.request("PROPFIND", "/apis/made-up/v1/made-up", headers=made_up) as response:
        assert response.status == 404
    await api.get("/made-up/made-up")
    await api.get("/apis/made-up")
    await api.get("/apis/made-up/v1/namespaces/made-up/made-up/made-up")
    page = (await api.get(PAGE)).payload.decode()
    assert "made-up" not in page and "propfind" not in page.lower()
