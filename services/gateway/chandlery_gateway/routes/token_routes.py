"""The route of `kubectl create token`: a TokenRequest under its service account. `token_requests` has the answers."""

from typing import Final, cast

from fastapi import APIRouter, Request, Response

from chandlery.model.faults import NotFound
from chandlery.model.objects.instances import UserInfo
from chandlery.model.objects.kinds import SERVICE_ACCOUNT
from chandlery_gateway.http.pipeline import Pipeline
from chandlery_gateway.http.rendering import document_response
from chandlery_gateway.http.request_bodies import read_body
from chandlery_gateway.identity.authorization import Access, access_to
from chandlery_gateway.kube.body.decoding import decode_object
from chandlery_gateway.kube.kinds.token_kinds import TOKEN_REQUEST, TokenRequest
from chandlery_gateway.kube.query.negotiation import Form, negotiate
from chandlery_gateway.kube.query.request_options import read_write_options
from chandlery_gateway.write.token_requests import TokenIssuer

_CREATED: Final = 201
_SUBRESOURCE: Final = "token"
_FORMS: Final = frozenset({Form.PLAIN})


def register_token_requests(router: APIRouter, pipeline: Pipeline, issuer: TokenIssuer) -> None:
    """The route. Who may `create` the subresource `serviceaccounts/token` may act as the account."""

    async def handle(request: Request, _user: UserInfo) -> Response:
        wanted = negotiate(request.headers.get("accept", ""), _FORMS)
        options = read_write_options(request.query_params, "CreateOptions")
        decoded = decode_object(
            TOKEN_REQUEST,
            await read_body(request),
            request.headers.get("content-type", ""),
            field_validation=options.field_validation,
        )
        namespace, name = request.path_params["namespace"], request.path_params["name"]
        asked = cast("TokenRequest", decoded.object)
        issued = await issuer.issue(asked, namespace=namespace, name=name, dry_run=options.dry_run)
        return document_response(
            issued.request.to_wire(),
            status=_CREATED,
            representation=wanted,
            warnings=(*decoded.warnings, *issued.warnings),
        )

    router.add_api_route(
        f"/api/v1/namespaces/{{namespace}}/{SERVICE_ACCOUNT.plural}/{{name}}/{_SUBRESOURCE}",
        pipeline.endpoint(
            handle, access=_access, kind=SERVICE_ACCOUNT, route=f"{SERVICE_ACCOUNT.plural}/{_SUBRESOURCE}"
        ),
        methods=["POST"],
        include_in_schema=False,
    )


def _access(request: Request, user: UserInfo) -> Access:
    parts = request.path_params
    if "\0" in parts["namespace"] + parts["name"]:
        # PostgreSQL would refuse to look for it.
        raise NotFound
    return access_to(
        SERVICE_ACCOUNT,
        "create",
        user=user,
        namespace=parts["namespace"],
        name=parts["name"],
        subresource=_SUBRESOURCE,
    )
