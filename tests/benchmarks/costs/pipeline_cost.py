"""What a request costs besides the database, in CPU time; run by `python tests/benchmarks/costs/pipeline_cost.py`.

First the steps of the pipeline before the router, around an application that does nothing. Then the gateway's whole
application, from its outermost layer to its handlers, but nothing is read or stored.
"""

import asyncio
import time
from types import SimpleNamespace
from typing import Any, Final, cast

from starlette.types import ASGIApp, Receive, Scope, Send

from chandlery.engine.readiness import Readiness
from chandlery.engine.resources import Resources
from chandlery.model.json.json_text import write_json
from chandlery.model.objects.instances import ServiceInstance, UserInfo
from chandlery.settings.settings import Settings
from chandlery.store.sealing.sealing import Keyring, new_key
from chandlery.telemetry.prometheus_metrics import PrometheusMetrics
from chandlery.telemetry.tracing.tracing import IDS_ONLY
from chandlery_gateway.app import create_app
from chandlery_gateway.http.pipeline import Pipeline
from chandlery_gateway.http.seats import Seats
from chandlery_gateway.identity.audit.auditor import NullAuditor
from chandlery_gateway.identity.authenticators.token_authenticator import TokenAuthenticator
from chandlery_gateway.identity.authenticators.union_authenticator import UnionAuthenticator
from chandlery_gateway.identity.rbac.policy_rules import PolicyRule, Role
from chandlery_gateway.identity.rbac.rbac_authorizer import RbacAuthorizer
from chandlery_gateway.identity.rbac.rule_index import CLUSTER, Binding, RuleIndex, Subject
from chandlery_gateway.identity.rbac.rule_keeper import RuleKeeper
from chandlery_gateway.read.object_reader import ObjectReader
from chandlery_gateway.watch.watch_hub import WatchHub
from chandlery_gateway.write.object_writer import ObjectWriter
from chandlery_gateway.write.write_requests import Stored

_TOKEN: Final = "token-of-the-administrator"
_ROUNDS, _REQUESTS = 7, 1_000
_GROUP: Final = "/apis/servicecatalog.k8s.io/v1beta1"
_INSTANCES: Final = f"{_GROUP}/namespaces/team/serviceinstances"
_INSTANCE: Final[dict[str, Any]] = {
    "apiVersion": "servicecatalog.k8s.io/v1beta1",
    "kind": "ServiceInstance",
    "metadata": {"name": "db", "namespace": "team"},
    "spec": {"clusterServiceClassExternalName": "c", "clusterServicePlanExternalName": "p"},
}
_REVIEW: Final = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_ASKED: Final = {"spec": {"resourceAttributes": {"verb": "get", "resource": "secrets"}}}
_BEFORE_THE_ROUTER: Final = [
    ("get", "GET", f"{_INSTANCES}/db", b""),
    ("list", "GET", _INSTANCES, b"limit=500"),
    ("watch", "GET", _INSTANCES, b"watch=1&resourceVersion=55"),
    ("create", "POST", _INSTANCES, b""),
]
_REQUESTED: Final = [
    ("version", "GET", "/version", b""),
    ("document", "GET", _GROUP, b""),
    ("review", "POST", _REVIEW, write_json(_ASKED)),
    ("get", "GET", f"{_INSTANCES}/db", b""),
    ("create", "POST", _INSTANCES, write_json(_INSTANCE)),
]


_ANN: Final = UserInfo(username="ann", groups=("developers", "system:authenticated"))
_AUTHENTICATOR: Final = UnionAuthenticator(certificates=None, verifiers=[TokenAuthenticator({_TOKEN: _ANN})])


class _Rules:
    """Ann's group may do everything, and there is nothing else."""

    revision = 0

    def __init__(self) -> None:
        self.index = RuleIndex()
        words = ("*",)
        everything = PolicyRule(verbs=words, groups=words, resources=words)
        self.index.put_role((CLUSTER, "all"), Role([everything, PolicyRule(verbs=words, paths=words)]))
        subjects = (Subject("Group", "developers"),)
        self.index.put_binding(
            Binding(namespace=CLUSTER, name="all", role_kind="ClusterRole", role_name="all", subjects=subjects)
        )


_RULES: Final = _Rules()


async def _get(*_given: Any, **_options: Any) -> ServiceInstance:
    return ServiceInstance.model_validate(_INSTANCE)


async def _create(_self: ObjectWriter, _request: Any, document: Any) -> Stored:
    return Stored(document)


async def _send(_message: Any) -> None:
    return


async def _microseconds(app: ASGIApp, method: str, path: str, body: bytes = b"", query: bytes = b"") -> float:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    headers = [
        (b"host", b"chandlery.example.com"),
        (b"user-agent", b"kubectl/v1.30.0"),
        (b"accept", b"application/json"),
        (b"authorization", f"Bearer {_TOKEN}".encode()),
        *([(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))] if body else []),
    ]
    best = float("inf")
    for _ in range(_ROUNDS):
        begun = time.process_time()
        for _ in range(_REQUESTS):
            scope = {"type": "http", "method": method, "path": path, "query_string": query, "headers": headers}
            await app(scope, receive, _send)
        best = min(best, (time.process_time() - begun) / _REQUESTS)
    return best * 1e6


async def _nothing(_scope: Scope, receive: Receive, send: Send) -> None:
    """The least that an application does: what is in the body, two kilobytes in return."""
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"x" * 2000})


async def _main() -> None:
    pipeline = Pipeline(
        authenticator=_AUTHENTICATOR,
        authorizer=RbacAuthorizer(_RULES),
        auditor=NullAuditor(),
        seats=Seats(Settings()),
        body_seconds=10,
        is_ending=lambda: False,
    )
    for name, method, path, query in _BEFORE_THE_ROUTER:
        without = await _microseconds(_nothing, method, path, query=query)
        around = await _microseconds(pipeline.around(_nothing), method, path, query=query)
        print(f"before the router, {name:9} {around - without:6.1f} µs")
    ObjectReader.get, ObjectWriter.create = _get, _create  # type: ignore[method-assign,assignment]
    database: Any = SimpleNamespace(codec=None, keyring=Keyring.parse(new_key("bench")))
    settings = Settings.model_validate({"log_requests": "none"})
    metrics = PrometheusMetrics()
    resources = SimpleNamespace(
        settings=settings,
        database=database,
        readiness=Readiness(),
        metrics=metrics,
        tracing=IDS_ONLY,
        namespaces=None,
    )
    app = create_app(
        cast("Resources", resources),
        WatchHub(database, rules=RuleKeeper(database)),
        authenticator=_AUTHENTICATOR,
        authorizer=RbacAuthorizer(_RULES),
        auditor=NullAuditor(),
    )
    for name, method, path, body in _REQUESTED:
        print(f"whole application, {name:9} {await _microseconds(app, method, path, body):6.1f} µs")


if __name__ == "__main__":
    asyncio.run(_main())
