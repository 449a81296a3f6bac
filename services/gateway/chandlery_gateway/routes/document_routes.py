"""What clients ask before they do anything: discovery, versions and OpenAPI documents. Built once, served as bytes."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import cached_property
from importlib.metadata import version
from typing import Final, TypeVar

from fastapi import APIRouter, Request, Response

from chandlery.model.faults import NotFound
from chandlery.model.json.json_text import write_kept_json
from chandlery.model.objects.instances import UserInfo
from chandlery.model.objects.kinds import Kind
from chandlery.model.objects.wire import JsonObject
from chandlery.process.aside import aside_if
from chandlery.process.commands.about.build_stamp import BuildStamp
from chandlery.process.http.metrics_page import METRICS_PATH
from chandlery.process.http.probes import PROBE_PATHS
from chandlery_gateway.http.pipeline import Pipeline
from chandlery_gateway.http.rendering import yaml_text
from chandlery_gateway.identity.authorization import Access
from chandlery_gateway.kube.kinds.regarding_events import sent_model
from chandlery_gateway.kube.kinds.served_kinds import ServedKinds
from chandlery_gateway.kube.openapi import discovery, openapi_v2, openapi_v3
from chandlery_gateway.kube.openapi.openapi_schemas import DocumentedKind
from chandlery_gateway.kube.query.negotiation import (
    DISCOVERY_FORMS,
    PROTO_OPENAPI,
    YAML,
    Form,
    Representation,
    negotiate,
    negotiate_openapi,
)
from chandlery_gateway.routes.kept_documents import KeptDocument, kept_response

_Known = TypeVar("_Known")

_OTHER_PATHS: Final = ("/docs", METRICS_PATH, "/openapi/v2", "/openapi/v3", "/version", *PROBE_PATHS)
_MOVED: Final = 301
_YEAR: Final = timedelta(days=365)
_PLAIN: Final = frozenset({Form.PLAIN})
_DEFINITIONS: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_NO_DEFINITIONS: JsonObject = {
    "kind": "CustomResourceDefinitionList",
    "apiVersion": "apiextensions.k8s.io/v1",
    "metadata": {"resourceVersion": "0"},
    "items": [],
}


class Documents:
    """All OpenAPI documents of this release, each made when it is first asked for: it takes a while."""

    def __init__(self, served: ServedKinds) -> None:
        self._release = version("chandlery")
        self._is_merged = not served.core
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
            for kind in served.every
        ]
        stamp = BuildStamp.read()
        self.version = discovery.version_document(
            self._release, commit=stamp.commit, tree_state=stamp.tree_state, date=stamp.date
        )
        self.openapi_v2_json = KeptDocument(lambda: write_kept_json(self._openapi_v2))
        """All group versions in one."""
        self.openapi_v2_protobuf = KeptDocument(self._protobuf, media_type=PROTO_OPENAPI)
        """The same for clients that read no JSON."""
        self.openapi_v3_index = KeptDocument(self._index)
        """Where the documents of the group versions are."""

    @cached_property
    def openapi_v3(self) -> dict[str, KeptDocument]:
        """By the path of the group version."""
        return {path: self._v3_of(group_version) for path, group_version in self.openapi_v3_paths.items()}

    @property
    def openapi_v3_paths(self) -> dict[str, str]:
        """The path of each group version's document -> the group version."""
        return {
            openapi_v3.document_path(group, release): "/".join(filter(None, (group, release)))
            for group, release in sorted({(kind.group, kind.version) for kind in self._kinds})
        }

    def _v3_of(self, group_version: str) -> KeptDocument:
        return KeptDocument(
            lambda: write_kept_json(openapi_v3.document(group_version, self._kinds, release=self._release))
        )

    def _index(self) -> bytes:
        return write_kept_json(openapi_v3.index({path: kept.digest for path, kept in self.openapi_v3.items()}))

    def _protobuf(self) -> bytes:
        from chandlery_gateway.kube.openapi import openapi_protobuf  # noqa: PLC0415 - 3 MB that few ask for

        return openapi_protobuf.encode(self._openapi_v2)

    @property
    def _openapi_v2(self) -> JsonObject:
        return openapi_v2.document(self._kinds, release=self._release, is_merged=self._is_merged)


def register_documents(router: APIRouter, pipeline: Pipeline, served: ServedKinds) -> None:
    """Routes of the documents. `/version` answers without a token, as in Kubernetes; the others want one."""
    documents = Documents(served)
    version_document = KeptDocument.of(documents.version)

    async def server_version(request: Request) -> Response:
        return kept_response(request, version_document)

    endpoint = pipeline.open_endpoint(server_version, route="discovery")
    router.add_api_route("/version", endpoint, methods=["GET"], include_in_schema=False)

    def add(path: str, answer: Callable[[Request], Response]) -> None:
        route = "openapi" if path.startswith("/openapi") else "discovery"

        async def handle(request: Request, _user: UserInfo) -> Response:
            # Whoever is the first to ask for a large document must not keep everybody else waiting.
            return await aside_if(route == "openapi", lambda: answer(request))

        endpoint = pipeline.endpoint(handle, access=_access, kind=None, route=route)
        router.add_api_route(path, endpoint, methods=["GET"], include_in_schema=False)

    paths = (*_OTHER_PATHS, *(f"/openapi/v3/{path}" for path in documents.openapi_v3_paths))
    add("/", _plain(discovery.root_paths(paths, served.every)))
    if served.core:
        add("/api", _root(discovery.core_versions(), served.core))
        add("/api/v1", _plain(discovery.resources("v1", served.every)))
        # kubectl looks here before it says that it does not know a kind; without an answer it blames validation.
        add(_DEFINITIONS, _plain(_NO_DEFINITIONS))
    add("/apis", _root(discovery.groups(served.in_groups), served.in_groups))
    by_group = {kind.group: _plain(discovery.group(kind.group, served.in_groups)) for kind in served.in_groups}
    add("/apis/{group}", lambda request: _found(by_group, request.path_params["group"])(request))
    by_version = {
        kind.api_version: _plain(discovery.resources(kind.api_version, served.every)) for kind in served.in_groups
    }
    add("/apis/{group}/{release}", lambda request: _found(by_version, _group_version(request))(request))
    add("/openapi/v3", lambda request: _openapi(request, documents.openapi_v3_index))
    add("/openapi/v3/{path:path}", lambda request: _openapi_v3(documents, request))
    add("/openapi/v2", lambda request: _openapi_v2(documents, request))


def _access(request: Request, user: UserInfo) -> Access:
    # From the scope: the header `Host`, which anybody may write, is a part of `request.url`.
    return Access(user=user, verb=request.method.lower(), path=request.scope["path"])


def _plain(document: JsonObject) -> Callable[[Request], Response]:
    kept = KeptDocument.of(document)

    def answer(request: Request) -> Response:
        wanted = negotiate(request.headers.get("accept", ""), _PLAIN)
        return kept_response(request, kept.in_yaml if wanted.media_type == YAML else kept)

    return answer


def _root(plain: JsonObject, kinds: tuple[Kind, ...]) -> Callable[[Request], Response]:
    """`/api` or `/apis`: the names of what is there, or all of it at once for those who ask for that."""
    kept: dict[Representation, KeptDocument] = {}

    def made(wanted: Representation) -> KeptDocument:
        document = plain if wanted.form is Form.PLAIN else discovery.aggregated(kinds, version=wanted.version)
        if wanted.media_type != YAML:
            return KeptDocument.of(document, media_type=wanted.content_type)
        return KeptDocument(lambda: yaml_text(document), media_type=wanted.content_type)

    def answer(request: Request) -> Response:
        wanted = negotiate(request.headers.get("accept", ""), DISCOVERY_FORMS)
        if wanted not in kept:
            # As many as there are forms, versions and media types.
            kept[wanted] = made(wanted)
        return kept_response(request, kept[wanted])

    return answer


def _group_version(request: Request) -> str:
    return f"{request.path_params['group']}/{request.path_params['release']}"


def _found(known: dict[str, _Known], name: str) -> _Known:
    if name not in known:
        raise NotFound("the server could not find the requested resource")
    return known[name]


def _openapi(request: Request, kept: KeptDocument) -> Response:
    negotiate_openapi(request.headers.get("accept", ""))
    return kept_response(request, kept)


def _openapi_v3(documents: Documents, request: Request) -> Response:
    path = request.path_params["path"]
    kept = _found(documents.openapi_v3, path)
    negotiate_openapi(request.headers.get("accept", ""))
    match request.query_params.get("hash"):
        case None | "":
            return kept_response(request, kept)
        case kept.digest:
            ends = format_datetime(datetime.now(UTC) + _YEAR, usegmt=True)
            return kept_response(request, kept, headers={"Cache-Control": "private, immutable", "Expires": ends})
    # What it has is of another release.
    return Response(status_code=_MOVED, headers={"Location": openapi_v3.address(path, kept.digest)})


def _openapi_v2(documents: Documents, request: Request) -> Response:
    if negotiate_openapi(request.headers.get("accept", ""), protobuf=True) == PROTO_OPENAPI:
        # Not the media type of the request: Go cannot parse the `@` in it.
        return kept_response(request, documents.openapi_v2_protobuf)
    return kept_response(request, documents.openapi_v2_json)
