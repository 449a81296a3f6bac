"""Every route and verb for every role: who is let do what, as `route_table.txt` beside this says. On both databases.

The rows come from the routes that the application has, so a new route fails here until the table has a row for it. Then
run this file with CHANDLERY_TEST_WRITE_ROUTE_TABLE=1, and read the difference: it is what the route lets whom do.

The requests go to the real application, from its outermost layer on, without a socket between. They are about objects
that do not exist, and none could be done: who may is answered something else than 401 or 403.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Scope

from chandlery.model.objects.instances import UserInfo
from chandlery_gateway.app import create_app
from chandlery_gateway.identity.audit.audit_event import AuditEvent
from chandlery_gateway.identity.audit.auditor import NullAuditor
from chandlery_gateway.identity.rbac.rbac_authorizer import RbacAuthorizer
from chandlery_gateway.identity.rbac.rule_keeper import RuleKeeper
from chandlery_gateway.watch.watch_hub import WatchHub
from tests.integration.gateway.api_client import MERGE, RBAC, role_binding
from tests.integration.gateway.conftest import Running

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.both_backends]

TABLE: Final = Path(__file__).with_name("route_table.txt")
WRITES_TABLE: Final = "CHANDLERY_TEST_WRITE_ROUTE_TABLE"
OWN, OTHER = "team", "other"
OF_NAMESPACE: Final = ("view", "edit", "admin")
OF_CLUSTER: Final = ("chandlery:broker-admin", "chandlery:admin", "cluster-admin")
COLUMNS: Final = ("anonymous", "nobody", *OF_NAMESPACE, *OF_CLUSTER)
OPEN: Final = "open to everybody"
ALLOWED, REFUSED, UNKNOWN = "yes", "-", "401"
_FILLED: Final = {"group": "servicecatalog.k8s.io", "release": "v1beta1", "path:path": "api/v1", "part": "ping"}
_FOR_NOTHING: Final = b"dryRun=All&resourceVersion=none"
"""Whoever may is told then that this is no version; nothing is read, and nothing changed."""
_HEADER: Final = b"x-user"


class NamedUsers:
    """Everybody is who they say they are, and nobody without a name."""

    async def authenticate(self, scope: Scope) -> UserInfo | None:
        name = dict(scope["headers"]).get(_HEADER, b"").decode()
        return UserInfo(username=name, groups=("system:authenticated",)) if name else None


class Listener(NullAuditor):
    """Remembers what the last request asked for."""

    asked = OPEN

    async def record(self, event: AuditEvent) -> None:
        access = event.access
        if access is None:
            self.asked = OPEN
        elif access.path:
            self.asked = f"{access.verb} path"
        else:
            resource = f"{access.resource}/{access.subresource}" if access.subresource else access.resource
            self.asked = f"{access.verb} {resource}"


@dataclass(frozen=True)
class Row:
    """A route with a method; a list is another row as a watch."""

    method: str
    path: str
    query: bytes = b""

    @property
    def is_namespaced(self) -> bool:
        return "{namespace}" in self.path or "/namespaces/{name}" in self.path

    @property
    def shown_query(self) -> str:
        return "?watch" if self.query.startswith(b"watch") else ""

    def within(self, namespace: str) -> str:
        name = namespace if "/namespaces/{name}" in self.path else "missing"
        path = self.path.replace("{namespace}", namespace).replace("{name}", name)
        for word, value in _FILLED.items():
            path = path.replace(f"{{{word}}}", value)
        assert "{" not in path, f"say with what to fill in {path}"
        return path


@dataclass(frozen=True)
class Application:
    """The application, and what it asked for last."""

    app: ASGIApp
    routes: Sequence[Any]
    listener: Listener

    async def answer(self, row: Row, user: str, namespace: str) -> str:
        """What the user is answered, in a word of the table."""
        sent: list[Message] = []
        body = b"{}" if row.method in ("POST", "PUT", "PATCH") else b""
        headers = [(b"content-type", MERGE.encode() if row.method == "PATCH" else b"application/json")]
        headers += [(_HEADER, user.encode())] if user != "anonymous" else []
        headers += [(b"content-length", str(len(body)).encode())]
        path = row.within(namespace)

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        scope = {"type": "http", "method": row.method, "path": path, "query_string": row.query, "headers": headers}
        await self.app({**scope, "raw_path": path.encode(), "root_path": "", "scheme": "http"}, receive, send)
        status = sent[0]["status"]
        assert status < 500 or path.startswith("/readyz"), (row, user, sent[1]["body"])
        return {401: UNKNOWN, 403: REFUSED}.get(status, ALLOWED)


def rows_of(routes: Sequence[Any]) -> Iterator[Row]:
    for route in routes:
        assert isinstance(route, Route), f"{route} is none whose methods are known"
        for method in sorted((route.methods or set()) - {"HEAD"}):
            yield Row(method, route.path, _FOR_NOTHING)
            if method == "GET" and (route.name or "").startswith("serve") and _is_collection(route.path):
                yield Row(method, route.path, b"watch=1&" + _FOR_NOTHING)


def _is_collection(path: str) -> bool:
    parts = path.strip("/").split("/")
    is_resource = len(parts) > (2 if parts[0] == "api" else 3)
    return is_resource and not parts[-1].startswith("{") and parts[-1] not in ("status", "customresourcedefinitions")


@pytest_asyncio.fixture(loop_scope="session")
async def application(gateway: Running) -> AsyncIterator[Application]:
    api = gateway.api
    for role in OF_NAMESPACE:
        binding = role_binding(role, to=role, gives=f"ClusterRole/{role}")
        await api.made(f"{RBAC}/namespaces/{OWN}/rolebindings", binding)
    for role in OF_CLUSTER:
        binding = role_binding(f"for-{role}", "ClusterRoleBinding", to=role, gives=f"ClusterRole/{role}")
        await api.made(f"{RBAC}/clusterrolebindings", binding)
    rules, listener = RuleKeeper(gateway.resources.database), Listener()
    hub = WatchHub(gateway.resources.database, rules=rules)
    await hub.begin()
    following = asyncio.create_task(hub.run())
    app = create_app(
        gateway.resources, hub, authenticator=NamedUsers(), authorizer=RbacAuthorizer(rules), auditor=listener
    )
    yield Application(app, app.routes, listener)
    following.cancel()


async def line_of(application: Application, row: Row) -> str:
    application.listener.asked, words = OPEN, []
    for column in COLUMNS:
        word = await application.answer(row, column, OWN)
        if column in OF_NAMESPACE and row.is_namespaced:
            assert await application.answer(row, column, OTHER) == REFUSED, f"{row} in another namespace as {column}"
        words.append(word)
    return _line(f"{row.method:6} {row.path}{row.shown_query}", application.listener.asked, words)


def _line(route: str, asked: str, words: Sequence[str]) -> str:
    cells = "  ".join(f"{word:{len(column)}}" for word, column in zip(words, COLUMNS, strict=True))
    return f"{route:101} {asked:42} {cells}".rstrip()


HEAD: Final = _line("route", "asked", COLUMNS)


async def test_every_route_lets_do_what_the_table_says(application: Application) -> None:
    lines = [HEAD, *[await line_of(application, row) for row in rows_of(application.routes)]]
    if WRITES_TABLE in os.environ:
        TABLE.write_text("\n".join(lines) + "\n")
    assert lines == TABLE.read_text().splitlines()


def _columns() -> Iterator[tuple[str, str, dict[str, str]]]:
    for line in TABLE.read_text().splitlines()[1:]:
        yield line[:101].strip(), line[102:144].strip(), dict(zip(COLUMNS, line[145:].split(), strict=True))


async def test_table_is_sound() -> None:
    """What must hold whatever roles and routes there are."""
    rows = list(_columns())
    assert len(rows) > 200
    for route, asked, by_role in rows:
        is_open = asked == OPEN
        assert by_role["anonymous"] == (ALLOWED if is_open else UNKNOWN), route
        assert by_role["cluster-admin"] == ALLOWED, route
        is_question = asked.startswith("create selfsubject")
        is_document = asked == "get path" and "/metrics" not in route
        assert (by_role["nobody"] == ALLOWED) == (is_open or is_question or is_document), route
        verb, _, resource = asked.partition(" ")
        if resource.startswith("secrets"):
            assert by_role["view"] == by_role["chandlery:broker-admin"] == REFUSED, route
        if verb not in ("get", "list", "watch") and not is_question and not is_open:
            assert by_role["view"] == REFUSED, route
        order = [by_role[column] == ALLOWED for column in ("nobody", *OF_NAMESPACE, "cluster-admin")]
        assert order == sorted(order), f"{route}: each has what the one before has"
