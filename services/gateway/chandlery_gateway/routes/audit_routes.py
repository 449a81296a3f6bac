"""The routes of the audit log: `kubectl get auditevents`. It is read, and never written, watched or deleted."""

from fastapi import APIRouter, Request, Response

from chandlery.model.faults import BadRequest, NotFound
from chandlery.model.objects.instances import UserInfo
from chandlery_gateway.http.pipeline import AccessOf, Pipeline
from chandlery_gateway.http.rendering import answer_form, list_response, wire_response
from chandlery_gateway.identity.authorization import Access, access_to
from chandlery_gateway.kube.kinds.audit_kinds import AUDIT_EVENT
from chandlery_gateway.kube.printing.status_objects import MethodNotAllowed
from chandlery_gateway.kube.query.list_options import is_watch, read_list_options
from chandlery_gateway.kube.query.selectors import parse_field_selector
from chandlery_gateway.read.audit_reader import AuditReader


def register_audit(router: APIRouter, pipeline: Pipeline, reader: AuditReader) -> None:
    """One route for lists, one for single events."""

    async def get(request: Request, _user: UserInfo) -> Response:
        form = answer_form(request)
        return wire_response(AUDIT_EVENT, await reader.get(request.path_params["name"]), form)

    async def list_(request: Request, _user: UserInfo) -> Response:
        query = request.query_params
        if is_watch(query):
            raise MethodNotAllowed("auditevents cannot be watched: list them again, with since=1m as field selector")
        if query.get("labelSelector"):
            raise BadRequest("auditevents have no labels; select them by fields")
        form, options, text = answer_form(request), read_list_options(query), query.get("fieldSelector", "")
        selector = parse_field_selector(AUDIT_EVENT, text)
        page = await reader.list(selector, text=text, limit=options.limit, token=options.token)
        return await list_response(AUDIT_EVENT, page, form)

    root = f"/apis/{AUDIT_EVENT.api_version}/{AUDIT_EVENT.plural}"
    for path, verb, handle in ((root, "list", list_), (f"{root}/{{name}}", "get", get)):
        endpoint = pipeline.endpoint(handle, access=_access(verb), kind=AUDIT_EVENT, route=AUDIT_EVENT.plural)
        router.add_api_route(path, endpoint, methods=["GET"], include_in_schema=False)


def _access(verb: str) -> AccessOf:
    def access(request: Request, user: UserInfo) -> Access:
        name = request.path_params.get("name", "")
        if "\0" in name:
            # PostgreSQL would refuse to look for it.
            raise NotFound
        asked = "watch" if verb == "list" and is_watch(request.query_params) else verb
        return access_to(AUDIT_EVENT, asked, user=user, namespace="", name=name)

    return access
