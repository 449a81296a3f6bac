"""`/session`, for pages that come with the gateway: log in with a token, ask who one is, log out.

Registered only where sessions are composed in. The token is sent once, in the header `Authorization`; from then on the
browser sends a cookie that no script can read. The page keeps the CSRF token that it is answered in its memory.
"""

from fastapi import APIRouter, Request, Response
from starlette.datastructures import Headers

from chandlery.model.faults import Forbidden
from chandlery.model.objects.instances import UserInfo
from chandlery_gateway.http.pipeline import Pipeline
from chandlery_gateway.http.rendering import document_response
from chandlery_gateway.identity.sessions.same_origin import why_foreign
from chandlery_gateway.identity.sessions.session_authenticator import SESSION
from chandlery_gateway.identity.sessions.sessions import Session, Sessions
from chandlery_gateway.kube.printing.status_objects import Unauthorized

PATH = "/session"
_CREATED = 201


def register_sessions(router: APIRouter, pipeline: Pipeline, sessions: Sessions) -> None:
    """The routes. To be somebody is enough for each of them."""

    async def log_in(request: Request, user: UserInfo) -> Response:
        reason = why_foreign(request.method, request.headers, sessions.origins)
        if reason:
            raise Forbidden(f"a session was refused: {reason}")
        return _answer(sessions, sessions.begin(_bearer_token(request.headers)), user, status=_CREATED)

    async def who(request: Request, user: UserInfo) -> Response:
        return _answer(sessions, _session_of(request), user)

    async def log_out(request: Request, _user: UserInfo) -> Response:
        sessions.end(_session_of(request))
        gone = {"Set-Cookie": sessions.no_cookie, "Clear-Site-Data": '"cache", "cookies", "storage"'}
        return Response(status_code=204, headers=gone)

    for method, handle in (("POST", log_in), ("GET", who), ("DELETE", log_out)):
        endpoint = pipeline.endpoint(handle, access=lambda _request, _user: None, kind=None, route="sessions")
        router.add_api_route(PATH, endpoint, methods=[method], include_in_schema=False)


def _answer(sessions: Sessions, session: Session, user: UserInfo, *, status: int = 200) -> Response:
    document = {"username": user.username, "groups": list(user.groups or ()), "csrfToken": sessions.csrf_token(session)}
    response = document_response(document, status=status)
    response.headers["Set-Cookie"] = sessions.cookie(session)
    return response


def _session_of(request: Request) -> Session:
    session: Session | None = request.scope.get(SESSION)
    if session is None:
        raise Unauthorized
    return session


def _bearer_token(headers: Headers) -> str:
    """Of a request that has been let in by it."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Forbidden("a session begins with a bearer token, in the header Authorization")
    return token.strip()
