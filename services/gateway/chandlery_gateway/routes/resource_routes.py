"""Registers the routes of every kind, with typed schemas for FastAPI's own documentation.

An operation (`create`, `patch_status`) has a route, a verb that the authorizer is asked about, and a handler, which is
found in the tables of `read_handlers` and `write_handlers`.
"""

from collections.abc import Callable, Coroutine, Iterable, Mapping
from functools import cache
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from fastapi.utils import create_model_field
from pydantic import BaseModel, create_model
from starlette.routing import Match
from starlette.types import Scope

from chandlery.model.faults import NotFound
from chandlery.model.objects.instances import UserInfo
from chandlery.model.objects.kinds import KINDS, Kind
from chandlery.model.objects.wire import WireModel
from chandlery_gateway.http.pipeline import AccessOf, Handler, Pipeline
from chandlery_gateway.identity.authorization import Access, access_to
from chandlery_gateway.kube.apply.field_shapes import STATUS
from chandlery_gateway.kube.patch.patches import APPLY_PATCH, JSON_PATCH, MERGE_PATCH
from chandlery_gateway.kube.query.list_options import is_watch
from chandlery_gateway.routes.read_handlers import access_of_list

_VERBS: Final = {
    "list": "list",
    "get": "get",
    "get_status": "get",
    "create": "create",
    "replace": "update",
    "patch": "patch",
    "delete": "delete",
    "delete_collection": "deletecollection",
    "replace_status": "update",
    "patch_status": "patch",
}
"""Of the operations, as Kubernetes' RBAC calls them."""


class Status(BaseModel):
    """What went wrong, as Kubernetes says it."""

    kind: str = "Status"
    apiVersion: str = "v1"  # noqa: N815 - the wire's name
    status: str = "Failure"
    message: str = ""
    reason: str = ""
    code: int = 0
    details: dict[str, Any] | None = None


class ListMetadata(WireModel):
    """Where a list stands."""

    resource_version: str = ""
    continue_: str | None = None


_FAULTS: dict[int | str, dict[str, Any]] = {
    400: {"model": Status, "description": "The request cannot be understood."},
    401: {"model": Status, "description": "No valid token."},
    404: {"model": Status, "description": "No such object."},
    409: {"model": Status, "description": "Exists already, or has been modified."},
    422: {"model": Status, "description": "Not valid; each field is named."},
}
_QUERY = {
    "list": (
        "labelSelector",
        "fieldSelector",
        "limit",
        "continue",
        "watch",
        "resourceVersion",
        "resourceVersionMatch",
        "sendInitialEvents",
        "allowWatchBookmarks",
        "timeoutSeconds",
    ),
    "write": ("dryRun", "fieldValidation", "fieldManager"),
    "patch": ("dryRun", "fieldValidation", "fieldManager", "force"),
    "delete": ("dryRun", "gracePeriodSeconds", "propagationPolicy", "orphanDependents"),
    "get": ("resourceVersion",),
}


@cache
def _field(model: type[BaseModel]) -> Any:
    return create_model_field(model.__name__, model, mode="serialization")


@cache
def list_model(kind: Kind) -> type[BaseModel]:
    """What a list of the kind is answered with, for the documentation."""
    return create_model(
        f"{kind.kind}List",
        kind=(str, f"{kind.kind}List"),
        apiVersion=(str, kind.api_version),
        metadata=(ListMetadata, ListMetadata()),
        items=(list[kind.model], []),  # type: ignore[name-defined]
    )


class KindRoute(APIRoute):
    """A route of one kind, which is passed over without a regular expression on paths that do not name the kind.

    There are more than a hundred routes, and finding one among them took longer than all else that a request needs.
    """

    def __init__(
        self,
        path: str,
        endpoint: Callable[..., Any],
        *,
        responses: Mapping[int | str, dict[str, Any]] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(path, endpoint, **options)
        # Given to it, each route would build six schemas of its own: four fifths of what the application takes.
        self.responses = {code: {**each} for code, each in (responses or {}).items()}
        self.response_fields = {code: _field(each["model"]) for code, each in self.responses.items() if "model" in each}
        self._word = next(part for part in reversed(path.split("/")) if part != "status" and not part.startswith("{"))

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """See APIRoute. The endpoint as it is: FastAPI has nothing to inject into it and nothing to check of it."""
        endpoint: Callable[[Request], Coroutine[Any, Any, Response]] = self.endpoint
        return endpoint

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """See Route."""
        return super().matches(scope) if self._word in scope["path"] else (Match.NONE, {})


def register_kind(router: APIRouter, kind: Kind, pipeline: Pipeline, handlers: Mapping[str, Handler]) -> None:
    """All routes of one kind; `handlers` has one for each operation."""
    root = f"/apis/{kind.api_version}" if kind.group else f"/api/{kind.api_version}"
    place = f"{root}/namespaces/{{namespace}}/{kind.plural}" if kind.namespaced else f"{root}/{kind.plural}"
    register = _Registrar(router, kind, pipeline, handlers)
    if kind.namespaced:
        register.add(f"{root}/{kind.plural}", "GET", "list", suffix="_in_all_namespaces")
    register.add(place, "GET", "list")
    register.add(place, "POST", "create")
    register.add(place, "DELETE", "delete_collection")
    one = f"{place}/{{name}}"
    for method, name in (("GET", "get"), ("PUT", "replace"), ("PATCH", "patch"), ("DELETE", "delete")):
        register.add(one, method, name)
    if kind.has_status:
        for method, name in (("GET", "get_status"), ("PUT", "replace_status"), ("PATCH", "patch_status")):
            register.add(f"{one}/status", method, name)


class _Registrar:
    """Adds routes of one kind to a router."""

    def __init__(self, router: APIRouter, kind: Kind, pipeline: Pipeline, handlers: Mapping[str, Handler]) -> None:
        self._router = router
        self._kind = kind
        self._pipeline = pipeline
        self._handlers = handlers

    def add(self, path: str, method: str, name: str, *, suffix: str = "") -> None:
        """One route."""
        is_list = name in ("list", "delete_collection")
        model = list_model(self._kind) if is_list else self._kind.model
        code = 201 if name == "create" else 200
        route = f"{self._kind.plural}/{STATUS}" if path.endswith(f"/{STATUS}") else self._kind.plural
        self._router.add_api_route(
            path,
            self._pipeline.endpoint(
                self._handlers[name], access=_access(self._kind, name), kind=self._kind, route=route
            ),
            methods=[method],
            operation_id=f"{name}_{self._kind.singular}{suffix}",
            summary=f"{name.replace('_', ' ').capitalize()} {self._kind.kind}{suffix.replace('_', ' ')}",
            tags=[self._kind.kind],
            status_code=code,
            response_model=None,
            # Once is enough for what is served under two names.
            include_in_schema=KINDS.get(self._kind.kind) == self._kind,
            route_class_override=KindRoute,
            responses={code: {"model": model, "description": "OK"}, **_FAULTS},
            openapi_extra={"parameters": list(_parameters(path, name)), **self._body(name)},
        )

    def _body(self, name: str) -> dict[str, Any]:
        schema = {"$ref": f"#/components/schemas/{self._kind.kind}"}
        content: dict[str, Any]
        if name in ("create", "replace", "replace_status"):
            content = {"application/json": {"schema": schema}, "application/yaml": {"schema": schema}}
        elif name in ("patch", "patch_status"):
            operations = {"type": "array", "items": {"type": "object"}}
            content = {
                MERGE_PATCH: {"schema": {"type": "object"}},
                JSON_PATCH: {"schema": operations},
                APPLY_PATCH: {"schema": {"type": "object"}},
            }
        else:
            return {}
        return {"requestBody": {"required": True, "content": content}}


def _access(kind: Kind, operation: str) -> AccessOf:
    """What an operation wants to do."""
    verb, subresource = _VERBS[operation], STATUS if operation.endswith(f"_{STATUS}") else ""

    def access(request: Request, user: UserInfo) -> Access:
        namespace, name = request.path_params.get("namespace", ""), request.path_params.get("name", "")
        if "\0" in namespace + name:
            # PostgreSQL would refuse to look for it.
            raise NotFound
        if operation == "list":
            asked = "watch" if is_watch(request.query_params) else "list"
            return access_of_list(kind, asked, request, user)
        return access_to(kind, verb, user=user, namespace=namespace, name=name, subresource=subresource)

    return access


def _parameters(path: str, name: str) -> Iterable[dict[str, Any]]:
    for part in ("namespace", "name"):
        if f"{{{part}}}" in path:
            yield {"name": part, "in": "path", "required": True, "schema": {"type": "string"}}
    for query in _query(name):
        yield {"name": query, "in": "query", "required": False, "schema": {"type": "string"}}


def _query(name: str) -> tuple[str, ...]:
    match name:
        case "delete_collection":
            return (*_QUERY["list"], *_QUERY["delete"])
        case "patch" | "patch_status":
            return _QUERY["patch"]
        case "list" | "get" | "delete":
            return _QUERY[name]
        case "get_status":
            return _QUERY["get"]
    return _QUERY["write"]
