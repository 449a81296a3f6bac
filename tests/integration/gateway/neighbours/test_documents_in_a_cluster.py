"""What a gateway on the platform `kubernetes` tells of itself, asked as kube-apiserver and its clients do.

The application itself, from its outermost layer on, without a cluster: who asks may do everything.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import pytest
import pytest_asyncio
from starlette.types import ASGIApp, Message, Scope

from chandlery.model.objects.instances import UserInfo
from chandlery.model.objects.kinds import CATALOG_KINDS
from chandlery_gateway.app import create_app
from chandlery_gateway.identity.audit.auditor import NullAuditor
from chandlery_gateway.identity.authorization import EVERYTHING, Access, Decision, Reach, Rules
from chandlery_gateway.identity.rbac.kept_rules import NoRules
from chandlery_gateway.kube.query.negotiation import PROTO_OPENAPI
from chandlery_gateway.watch.watch_hub import WatchHub
from tests.integration.gateway.api_client import CATALOG
from tests.integration.gateway.conftest import Running

# Documents do not depend on the database.
_ON = pytest.mark.parametrize("store", ["sqlite"], indirect=True, scope="session")
pytestmark = [_ON, pytest.mark.usefixtures("store"), pytest.mark.asyncio(loop_scope="session")]

COLLECTOR: Final = (
    "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,"
    "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
)
"""As client-go's metadata client asks, with which kube-controller-manager looks for owners."""
AGGREGATED: Final = "application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"
OURS: Final = ["servicecatalog.k8s.io", "audit.chandlery.io", "history.chandlery.io"]


class Aggregator:
    """`system:kube-aggregator` of the group `system:masters`, as kube-apiserver asks for documents."""

    revision = 0

    async def authenticate(self, _scope: Scope) -> UserInfo:
        return UserInfo(username="system:kube-aggregator", groups=("system:masters",))

    async def decide(self, _access: Access) -> Decision:
        return Decision(allowed=True)

    async def reach(self, _access: Access) -> Reach:
        return EVERYTHING

    async def rules(self, _user: UserInfo, _namespace: str) -> Rules:
        return Rules()


@dataclass(frozen=True)
class Said:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    payload: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.payload)


@dataclass(frozen=True)
class InCluster:
    """The application."""

    app: ASGIApp

    async def get(self, path: str, **headers: str) -> Said:
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        path, _, query = path.partition("?")
        pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        scope = {"type": "http", "method": "GET", "path": path, "query_string": query.encode(), "headers": pairs}
        await self.app({**scope, "raw_path": path.encode(), "root_path": "", "scheme": "https"}, receive, send)
        found = {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}
        return Said(sent[0]["status"], found, b"".join(part.get("body", b"") for part in sent[1:]))


@pytest_asyncio.fixture(loop_scope="session")
async def inside(gateway: Running) -> InCluster:
    settings = gateway.resources.settings.model_copy(update={"platform": "kubernetes"})
    resources = replace(gateway.resources, settings=settings)
    hub, aggregator = WatchHub(resources.database, rules=NoRules()), Aggregator()
    return InCluster(create_app(resources, hub, authenticator=aggregator, authorizer=aggregator, auditor=NullAuditor()))


async def test_discovery_names_our_groups_alone(inside: InCluster) -> None:
    groups = (await inside.get("/apis")).document["groups"]
    assert [group["name"] for group in groups] == OURS
    paths = (await inside.get("/")).document["paths"]
    assert {path for path in paths if path.startswith("/api")} == {
        "/apis",
        *(f"/apis/{name}" for name in OURS),
        *(f"/apis/{name}/{'v1beta1' if name == OURS[0] else 'v1'}" for name in OURS),
    }


async def test_nothing_of_the_clusters_own_kinds_is_served(inside: InCluster) -> None:
    for path in (
        "/api",
        "/api/v1",
        "/api/v1/secrets",
        "/api/v1/namespaces/default",
        "/apis/rbac.authorization.k8s.io",
        "/apis/rbac.authorization.k8s.io/v1/clusterroles",
        "/apis/authorization.k8s.io/v1",
        "/apis/authentication.k8s.io/v1/tokenreviews",
        "/apis/events.k8s.io/v1/events",
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
    ):
        answer = await inside.get(path)
        assert (answer.status, answer.document["reason"]) == (404, "NotFound"), path


@pytest.mark.parametrize("name", OURS)
async def test_the_availability_check_of_each_apiservice_is_answered(inside: InCluster, name: str) -> None:
    """kube-apiserver asks for the resources of the group version, and wants a status of 2xx."""
    version = "v1beta1" if name == OURS[0] else "v1"
    answer = await inside.get(f"/apis/{name}/{version}", user_agent="kube-apiserver")
    assert (answer.status, answer.document["groupVersion"]) == (200, f"{name}/{version}")
    assert (await inside.get(f"/apis/{name}")).document["preferredVersion"]["version"] == version


@pytest.mark.parametrize("version", ["v2", "v2beta1"])
async def test_aggregated_discovery_is_told_once_and_then_by_its_tag(inside: InCluster, version: str) -> None:
    """As the aggregator of 1.27 and newer asks each API server behind it, every minute."""
    accept = AGGREGATED.format(version=version)
    answer = await inside.get("/apis", accept=accept)
    assert answer.headers["content-type"] == accept
    assert [group["metadata"]["name"] for group in answer.document["items"]] == OURS
    resources = answer.document["items"][0]["versions"][0]["resources"]
    assert [each["resource"] for each in resources] == [kind.plural for kind in CATALOG_KINDS]
    again = await inside.get("/apis", accept=accept, if_none_match=answer.headers["etag"])
    assert (again.status, again.payload, again.headers["etag"]) == (304, b"", answer.headers["etag"])
    # Other forms are other documents.
    assert (await inside.get("/apis", if_none_match=answer.headers["etag"])).status == 200


async def test_the_aggregated_form_is_chosen_as_the_newest_clients_ask_for_it(inside: InCluster) -> None:
    v2, v2beta1 = (AGGREGATED.format(version=version) for version in ("v2", "v2beta1"))
    for accept, content_type in (
        (f"{v2},{v2beta1},application/json", v2),
        (f"{v2beta1},application/json", v2beta1),
        ("application/cbor;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json", "application/json"),
        ("application/vnd.kubernetes.protobuf,application/json", "application/json"),
        (f"{v2};profile=nopeer,{v2}", v2),
    ):
        answer = await inside.get("/apis", accept=accept)
        assert (answer.status, answer.headers["content-type"]) == (200, content_type), accept
    refused = await inside.get("/apis", accept="application/vnd.kubernetes.protobuf")
    assert (refused.status, refused.document["reason"]) == (406, "NotAcceptable")


async def test_openapi_v2_has_only_our_groups_under_names_of_its_own(inside: InCluster) -> None:
    answer = await inside.get("/openapi/v2", accept="application/json")
    document = answer.document
    groups = {path.split("/")[2] for path in document["paths"]}
    assert groups == set(OURS)
    packages = {name.rpartition(".")[0] for name in document["definitions"]}
    assert packages == {
        "io.k8s.servicecatalog.v1beta1",
        "io.chandlery.audit.v1",
        "io.chandlery.history.v1",
        "io.chandlery.meta.v1",
    }
    same = await inside.get("/openapi/v2", accept="application/json", if_none_match=answer.headers["etag"])
    assert (same.status, same.payload) == (304, b"")


async def test_openapi_v2_is_served_in_the_forms_that_are_asked_for(inside: InCluster) -> None:
    for accept in (PROTO_OPENAPI, "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"):
        answer = await inside.get("/openapi/v2", accept=accept)
        assert answer.headers["content-type"] == PROTO_OPENAPI
        assert b"io.chandlery.meta.v1.ObjectMeta" in answer.payload
    for accept in ("", "*/*", "application/json;q=0.9,text/html", f"text/html,{PROTO_OPENAPI};q=0"):
        answer = await inside.get("/openapi/v2", accept=accept or "*/*")
        expected = 406 if accept.startswith("text/html") else 200
        assert answer.status == expected, accept


async def test_openapi_v3_documents_may_be_kept_for_as_long_as_their_address_stands(inside: InCluster) -> None:
    index = await inside.get("/openapi/v3")
    paths = index.document["paths"]
    assert set(paths) == {f"apis/{name}/{'v1beta1' if name == OURS[0] else 'v1'}" for name in OURS}
    assert (await inside.get("/openapi/v3", if_none_match=index.headers["etag"])).status == 304
    address = paths["apis/servicecatalog.k8s.io/v1beta1"]["serverRelativeURL"]
    found = await inside.get(address)
    assert (found.status, found.headers["cache-control"]) == (200, "private, immutable")
    assert "expires" in found.headers
    assert (await inside.get(address, if_none_match=f"W/{found.headers['etag']}")).status == 304
    plain = address.partition("?")[0]
    assert (await inside.get(plain)).headers["cache-control"] == "no-cache, private"
    moved = await inside.get(f"{plain}?hash=OLDER")
    assert (moved.status, moved.headers["location"]) == (301, address)
    # kubectl reads JSON; a form that is not served is not pretended.
    refused = await inside.get(plain, accept="application/com.github.proto-openapi.spec.v3@v1.0+protobuf")
    assert (refused.status, refused.document["reason"]) == (406, "NotAcceptable")


async def test_storage_version_hashes_are_those_that_kubernetes_computes(inside: InCluster) -> None:
    resources = {each["name"]: each for each in (await inside.get(CATALOG)).document["resources"]}
    # The first eight bytes of SHA-256 of `servicecatalog.k8s.io/v1beta1/ServiceInstance`.
    assert resources["serviceinstances"]["storageVersionHash"] == "NwnSqkNl6Ys="
    assert "storageVersionHash" not in resources["serviceinstances/status"]
    history = (await inside.get("/apis/history.chandlery.io/v1")).document["resources"]
    assert not any("storageVersionHash" in each for each in history)


async def test_the_page_of_the_documentation_has_only_what_is_served(inside: InCluster) -> None:
    paths = (await inside.get("/docs/openapi.json")).document["paths"]
    assert not any(path.startswith("/api/") for path in paths)
    assert f"{CATALOG}/namespaces/{{namespace}}/serviceinstances" in paths


async def test_a_restored_gateway_does_not_tell_the_collector_that_the_owner_of_a_secret_is_gone(
    inside: InCluster, gateway: Running
) -> None:
    """A live GET of 404, or of another uid, is what makes kube-controller-manager delete a Secret."""
    here = f"{CATALOG}/namespaces/held/servicebindings/lost"
    others = f"{CATALOG}/clusterservicebrokers/lost"
    assert (await inside.get(here)).status == 404
    await gateway.resources.database.run(lambda unit: unit.restored.hold.begin())
    try:
        answer = await inside.get(here, accept=COLLECTOR)
        assert (answer.status, answer.document["reason"]) == (503, "ServiceUnavailable")
        assert "chandlery reconcile release" in answer.document["message"]
        assert (await inside.get(others, accept=COLLECTOR)).status == 404
        assert (await inside.get(here)).status == 404, "kubectl apply looks for what it then makes"
        assert (await inside.get(f"{CATALOG}/namespaces/held/servicebindings")).status == 200
    finally:
        await gateway.resources.database.run(lambda unit: unit.restored.go_on())
    assert (await inside.get(here, accept=COLLECTOR)).status == 404
