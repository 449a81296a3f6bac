"""Puts the FastAPI application together from its parts."""

from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import version
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from chandlery.engine.resources import Resources
from chandlery.lookup.broker_access import shortest_pauses
from chandlery.lookup.broker_egress import egress_of
from chandlery.model.faults import NotFound
from chandlery.model.objects.instances import UserInfo
from chandlery.model.objects.kinds import RBAC_KINDS, SERVICE_ACCOUNT, SERVICE_BINDING, SERVICE_INSTANCE
from chandlery.process.http.probes import PROBE_PATHS, ProbeApp
from chandlery.telemetry.catalog.api_requests import WRITES
from chandlery.telemetry.tracing.tracing import Tracing
from chandlery_gateway.admission.catalog.broker_places import broker_places
from chandlery_gateway.http.pipeline import Handler, Pipeline
from chandlery_gateway.http.rendering import bug_response, fault_response
from chandlery_gateway.http.request_log import RequestLog
from chandlery_gateway.http.request_metrics import RequestMetrics
from chandlery_gateway.http.request_traces import RequestTraces
from chandlery_gateway.http.seats import Seats
from chandlery_gateway.http.web_headers import WebHeaders
from chandlery_gateway.identity.access_reviews import Reviews
from chandlery_gateway.identity.audit.auditor import Auditor
from chandlery_gateway.identity.audit.recording_authorizer import RecordingAuthorizer
from chandlery_gateway.identity.authentication import Authenticator, TokenVerifier
from chandlery_gateway.identity.authenticators.union_authenticator import UnionAuthenticator
from chandlery_gateway.identity.authorization import Authorizer
from chandlery_gateway.identity.failed_logins import FailedLogins
from chandlery_gateway.identity.sessions.session_authenticator import SessionAuthenticator
from chandlery_gateway.kube.kinds.served_kinds import ServedKinds
from chandlery_gateway.kube.printing.status_objects import MethodNotAllowed, Unauthorized, UnknownToCluster
from chandlery_gateway.read.audit_reader import AuditReader
from chandlery_gateway.read.object_reader import ObjectReader
from chandlery_gateway.read.operation_reader import OperationReader
from chandlery_gateway.routes.audit_routes import register_audit
from chandlery_gateway.routes.context_key_routes import register_context_keys
from chandlery_gateway.routes.document_routes import register_documents
from chandlery_gateway.routes.operation_routes import register_operations
from chandlery_gateway.routes.pages.docs_routes import register_docs_page
from chandlery_gateway.routes.pages.metrics_routes import register_metrics
from chandlery_gateway.routes.read_handlers import ReadHandlers
from chandlery_gateway.routes.resource_routes import register_kind
from chandlery_gateway.routes.review_routes import register_reviews
from chandlery_gateway.routes.session_routes import register_sessions
from chandlery_gateway.routes.token_routes import register_token_requests
from chandlery_gateway.routes.write_handlers import WriteHandlers
from chandlery_gateway.watch.watch_hub import WatchHub
from chandlery_gateway.write.object_writer import ObjectWriter
from chandlery_gateway.write.token_requests import TokenIssuer
from chandlery_gateway.write.write_requests import WriteRequest

_METHOD_NOT_ALLOWED = 405
_ASKED_FOR_MOST: Final = (SERVICE_INSTANCE, SERVICE_BINDING)
# FastAPI's own traces have queries in them, and go wherever a variable of the environment says.
_NO_TELEMETRY: Final[TelemetryConfig] = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}
_ABOUT = """Kubernetes-style API of a service catalog: register service brokers, provision instances, bind them.

Every request carries `Authorization: Bearer <token>`. `kubectl` and `svcat` work against it as they are."""


class Application(FastAPI):
    """FastAPI with our headers around all of it, around the layer too that answers what nothing else has caught."""

    def __init__(self, *, failed_logins: FailedLogins, hsts_seconds: int, tracing: Tracing, **options: Any) -> None:
        super().__init__(telemetry=_NO_TELEMETRY, **options)
        self.failed_logins = failed_logins
        """What has been counted of requests; whoever accepts connections adds to it."""
        self._hsts_seconds = hsts_seconds
        self._tracing = tracing

    def build_middleware_stack(self) -> ASGIApp:
        """See Starlette."""
        app = partial(_without_last_slash, RequestTraces(super().build_middleware_stack(), tracing=self._tracing))
        return WebHeaders(app, hsts_seconds=self._hsts_seconds)


async def _without_last_slash(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Python's client ends the paths of discovery with a slash, and an API server takes it for any path."""
    if scope["type"] == "http" and scope["path"].endswith("/"):
        scope["path"] = scope["path"].rstrip("/") or "/"
    await app(scope, receive, send)


def create_app(
    resources: Resources,
    hub: WatchHub,
    *,
    authenticator: Authenticator,
    authorizer: Authorizer,
    auditor: Auditor,
    is_ending: Callable[[], bool] = lambda: False,
) -> Application:
    """The application. While `is_ending` clients are sent on. Only a `SessionAuthenticator` lets browsers log in."""
    settings = resources.settings
    recording = RecordingAuthorizer(authorizer, resources.metrics)
    pipeline = Pipeline(
        authenticator=authenticator,
        authorizer=recording,
        auditor=auditor,
        seats=Seats(settings, resources.metrics),
        body_seconds=settings.slow_client_seconds,
        is_ending=is_ending,
        unknown=UnknownToCluster if settings.platform == "kubernetes" else Unauthorized,
    )
    app = Application(
        failed_logins=pipeline.failed_logins,
        hsts_seconds=0 if settings.accept_plain_http else settings.hsts_seconds,
        tracing=resources.tracing,
        title="Chandlery",
        version=version("chandlery"),
        description=_ABOUT,
        # The page and its document are ours: FastAPI's own loads its scripts from elsewhere.
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        separate_input_output_schemas=False,
        # See _without_last_slash. The address of a redirect is made from the header `Host`, which anybody may write.
        redirect_slashes=False,
    )
    served = ServedKinds.of(settings.platform)
    _add_kinds(app, pipeline, resources, served, hub=hub, authorizer=recording)
    _add_probes(app, ProbeApp(resources.readiness))
    register_audit(app.router, pipeline, AuditReader(resources.database))
    operations = OperationReader(resources.database, namespaces=resources.namespaces)
    register_operations(app.router, pipeline, operations, authorizer=recording)
    register_reviews(app.router, pipeline, Reviews(authorizer, tokens=_tokens_of(authenticator)), kinds=served.reviews)
    if SERVICE_ACCOUNT in served.core:
        issuer = TokenIssuer(resources.database, longest_hours=settings.service_account_max_token_hours)
        register_token_requests(app.router, pipeline, issuer)
    register_documents(app.router, pipeline, served)
    register_context_keys(app.router, pipeline, settings.context_signing_key_file)
    _ask_for_tokens(app)
    if isinstance(authenticator, SessionAuthenticator):
        register_sessions(app.router, pipeline, authenticator.sessions)
    register_docs_page(app.router, pipeline, app.openapi)
    register_metrics(app.router, pipeline, resources.metrics)
    _add_layers(app, pipeline, resources)
    return app


def _add_kinds(
    app: FastAPI,
    pipeline: Pipeline,
    resources: Resources,
    served: ServedKinds,
    *,
    hub: WatchHub,
    authorizer: Authorizer,
) -> None:
    writer = _object_writer(resources, hub, authorizer)
    reader = ObjectReader(resources.database, is_in_cluster=resources.settings.platform != "standalone")
    # What is asked for most is found first among the routes.
    for kind in (*_ASKED_FOR_MOST, *(kind for kind in served.stored if kind not in _ASKED_FOR_MOST)):
        reads = ReadHandlers(kind, authorizer=authorizer, object_reader=reader, hub=hub)
        writes = WriteHandlers(kind, authorizer=authorizer, object_writer=writer, object_reader=reader)
        by_operation = {name: _counting_at_once(each, hub) for name, each in writes.by_operation.items()}
        handlers = {**reads.by_operation, **(by_operation if kind in RBAC_KINDS else writes.by_operation)}
        # Onto the application itself: in a router that is included, FastAPI looks for the route twice.
        register_kind(app.router, kind, pipeline, handlers)


def _add_layers(app: FastAPI, pipeline: Pipeline, resources: Resources) -> None:
    settings, counts = resources.settings, RequestMetrics(resources.metrics, pipeline.failed_logins)
    app.add_exception_handler(HTTPException, _unknown_path)
    app.add_exception_handler(Exception, bug_response)
    app.add_middleware(pipeline.around, answered=counts.answered)
    app.add_middleware(RequestLog, wanted=settings.log_requests)


def _object_writer(resources: Resources, hub: WatchHub, authorizer: Authorizer) -> ObjectWriter:
    settings, metrics = resources.settings, resources.metrics

    def written(request: WriteRequest) -> None:
        hub.wake()
        if not request.dry_run:
            metrics.count(WRITES, request.kind.kind, request.verb)

    return ObjectWriter(
        resources.database,
        on_write=written,
        authorizer=authorizer,
        shortest=shortest_pauses(settings),
        places=broker_places(egress_of(settings), lookup_seconds=settings.broker_lookup_seconds),
        namespaces=resources.namespaces,
    )


def _tokens_of(authenticator: Authenticator) -> TokenVerifier:
    """Who knows whose a token is, for reviews."""
    if isinstance(authenticator, TokenVerifier):
        return authenticator
    return UnionAuthenticator(certificates=None, verifiers=())


def _counting_at_once(handle: Handler, hub: WatchHub) -> Handler:
    """A change of a rule: whoever has been told of it may rely on it here, other gateways follow within a second."""

    async def handle_and_wait(request: Request, user: UserInfo) -> Response:
        try:
            return await handle(request, user)
        finally:
            await hub.caught_up()

    return handle_and_wait


def _ask_for_tokens(app: FastAPI) -> None:
    """Let the documentation say that a bearer token is wanted, so that its "Authorize" and "Try it out" work."""
    plain = app.openapi

    def documented() -> dict[str, Any]:
        document = plain()
        document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"token": []}]
        return document

    app.openapi = documented  # type: ignore[method-assign]


def _add_probes(app: FastAPI, probes: ProbeApp) -> None:
    for path in PROBE_PATHS:
        for each in (path, f"{path}/{{part}}"):
            # An instance, which a route calls as ASGI; of a function it would ask for a response.
            app.router.routes.append(Route(each, probes, methods=["GET"]))


async def _unknown_path(request: Request, error: Exception) -> Response:
    code = error.status_code if isinstance(error, HTTPException) else 500
    if code == _METHOD_NOT_ALLOWED:
        response = fault_response(MethodNotAllowed(f"{request.method} is not allowed on {request.scope['path']}"))
        response.headers["Allow"] = ", ".join(sorted({*_methods(request), *_methods_told(error)}))
        return response
    return fault_response(NotFound("the server could not find the requested resource"))


def _methods(request: Request) -> Iterator[str]:
    """What is allowed there: of the kinds' paths each method has a route of its own."""
    for route in request.app.routes:
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE:
            yield from route.methods or ()


def _methods_told(error: Exception) -> list[str]:
    told = (getattr(error, "headers", None) or {}).get("Allow", "")
    return [method.strip() for method in told.split(",") if method.strip()]
