"""The routes of the operation history, which is read alone: `kubectl get serviceinstanceoperations`."""

from typing import Any

from fastapi import APIRouter, Request, Response

from chandlery.model.faults import BadRequest, NotFound
from chandlery.model.objects.instances import UserInfo
from chandlery.model.objects.kinds import Kind
from chandlery_gateway.http.pipeline import AccessOf, Pipeline
from chandlery_gateway.http.rendering import answer_form, list_response, wire_response
from chandlery_gateway.identity.authorization import Access, Authorizer, access_to
from chandlery_gateway.kube.kinds.operation_kinds import OPERATION_KINDS
from chandlery_gateway.kube.printing.status_objects import MethodNotAllowed
from chandlery_gateway.kube.query.list_options import is_watch, read_list_options
from chandlery_gateway.kube.query.selectors import parse_field_selector
from chandlery_gateway.read.operation_reader import OperationList, OperationReader
from chandlery_gateway.routes.read_handlers import access_of_list, reach_of_get
from chandlery_gateway.routes.resource_routes import KindRoute, list_model


def register_operations(
    router: APIRouter, pipeline: Pipeline, reader: OperationReader, *, authorizer: Authorizer
) -> None:
    """Three routes for each kind: lists of all namespaces and of one, and single operations."""
    for kind in OPERATION_KINDS:
        handlers = _Handlers(kind, reader, authorizer)
        root = f"/apis/{kind.api_version}"
        place = f"{root}/namespaces/{{namespace}}/{kind.plural}"
        for path, verb, suffix in (
            (f"{root}/{kind.plural}", "list", "_in_all_namespaces"),
            (place, "list", ""),
            (f"{place}/{{name}}", "get", ""),
        ):
            handle, model = (handlers.list, list_model(kind)) if verb == "list" else (handlers.get, kind.model)
            router.add_api_route(
                path,
                pipeline.endpoint(handle, access=_access(kind, verb), kind=kind, route=kind.plural),
                methods=["GET"],
                operation_id=f"{verb}_{kind.singular}{suffix}",
                summary=f"{verb.capitalize()} {kind.kind}{suffix.replace('_', ' ')}",
                tags=[kind.kind],
                response_model=None,
                route_class_override=KindRoute,
                responses={200: {"model": model, "description": "OK"}},
                openapi_extra={"parameters": _parameters(path, verb)},
            )


class _Handlers:
    """Of one kind. That the user may has been decided; lists ask what they may see of it."""

    def __init__(self, kind: Kind, reader: OperationReader, authorizer: Authorizer) -> None:
        self._kind = kind
        self._reader = reader
        self._authorizer = authorizer

    async def get(self, request: Request, _user: UserInfo) -> Response:
        """One operation."""
        form, params = answer_form(request), request.path_params
        found = await self._reader.get(self._kind, params["namespace"], params["name"])
        return wire_response(self._kind, found, form)

    async def list(self, request: Request, user: UserInfo) -> Response:
        """A page, the newest first."""
        query, plural = request.query_params, self._kind.plural
        if is_watch(query):
            raise MethodNotAllowed(f"{plural} cannot be watched: list them again, with since=1m as field selector")
        if query.get("labelSelector"):
            raise BadRequest(f"{plural} have no labels; select them by fields")
        form, options, text = answer_form(request), read_list_options(query), query.get("fieldSelector", "")
        asked = OperationList(
            kind=self._kind,
            namespace=request.path_params.get("namespace"),
            selector=parse_field_selector(self._kind, text),
            selector_text=text,
            reach=await reach_of_get(self._authorizer, self._kind, request, user),
            limit=options.limit,
            token=options.token,
        )
        return await list_response(self._kind, await self._reader.list(asked), form)


def _access(kind: Kind, verb: str) -> AccessOf:
    def access(request: Request, user: UserInfo) -> Access:
        namespace, name = request.path_params.get("namespace", ""), request.path_params.get("name", "")
        if "\0" in namespace + name:
            # PostgreSQL would refuse to look for it.
            raise NotFound
        if verb == "list":
            # Whoever may list is told that a watch is nothing that a role could allow.
            return access_of_list(kind, verb, request, user)
        return access_to(kind, verb, user=user, namespace=namespace, name=name)

    return access


def _parameters(path: str, verb: str) -> list[dict[str, Any]]:
    names = [part for part in ("namespace", "name") if f"{{{part}}}" in path]
    given = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]
    queries = ("fieldSelector", "limit", "continue") if verb == "list" else ()
    return given + [{"name": name, "in": "query", "required": False, "schema": {"type": "string"}} for name in queries]
