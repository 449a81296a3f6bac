"""The routes of reviews: `kubectl auth can-i`, `auth can-i --list`, `auth whoami`. `reviews` has the answers."""

from typing import Any

from fastapi import APIRouter, Request, Response

from chandlery.model.faults import Fault
from chandlery.model.objects.kinds import Kind
from chandlery_gateway.http.rendering import bug_response, document_response, fault_response
from chandlery_gateway.http.request_bodies import read_body
from chandlery_gateway.identity.access_reviews import Reviews
from chandlery_gateway.identity.permissions import Permissions, access_to
from chandlery_gateway.kube.body.decoding import decode_object
from chandlery_gateway.kube.kinds.served_kinds import REVIEW_KINDS
from chandlery_gateway.kube.query.negotiation import Form, negotiate
from chandlery_gateway.kube.query.request_options import read_write_options

_CREATED = 201
_ABOUT_ONESELF = frozenset(
    {"SelfSubjectReview", "SelfSubjectAccessReview", "SelfSubjectRulesReview"},
)
"""Whoever asks what they may do is answered, also that it is nothing."""
_FORMS = frozenset({Form.PLAIN})


def review_router(permissions: Permissions, reviews: Reviews) -> APIRouter:
    """One route for each kind of review. They are asked about in the name of whoever asks."""
    router = APIRouter(include_in_schema=False)
    for kind in REVIEW_KINDS:
        place = "namespaces/{namespace}/" if kind.namespaced else ""
        path = f"/apis/{kind.api_version}/{place}{kind.plural}"
        router.add_api_route(path, _endpoint(kind, permissions, reviews), methods=["POST"])
    return router


def _endpoint(kind: Kind, permissions: Permissions, reviews: Reviews) -> Any:
    async def endpoint(request: Request) -> Response:
        try:
            user, namespace = permissions.user(request), request.path_params.get("namespace", "")
            if kind.kind not in _ABOUT_ONESELF:
                await permissions.require(access_to(kind, "create", user=user, namespace=namespace, name=""))
            wanted = negotiate(request.headers.get("accept", ""), _FORMS)
            options = read_write_options(request.query_params, "CreateOptions")
            decoded = decode_object(
                kind,
                await read_body(request),
                request.headers.get("content-type", ""),
                field_validation=options.field_validation,
            )
            answered = await reviews.answer(decoded.object, user=user, namespace=namespace)
            document = {**answered.to_wire(), "apiVersion": kind.api_version}
        except Fault as fault:
            return fault_response(fault, kind=kind)
        except Exception as error:  # noqa: BLE001 - further up it would be logged with what was sent
            return await bug_response(request, error)
        return document_response(document, status=_CREATED, representation=wanted, warnings=decoded.warnings)

    return endpoint
