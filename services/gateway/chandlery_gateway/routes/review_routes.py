"""The routes of reviews: `kubectl auth can-i`, `auth can-i --list`, `auth whoami`. `access_reviews` has the answers."""

from collections.abc import Iterable

from fastapi import APIRouter, Request, Response

from chandlery.model.objects.instances import UserInfo
from chandlery.model.objects.kinds import Kind
from chandlery_gateway.http.pipeline import AccessOf, Handler, Pipeline
from chandlery_gateway.http.rendering import document_response
from chandlery_gateway.http.request_bodies import read_body
from chandlery_gateway.identity.access_reviews import Reviews
from chandlery_gateway.identity.authorization import Access, access_to
from chandlery_gateway.kube.body.decoding import decode_object
from chandlery_gateway.kube.query.negotiation import Form, negotiate
from chandlery_gateway.kube.query.request_options import read_write_options

_CREATED = 201
_FORMS = frozenset({Form.PLAIN})


def register_reviews(router: APIRouter, pipeline: Pipeline, reviews: Reviews, *, kinds: Iterable[Kind]) -> None:
    """One route for each kind of review. Whoever asks must be allowed to `create` one, also about themselves."""
    for kind in kinds:
        place = "namespaces/{namespace}/" if kind.namespaced else ""
        router.add_api_route(
            f"/apis/{kind.api_version}/{place}{kind.plural}",
            pipeline.endpoint(_handler(kind, reviews), access=_access(kind), kind=kind, route="reviews"),
            methods=["POST"],
            include_in_schema=False,
        )


def _access(kind: Kind) -> AccessOf:
    def access(request: Request, user: UserInfo) -> Access | None:
        return access_to(kind, "create", user=user, namespace=request.path_params.get("namespace", ""), name="")

    return access


def _handler(kind: Kind, reviews: Reviews) -> Handler:
    async def handle(request: Request, user: UserInfo) -> Response:
        wanted = negotiate(request.headers.get("accept", ""), _FORMS)
        options = read_write_options(request.query_params, "CreateOptions")
        decoded = decode_object(
            kind,
            await read_body(request),
            request.headers.get("content-type", ""),
            field_validation=options.field_validation,
        )
        namespace = request.path_params.get("namespace", "")
        answered = await reviews.answer(decoded.object, user=user, namespace=namespace)
        document = {**answered.to_wire(), "apiVersion": kind.api_version}
        return document_response(document, status=_CREATED, representation=wanted, warnings=decoded.warnings)

    return handle
