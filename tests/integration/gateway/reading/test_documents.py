"""What clients ask before they do anything: who they are, what there is, what it looks like; and what is not there."""

import asyncio
from typing import Any

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from chandlery.model.objects.kinds import CATALOG_KINDS, CORE_KINDS, KINDS
from chandlery.process import followed_files
from chandlery.settings.settings import Settings
from chandlery.store.sealing.sealing import new_key
from tests.integration.gateway.api_client import CATALOG, TEAM, Api, instance
from tests.integration.gateway.conftest import Running, serving
from tests.support.waiting import eventually

DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"

# Documents do not depend on the database.
_ON = pytest.mark.parametrize("store", ["sqlite"], indirect=True, scope="session")
pytestmark = [_ON, pytest.mark.usefixtures("store"), pytest.mark.asyncio(loop_scope="session")]


async def test_probes_answer_without_a_token(gateway: Running) -> None:
    for path in ("/livez", "/healthz", "/readyz"):
        answer = await gateway.as_user(None).get(path)
        assert (answer.status, answer.payload) == (200, b"ok")


async def test_gateway_stays_ready_while_the_bus_is_away(own_gateway: Running) -> None:
    """Reads need no bus, and commands wait in the outbox: taking all gateways out of service would help nobody."""
    await own_gateway.resources.bus.close()
    stranger = own_gateway.as_user(None)
    assert (await stranger.get("/readyz")).payload == b"ok"
    # It says what is true all the same, to whoever asks for it.
    told = (await stranger.get("/readyz", verbose="")).payload.decode().splitlines()
    [failed] = [line for line in told if line.startswith("[-]")]
    assert failed.startswith("[-]bus failed, but the gateway works without it: ")
    assert failed.endswith(": The message bus is closed.")
    assert told[-1] == "readyz check passed"
    assert (await stranger.get("/readyz/bus")).status == 503
    assert (await stranger.get("/readyz/database")).payload == b"ok"
    assert (await stranger.get("/readyz/nothing")).status == 404
    assert (await own_gateway.as_user(None).get("/livez")).status == 200


@pytest.mark.parametrize("token", [None, "", "wrong", "token-of-the-administrator2"])
async def test_every_resource_wants_a_token(gateway: Running, token: str | None) -> None:
    stranger = gateway.as_user(token)
    for path in ("/api", "/apis", "/api/v1", "/openapi/v3", "/openapi/v2", f"{TEAM}/serviceinstances", CATALOG):
        answer = await stranger.get(path)
        assert answer.status == 401, path
        assert answer.document["reason"] == "Unauthorized"
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert (await stranger.post(f"{TEAM}/serviceinstances", instance())).status == 401
    assert (await gateway.api.get(f"{TEAM}/serviceinstances/db")).status == 404


async def test_a_token_is_taken_only_from_a_bearer_header(gateway: Running) -> None:
    stranger, token = gateway.as_user(None), gateway.api.token
    for header in (f"Basic {token}", f"{token}", "Bearer", f"Bearer {token} more"):
        assert (await stranger.call("GET", "/api", headers={"Authorization": header})).status == 401
    for header in (f"bearer {token}", f"Bearer  {token}"):
        assert (await stranger.call("GET", "/api", headers={"Authorization": header})).status == 200


async def test_users_of_the_token_file_are_who_they_are(gateway: Running) -> None:
    created = await gateway.as_user("token-of-ann-the-developer").made(f"{TEAM}/serviceinstances", instance())
    assert created["spec"]["userInfo"] == {
        "username": "ann",
        "uid": "uid-of-ann",
        "groups": ["developers", "dba", "system:authenticated"],
    }


async def test_the_version_is_told_to_anybody_in_kubernetes_words(gateway: Running) -> None:
    version = await gateway.as_user(None).read("/version")
    assert (version["major"], version["minor"]) == ("1", "32")
    assert version["gitVersion"].startswith("v1.32")


async def test_plain_discovery_leads_to_every_kind(api: Api) -> None:
    assert (await api.read("/api"))["versions"] == ["v1"]
    group, *_ = (await api.read("/apis"))["groups"]
    assert group["preferredVersion"]["groupVersion"] == "servicecatalog.k8s.io/v1beta1"
    assert (await api.read(f"/apis/{group['name']}"))["kind"] == "APIGroup"
    for root, kinds in ((CATALOG, CATALOG_KINDS), ("/api/v1", CORE_KINDS)):
        listed = (await api.read(root))["resources"]
        assert {entry["name"] for entry in listed if "/" not in entry["name"]} == {kind.plural for kind in kinds}
        for entry in (entry for entry in listed if "/" not in entry["name"]):
            # What discovery promises is there.
            assert (await api.get(f"{root}/{entry['name']}")).status == 200


async def test_aggregated_discovery_says_so_in_its_content_type(api: Api) -> None:
    for path, kinds in (("/api", CORE_KINDS), ("/apis", CATALOG_KINDS)):
        answer = await api.call("GET", path, headers={"Accept": DISCOVERY})
        assert answer.headers["Content-Type"].endswith("g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList")
        group, *_ = answer.document["items"]
        found = {resource["resource"] for resource in group["versions"][0]["resources"]}
        assert found == {kind.plural for kind in kinds}


async def test_openapi_v3_has_what_kubectl_needs_to_leave_validation_to_the_server(api: Api) -> None:
    paths = (await api.read("/openapi/v3"))["paths"]
    for path, kinds in (("apis/servicecatalog.k8s.io/v1beta1", CATALOG_KINDS), ("api/v1", CORE_KINDS)):
        document = await api.read(paths[path]["serverRelativeURL"])
        patches = [item["patch"] for item in document["paths"].values() if "patch" in item]
        for kind in kinds:
            gvk = {"group": kind.group, "version": kind.version, "kind": kind.kind}
            found = [patch for patch in patches if patch["x-kubernetes-group-version-kind"] == gvk]
            assert found, kind.kind
            assert "fieldValidation" in {parameter["name"] for parameter in found[0]["parameters"]}
    assert (await api.get("/openapi/v3/apis/unknown/v1")).status == 404


async def test_every_field_of_every_kind_is_described(api: Api) -> None:
    silent = []
    for path in (await api.read("/openapi/v3"))["paths"].values():
        schemas = (await api.read(path["serverRelativeURL"]))["components"]["schemas"]
        for name, schema in schemas.items():
            fields = {"": schema, **schema.get("properties", {})}
            silent += [f"{name}.{field}" for field, described in fields.items() if not described.get("description")]
    assert silent == []


async def test_openapi_v2_is_served_as_json_and_as_protobuf(api: Api) -> None:
    assert (await api.read("/openapi/v2"))["swagger"] == "2.0"
    accept = {"Accept": "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"}
    answer = await api.call("GET", "/openapi/v2", headers=accept)
    assert answer.status == 200
    assert answer.payload[:1] == b"\n"
    assert b"ServiceInstance" in answer.payload


async def test_the_documentation_of_fastapi_is_typed_for_every_kind(api: Api) -> None:
    document = await api.read("/docs/openapi.json")
    schemas = document["components"]["schemas"]
    for kind in KINDS.values():
        assert schemas[kind.kind]["properties"]["metadata"] == {"$ref": "#/components/schemas/ObjectMeta"} | {
            key: value for key, value in schemas[kind.kind]["properties"]["metadata"].items() if key != "$ref"
        }
        assert schemas[f"{kind.kind}List"]["properties"]["items"]["items"] == {
            "$ref": f"#/components/schemas/{kind.kind}"
        }
    assert "clusterServiceClassExternalName" in schemas["ServiceInstanceSpec"]["properties"]
    for reference in _references(document):
        assert reference.removeprefix("#/components/schemas/") in schemas
    operations = [operation for item in document["paths"].values() for operation in item.values()]
    ids = [operation["operationId"] for operation in operations]
    assert len(ids) == len(set(ids)) > 100
    assert document["security"] == [{"token": []}]
    assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    for path, item in document["paths"].items():
        for method, operation in item.items():
            named = {parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "path"}
            assert named == {part[1:-1] for part in path.split("/") if part.startswith("{")}
            assert ("requestBody" in operation) == (method in ("post", "put", "patch"))


def _references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [found for inner in value.values() for found in _references(inner)]
    return [found for inner in value for found in _references(inner)] if isinstance(value, list) else []


@pytest.mark.parametrize(
    "path",
    ["/nowhere", f"{CATALOG}/unknownkinds", f"{TEAM}/unknownkinds", f"{TEAM}/serviceinstances/a/b", "/apis/x/v1/y"],
)
async def test_an_unknown_path_is_a_status_of_not_found(api: Api, path: str) -> None:
    answer = await api.get(path)
    assert answer.status == 404
    assert (answer.document["kind"], answer.document["reason"]) == ("Status", "NotFound")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", f"{TEAM}/serviceinstances"),
        ("POST", f"{TEAM}/serviceinstances/db"),
        ("POST", f"{CATALOG}/serviceinstances"),
        ("DELETE", f"{TEAM}/serviceinstances/db/status"),
        ("POST", "/version"),
    ],
)
async def test_a_method_that_is_not_served_is_named(api: Api, method: str, path: str) -> None:
    answer = await api.call(method, path)
    assert answer.status == 405
    assert answer.document["reason"] == "MethodNotAllowed"
    assert method in answer.message


async def test_root_lists_every_path_and_each_is_there(gateway: Running) -> None:
    """Some clients begin here, such as `kubectl get --raw /`."""
    assert (await gateway.as_user(None).get("/")).status == 401
    answer = await gateway.api.get("/")
    assert (answer.status, list(answer.document)) == (200, ["paths"])
    paths = answer.document["paths"]
    assert {"/api/v1", "/apis/servicecatalog.k8s.io/v1beta1", "/openapi/v3/api/v1", "/livez", "/version"} <= set(paths)
    assert paths == sorted(paths)
    for path in paths:
        assert (await gateway.api.get(path)).status == 200, path


async def test_users_come_and_go_with_the_token_file(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(followed_files, "EVERY_SECONDS", 0.01)
    folder = tmp_path_factory.mktemp("tokens")
    tokens = folder / "tokens.csv"
    ann, bob = "token-of-ann-the-developer", "token-of-bob-the-operator"
    tokens.write_text(f"{ann},ann,1,system:masters\n")
    settings = Settings(
        database_url=SecretStr(f"sqlite:///{folder / 'chandlery.db'}"),
        amqp_url=SecretStr("memory:"),
        encryption_keys=SecretStr(new_key("test")),
        token_file=tokens,
        port=0,
    )

    async def answered(running: Running, token: str, status: int) -> None:
        async with asyncio.timeout(30):
            while (await running.as_user(token).get("/api")).status != status:
                pass

    async with serving(settings) as running:
        await answered(running, ann, 200)
        tokens.write_text(f"{bob},bob,2,system:masters\n")
        await answered(running, bob, 200)
        await answered(running, ann, 401)
        with capture_logs() as logged:
            # One that nobody can use takes nothing from those who are there.
            tokens.write_text("short,eve,3\n")
            await eventually(lambda: any(line["action"] == "reload_files" for line in logged), what="the new table")
        await answered(running, bob, 200)
        assert running.resources.addresses[0].startswith("http://127.0.0.1:")
