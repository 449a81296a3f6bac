"""What kubectl asks before it does anything: discovery, versions and OpenAPI documents. Built once, served as bytes."""

from collections.abc import Callable
from functools import cached_property
from importlib.metadata import version

from fastapi import APIRouter, Request, Response

from chandlery.model.faults import NotFound
from chandlery.model.json.json_text import write_kept_json
from chandlery.model.objects.instances import UserInfo
from chandlery.model.objects.kinds import CORE_KINDS
from chandlery.model.objects.wire import JsonObject
from chandlery.process.aside import aside_if
from chandlery.process.http.metrics_page import METRICS_PATH
from chandlery.process.http.probes import PROBE_PATHS
from chandlery_gateway.http.pipeline import Pipeline
from chandlery_gateway.http.rendering import document_response
from chandlery_gateway.identity.authorization import Access
from chandlery_gateway.kube.kinds.regarding_events import sent_model
from chandlery_gateway.kube.kinds.served_kinds import GROUP_KINDS, SERVED_KINDS
from chandlery_gateway.kube.openapi import discovery, openapi_v2, openapi_v3
from chandlery_gateway.kube.openapi.openapi_schemas import DocumentedKind
from chandlery_gateway.kube.query.negotiation import DISCOVERY_FORMS, JSON, PROTO_OPENAPI, Form, negotiate

_OTHER_PATHS = ("/docs", METRICS_PATH, "/openapi/v2", "/openapi/v3", "/version", *PROBE_PATHS)

_NO_DEFINITIONS: JsonObject = {
    "kind": "CustomResourceDefinitionList",
    "apiVersion": "apiextensions.k8s.io/v1",
    "metadata": {"resourceVersion": "0"},
    "items": [],
}


class Documents:
    """All documents of this release. Those of OpenAPI are made when they are first asked for: it takes a while."""

    def __init__(self) -> None:
        self._release = version("chandlery")
        self._kinds = [
            DocumentedKind(
                group=kind.group,
                version=kind.version,
                kind=kind.kind,
                plural=kind.plural,
                namespaced=kind.namespaced,
                model=sent_model(kind),
                has_status=kind.has_status,
                verbs=frozenset(kind.verbs),
            )
            for kind in SERVED_KINDS
        ]
        self.version = discovery.version_document(self._release)

    @cached_property
    def openapi_v3(self) -> dict[str, bytes]:
        """By the path of the group version."""
        return {
            path: write_kept_json(openapi_v3.document(group_version, self._kinds, release=self._release))
            for path, group_version in self.openapi_v3_paths.items()
        }

    @property
    def openapi_v3_paths(self) -> dict[str, str]:
        """The path of each group version's document -> the group version."""
        return {
            openapi_v3.document_path(group, release): "/".join(filter(None, (group, release)))
            for group, release in sorted({(kind.group, kind.version) for kind in self._kinds})
        }

    @cached_property
    def openapi_v3_index(self) -> bytes:
        """Where the documents of the group versions are."""
        return write_kept_json(openapi_v3.index(self.openapi_v3))

    @cached_property
    def openapi_v2_json(self) -> bytes:
        """All group versions in one."""
        return write_kept_json(self._openapi_v2)

    @cached_property
    def openapi_v2_protobuf(self) -> bytes:
        """The same for clients that read no JSON."""
        from chandlery_gateway.kube.openapi import openapi_protobuf  # noqa: PLC0415 - 3 MB that few ask for

        return openapi_protobuf.encode(self._openapi_v2)

    @property
    def _openapi_v2(self) -> JsonObject:
        return openapi_v2.document(self._kinds, release=self._release)


def register_documents(router: APIRouter, pipeline: Pipeline) -> None:
    """Routes of the documents. `/version` answers without a token, as in Kubernetes; the others want one."""
    documents = Documents()

    async def server_version(_request: Request) -> Response:
        return document_response(documents.version)

    endpoint = pipeline.open_endpoint(server_version, route="discovery")
    router.add_api_route("/version", endpoint, methods=["GET"], include_in_schema=False)

    def add(path: str, answer: Callable[[Request], Response]) -> None:
        route = "openapi" if path.startswith("/openapi") else "discovery"

        async def handle(request: Request, _user: UserInfo) -> Response:
            # Whoever is the first to ask for a large document must not keep everybody else waiting.
            return await aside_if(route == "openapi", lambda: answer(request))

        endpoint = pipeline.endpoint(handle, access=_access, kind=None, route=route)
        router.add_api_route(path, endpoint, methods=["GET"], include_in_schema=False)

    paths = discovery.root_paths((*_OTHER_PATHS, *(f"/openapi/v3/{path}" for path in documents.openapi_v3_paths)))
    add("/", lambda _request: document_response(paths))
    add("/api", lambda request: _discovery(request, discovery.core_versions(), core=True))
    add("/apis", lambda request: _discovery(request, discovery.groups(), core=False))
    add("/api/v1", lambda _request: _found(discovery.resources("v1")))
    add("/apis/{group}", lambda request: _found(discovery.group(request.path_params["group"])))
    add("/apis/{group}/{release}", _resources)
    # kubectl looks here before it says that it does not know a kind; without an answer it blames validation.
    add("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", lambda _request: document_response(_NO_DEFINITIONS))
    add("/openapi/v3", lambda _request: Response(documents.openapi_v3_index, media_type=JSON))
    add("/openapi/v3/{path:path}", lambda request: _openapi_v3(documents, request.path_params["path"]))
    add("/openapi/v2", lambda request: _openapi_v2(documents, request))


def _access(request: Request, user: UserInfo) -> Access:
    # From the scope: the header `Host`, which anybody may write, is a part of `request.url`.
    return Access(user=user, verb=request.method.lower(), path=request.scope["path"])


def _discovery(request: Request, plain: JsonObject, *, core: bool) -> Response:
    wanted = negotiate(request.headers.get("accept", ""), DISCOVERY_FORMS)
    if wanted.form is Form.PLAIN:
        return document_response(plain, representation=wanted)
    kinds = CORE_KINDS if core else GROUP_KINDS
    return document_response(discovery.aggregated(kinds, version=wanted.version), representation=wanted)


def _resources(request: Request) -> Response:
    params = request.path_params
    return _found(discovery.resources(f"{params['group']}/{params['release']}"))


def _found(document: JsonObject | None) -> Response:
    if document is None:
        raise NotFound("the server could not find the requested resource")
    return document_response(document)


def _openapi_v3(documents: Documents, path: str) -> Response:
    body = documents.openapi_v3.get(path)
    if body is None:
        raise NotFound("the server could not find the requested resource")
    return Response(body, media_type=JSON)


def _openapi_v2(documents: Documents, request: Request) -> Response:
    if "proto-openapi" in request.headers.get("accept", ""):
        # Not the media type of the request: Go cannot parse the `@` in it.
        return Response(documents.openapi_v2_protobuf, media_type=PROTO_OPENAPI)
    return Response(documents.openapi_v2_json, media_type=JSON)
