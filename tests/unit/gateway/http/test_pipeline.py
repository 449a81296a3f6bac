"""The way of a request: which step comes when, what is answered where it ends early, and what is recorded of it."""

import ast
import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import Message, Scope
from structlog.testing import capture_logs

import chandlery_gateway
from chandlery.model.faults import NotFound, Unavailable
from chandlery.model.json.json_text import read_json
from chandlery.model.objects.core import Secret
from chandlery.model.objects.instances import UserInfo
from chandlery.model.objects.kinds import SECRET
from chandlery.model.objects.metadata import ObjectMeta
from chandlery.settings.settings import Settings
from chandlery_gateway.http.pipeline import Pipeline
from chandlery_gateway.http.seats import Seating, Seats
from chandlery_gateway.identity.audit.audit_event import AuditEvent, note_object
from chandlery_gateway.identity.audit.recording_authorizer import RecordingAuthorizer
from chandlery_gateway.identity.authentication import FORWARDED, sender_of
from chandlery_gateway.identity.authorization import Access, Decision, Reach, Rules, access_to
from chandlery_gateway.kube.printing.status_objects import TooManyRequests, UnknownToCluster

ADMIN: Final = UserInfo(username="admin", groups=("system:masters",))
ANN: Final = UserInfo(username="ann", groups=("system:authenticated",))
USERS: Final = {b"Bearer of-admin": ADMIN, b"Bearer of-ann": ANN}
PATH: Final = "/secrets/closed"


@dataclass
class Recorded(Seats):
    """Everybody that the pipeline asks; `steps` has in which order, `wrong` who fails and how."""

    steps: list[str] = field(default_factory=list)
    events: list[AuditEvent] = field(default_factory=list)
    wrong: dict[str, Exception] = field(default_factory=dict)
    revision: int = 0

    def __post_init__(self) -> None:
        super().__init__(Settings())

    def step(self, name: str, what: str = "") -> None:
        self.steps.append(f"{name} {what}".strip())
        if name in self.wrong:
            raise self.wrong[name]

    async def authenticate(self, scope: Scope) -> UserInfo | None:
        self.step("authenticate")
        scope[FORWARDED] = ("10.0.0.1", "203.0.113.7")
        return USERS.get(dict(scope["headers"]).get(b"authorization", b""))

    async def take(self, user: str, demand: Any) -> Seating:
        self.step("seat", repr(user))
        return await super().take(user, demand)

    async def decide(self, access: Access) -> Decision:
        self.step("authorize", f"{access.user.username} {access.verb}")
        is_bold = access.user == ANN and access.verb == "impersonate"
        return Decision(allowed=access.user.username != "bob" and not is_bold, reason="bob may not")

    async def reach(self, access: Access) -> Reach:
        raise AssertionError(access)

    async def rules(self, user: UserInfo, namespace: str) -> Rules:
        raise AssertionError((user, namespace))

    async def handle(self, _request: Request, user: UserInfo) -> Response:
        self.step("handle", user.username)
        return Response("it", 200)

    async def handle_everybody(self, _request: Request) -> Response:
        self.step("handle")
        return Response("it", 200)

    async def admit(self, event: AuditEvent) -> None:
        self.step("admit")
        assert event.user is not None

    async def shown(self, event: AuditEvent, uids: Sequence[str]) -> None:
        self.step("shown")

    async def record(self, event: AuditEvent) -> None:
        self.step("audit", str(event.status))
        self.events.append(event)


def reading(request: Request, user: UserInfo) -> Access:
    return access_to(SECRET, "get", user=user, namespace="team", name=request.path_params["name"])


def application(asked: Recorded) -> Callable[..., Any]:
    pipeline = Pipeline(
        authenticator=asked,
        authorizer=RecordingAuthorizer(asked),
        auditor=asked,
        seats=asked,
        body_seconds=1,
        is_ending=lambda: False,
        unknown=UnknownToCluster,
    )
    routes = {
        "/secrets/{name}": pipeline.endpoint(asked.handle, access=reading, kind=SECRET, route="secrets"),
        "/me": pipeline.endpoint(asked.handle, access=lambda _request, _user: None, kind=None, route="me"),
        "/open": pipeline.open_endpoint(asked.handle_everybody, route="open"),
    }
    return pipeline.around(Router([Route(path, endpoint) for path, endpoint in routes.items()]))


async def get(asked: Recorded, path: str = PATH, **headers: str) -> tuple[int, Any, Scope]:
    """Status, body and scope of one request."""
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope: Scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": raw}
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    await application(asked)(scope, receive, send)
    assert {name for name, _ in sent[0]["headers"]} >= ({b"audit-id"} if asked.steps else set())
    return sent[0]["status"], sent[1]["body"], scope


async def test_a_request_takes_every_step_once_and_in_order() -> None:
    asked = Recorded()
    status, body, scope = await get(asked, authorization="Bearer of-ann")
    assert (status, body) == (200, b"it")
    assert asked.steps == ["authenticate", "seat 'ann'", "authorize ann get", "admit", "handle ann", "audit 200"]
    [event] = asked.events
    assert (event.method, event.path, event.sender, event.user) == ("GET", PATH, ANN, ANN)
    assert event.access == Access(
        user=ANN, verb="get", version="v1", resource="secrets", namespace="team", name="closed"
    )
    assert event.decision and event.decision.allowed
    assert event.forwarded == ("10.0.0.1", "203.0.113.7")
    assert sender_of(scope) == ANN


async def test_whoever_acts_as_somebody_has_their_rights_and_his_own_seat() -> None:
    asked = Recorded()
    status, body, scope = await get(asked, authorization="Bearer of-admin", impersonate_user="bob")
    assert (status, read_json(body)["reason"]) == (403, "Forbidden")
    assert asked.steps == [
        "authenticate",
        "authorize admin impersonate",
        "seat 'admin'",
        "authorize bob get",
        "audit 403",
    ]
    [event] = asked.events
    assert (event.sender, event.user and event.user.username) == (ADMIN, "bob")
    assert event.decision and not event.decision.allowed
    assert sender_of(scope) == ADMIN, "the log tells who it was"


@pytest.mark.parametrize(
    ("headers", "status", "steps"),
    [
        ({}, 401, ["seat ''"]),
        ({"authorization": "Bearer guessed"}, 401, ["seat '\\x00'"]),
        (
            {"authorization": "Bearer of-ann", "impersonate_user": "bob"},
            403,
            ["authorize ann impersonate", "seat 'ann'"],
        ),
        ({"authorization": "Bearer of-admin", "impersonate_group": "dba"}, 400, ["seat 'admin'"]),
    ],
    ids=["no token", "wrong token", "may not impersonate", "impersonates nobody"],
)
async def test_whoever_counts_as_nobody_gets_a_seat_and_a_refusal(
    headers: dict[str, str], status: int, steps: list[str]
) -> None:
    asked = Recorded()
    assert (await get(asked, **headers))[0] == status
    assert asked.steps == ["authenticate", *steps, f"audit {status}"]
    assert (asked.events[0].user, asked.events[0].decision) == (None, None)
    assert (await get(asked, "/open", **headers))[0] == 200, "everybody is answered there"


async def test_whoever_is_unknown_is_told_what_helps_on_this_platform() -> None:
    status, body, _ = await get(Recorded())
    assert (status, read_json(body)["message"]) == (401, UnknownToCluster().message)
    assert "kubectl create token" in UnknownToCluster().message


async def test_to_be_somebody_can_be_enough() -> None:
    asked = Recorded()
    assert (await get(asked, "/me", authorization="Bearer of-ann"))[0] == 200
    assert asked.steps == ["authenticate", "seat 'ann'", "admit", "handle ann", "audit 200"]
    assert (await get(asked, "/me"))[0] == 401


@pytest.mark.parametrize(
    ("step", "fault", "status"),
    [
        ("authenticate", Unavailable("nobody can say who it is"), 503),
        ("authorize", Unavailable("nobody can say whether it may"), 503),
        ("handle", NotFound(), 404),
        ("handle", ValueError("hunter2"), 500),
    ],
    ids=["authenticator away", "authorizer away", "fault", "bug"],
)
async def test_what_goes_wrong_is_rendered_and_recorded(step: str, fault: Exception, status: int) -> None:
    asked = Recorded(wrong={step: fault})
    with capture_logs() as logged:
        found, body, _ = await get(asked, authorization="Bearer of-ann")
    assert (found, read_json(body)["code"]) == (status, status)
    assert asked.steps[-1] == f"audit {status}"
    assert len([line for line in logged if line["log_level"] != "debug"]) == (status == 500)
    assert "hunter2" not in str(logged) + str(body)


async def test_what_was_given_up_on_is_recorded_too() -> None:
    asked, begun = Recorded(), asyncio.Event()

    async def handle(_request: Request, _user: UserInfo) -> Response:
        begun.set()
        return await asyncio.Future()

    asked.handle = handle  # type: ignore[method-assign,assignment]
    serving = asyncio.create_task(get(asked, authorization="Bearer of-ann"))
    await begun.wait()
    serving.cancel()
    await asyncio.wait({serving})
    assert serving.cancelled()
    assert [event.status for event in asked.events] == [499]


async def test_no_token_is_wrong_while_nobody_can_say() -> None:
    asked = Recorded(wrong={"authenticate": Unavailable()})
    with capture_logs() as logged:
        await get(asked, authorization="Bearer of-ann")
    assert "seat ''" in asked.steps
    assert [line["action"] for line in logged] == ["refuse_request"], "it is no failed login"


async def test_probes_and_unknown_paths_ask_nobody_what_they_may() -> None:
    asked = Recorded()
    assert (await get(asked, "/livez"))[0] == 404
    assert asked.steps == []
    assert (await get(asked, "/unknown", authorization="Bearer of-ann"))[0] == 404
    assert asked.steps == ["authenticate", "seat 'ann'", "audit 404"]


async def test_what_gets_no_seat_is_recorded_too() -> None:
    asked = Recorded(wrong={"seat": TooManyRequests()})
    assert (await get(asked, authorization="Bearer of-ann"))[0] == 429
    assert asked.steps == ["authenticate", "seat 'ann'", "audit 429"]
    assert [(event.sender, event.reason) for event in asked.events] == [(ANN, "TooManyRequests")]


async def test_what_must_not_be_done_without_an_account_is_not_done() -> None:
    asked = Recorded(wrong={"admit": Unavailable("the audit log cannot be written")})
    assert (await get(asked, authorization="Bearer of-ann"))[0] == 503
    assert asked.steps[-2:] == ["admit", "audit 503"]


async def test_all_that_the_authorizer_says_about_a_request_is_on_its_record() -> None:
    asked = Recorded()
    authorizer = RecordingAuthorizer(asked)

    async def handle(_request: Request, user: UserInfo) -> Response:
        for verb in ("adopt", "create"):
            await authorizer.decide(access_to(SECRET, verb, user=user, namespace="team", name="closed"))
        note_object(Secret(metadata=ObjectMeta(name="closed", namespace="team", uid="1-2-3")))
        return Response("it", 201)

    asked.handle = handle  # type: ignore[method-assign]
    await get(asked, authorization="Bearer of-ann")
    [event] = asked.events
    assert [noted.access.verb for noted in event.decisions] == ["get", "adopt", "create"]
    assert event.decision is event.decisions[0].decision
    assert (event.status, event.object_name, event.object_uid) == (201, "closed", "1-2-3")


def test_nobody_is_let_in_by_a_default() -> None:
    folder = Path(chandlery_gateway.__file__).parent
    trees = [ast.parse(path.read_text()) for path in folder.rglob("*.py")]
    functions = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    takers = 0
    for function in functions:
        arguments = function.args
        positional = [*arguments.posonlyargs, *arguments.args]
        with_default = positional[len(positional) - len(arguments.defaults) :]
        with_default += [
            each for each, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if default
        ]
        deciders = {"authenticator", "authorizer", "auditor"}
        takers += any(each.arg in deciders for each in (*positional, *arguments.kwonlyargs))
        assert not deciders & {each.arg for each in with_default}, function.name
    assert takers >= 4
