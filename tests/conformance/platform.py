"""The platform as its users see it: objects made, changed and deleted through its HTTP API, and what becomes of them.

    async def test_osb_069_…(platform: Platform) -> None:
        await platform.provisions("db", parameters={"size": 1})     # registers the scripted broker first, if need be
        [put] = platform.broker.seen_of(PROVISION)

Each test has a namespace, a scripted broker and an offering of its own. Waits end with the event that they are for.
"""

import asyncio
import base64
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import aiohttp

from chandlery.model.objects import kinds
from chandlery.model.objects.kinds import Kind
from tests.conformance.platform_backends import ADMINISTRATOR, PlatformBackend, token_of
from tests.conformance.scripted.scripted_broker import ScriptedBroker, SeenRequest
from tests.conformance.scripted.scripted_catalog import simple_catalog, simple_service
from tests.integration.gateway.api_client import Answer, Api, Document
from tests.support.waiting import SOON, eventually

INSTANCE, BINDING, BROKER = kinds.SERVICE_INSTANCE, kinds.SERVICE_BINDING, kinds.CLUSTER_SERVICE_BROKER
CLASS, PLAN = kinds.CLUSTER_SERVICE_CLASS, kinds.CLUSTER_SERVICE_PLAN
SECRET, EVENT = kinds.SECRET, kinds.EVENT

QUICK: Mapping[str, Any] = {
    "retryPolicy": {"initialDelay": "10ms", "maximumDelay": "50ms"},
    "pollPolicy": {"initialInterval": "10ms", "maximumInterval": "20ms"},
}
"""How a broker is registered here unless a test says otherwise: what is tried again is tried again at once."""
_REST = timedelta(seconds=2)
"""What is due later than this is no work that is under way."""

Wanted = Callable[[Document], Any]


@dataclass
class Platform:
    """One test's part of a running platform, seen as one user."""

    backend: PlatformBackend
    broker: ScriptedBroker
    session: aiohttp.ClientSession = field(repr=False)
    number: int
    token: str = ADMINISTRATOR
    registered: list[str] = field(default_factory=list)
    """Names of the brokers that the test has registered."""

    @property
    def namespace(self) -> str:
        return f"team-{self.number}"

    @property
    def broker_name(self) -> str:
        # The same in all tests: so its queues are there already.
        return "broker"

    @property
    def offering_name(self) -> str:
        return f"service-{self.number}"

    @property
    def api(self) -> Api:
        return Api(self.session, self.token)

    def as_user(self, name: str) -> "Platform":
        """The same, as `ann`, `bob` or `eve`."""
        return Platform(
            self.backend, self.broker, self.session, self.number, token_of(name), registered=self.registered
        )

    # The catalog

    def offers(self, *plans: Document | str, **service: Any) -> Document:
        """Let the broker's catalog be one offering of these plans; to be said before the broker is registered."""
        offering = simple_service(self.offering_name, plans=plans or ("default",), **service)
        self.broker.catalog = simple_catalog(offering)
        return offering

    async def registers(self, name: str | None = None, *, url: str | None = None, **spec: Any) -> Document:
        """Register the scripted broker and wait until its catalog is there."""
        name = name or self.broker_name
        await self.registers_in_vain(name, url=url, **spec)
        return await self.until(BROKER, name, is_ready, "be ready")

    async def registers_in_vain(self, name: str | None = None, *, url: str | None = None, **spec: Any) -> str:
        """Register the scripted broker and wait for nothing; returns its name."""
        name = name or self.broker_name
        await self.creates(BROKER, name, {"url": url or self.broker.url, **QUICK, **spec})
        self.registered.append(name)
        return name

    async def relists(self, name: str | None = None) -> Document:
        """Have the catalog fetched again and wait until all of it has been taken up."""
        name = name or self.broker_name
        await self.asks_for_relist(name)
        return await self.until(BROKER, name, lambda found: is_ready(found) and is_settled(found), "have its catalog")

    async def relists_in_vain(self, name: str | None = None, *, says: str = "") -> Document:
        """Have the catalog fetched again and wait until the status says that this failed."""
        name = name or self.broker_name
        await self.asks_for_relist(name)
        return await self.until_condition(BROKER, name, "Ready", "False", says=says)

    async def asks_for_relist(self, name: str) -> None:
        """Have the catalog fetched again and wait for nothing."""
        before = await self.reads(BROKER, name)
        await self.changes(BROKER, name, {"spec": {"relistRequests": before["spec"].get("relistRequests", 0) + 1}})

    # Instances

    async def creates_instance(self, name: str = "db", *, plan: str | None = "default", **spec: Any) -> Document:
        """Create an instance of the test's offering and wait for nothing."""
        if not self.registered:
            await self.registers()
        wanted: Document = {"clusterServiceClassExternalName": self.offering_name}
        if plan is not None:
            wanted["clusterServicePlanExternalName"] = plan
        return await self.creates(INSTANCE, name, {**wanted, **spec})

    async def provisions(self, name: str = "db", *, plan: str | None = "default", **spec: Any) -> Document:
        """Create an instance and wait until it is ready."""
        await self.creates_instance(name, plan=plan, **spec)
        return await self.until_ready(INSTANCE, name)

    async def updates(self, name: str = "db", **spec: Any) -> Document:
        """Change the specification of an instance and wait until the broker has it."""
        changed = await self.changes(INSTANCE, name, {"spec": spec})
        generation = changed["metadata"]["generation"]
        return await self.until(
            INSTANCE,
            name,
            lambda found: found["status"].get("reconciledGeneration") == generation and is_ready(found),
            f"have generation {generation} at the broker",
        )

    async def deprovisions(self, name: str = "db") -> None:
        """Delete an instance and wait until it is gone."""
        await self.deletes(INSTANCE, name)
        await self.until_gone(INSTANCE, name)

    # Bindings

    async def creates_binding(self, name: str = "db-binding", *, to: str = "db", **spec: Any) -> Document:
        """Create a binding and wait for nothing."""
        return await self.creates(BINDING, name, {"instanceRef": {"name": to}, **spec})

    async def is_refused_a_binding(self, name: str = "db-binding", *, to: str = "db", **spec: Any) -> Answer:
        """Try to create a binding that is refused with 422."""
        meta = {"apiVersion": BINDING.api_version, "kind": BINDING.kind, "metadata": {"name": name}}
        answer = await self.api.post(self._path(BINDING), {**meta, "spec": {"instanceRef": {"name": to}, **spec}})
        assert answer.status == 422, answer.payload
        return answer

    async def binds(self, name: str = "db-binding", *, to: str = "db", **spec: Any) -> Document:
        """Create a binding and wait until its Secret is there."""
        await self.creates_binding(name, to=to, **spec)
        return await self.until_ready(BINDING, name)

    async def binds_or_fails(self, name: str = "db-binding", *, to: str = "db", **spec: Any) -> Document:
        """Create a binding and wait until it is ready or has failed, and nothing is left to be cleaned up."""
        await self.creates_binding(name, to=to, **spec)

        def is_over(found: Document) -> bool:
            has_failed = condition_of(found, "Failed").get("status") == "True"
            return is_ready(found) or (has_failed and not found["status"].get("orphanMitigationInProgress"))

        return await self.until(BINDING, name, is_over, "be ready or fail")

    async def unbinds(self, name: str = "db-binding") -> None:
        """Delete a binding and wait until it is gone."""
        await self.deletes(BINDING, name)
        await self.until_gone(BINDING, name)

    async def credentials(self, secret: str = "db-binding") -> dict[str, bytes]:
        """What is in the Secret of a binding."""
        found = await self.reads(SECRET, secret)
        return {key: base64.b64decode(value) for key, value in found.get("data", {}).items()}

    # Any object

    async def creates(self, kind: Kind, name: str, spec: Document, **metadata: Any) -> Document:
        document = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": name, **metadata}}
        body = {"spec": spec} if kind is not SECRET else {"stringData": spec}
        return await self.api.made(self._path(kind), {**document, **body})

    async def changes(self, kind: Kind, name: str, patch: Document) -> Document:
        """Merge the patch into the object."""
        answer = await self.api.patch(self._path(kind, name), patch)
        assert answer.status == 200, answer.payload
        return answer.document

    async def annotates(self, kind: Kind, name: str, **annotations: str) -> Document:
        """`kubectl annotate`; `retry_requested_at="1"` stands for `chandlery.io/retry-requested-at=1`."""
        full = {f"chandlery.io/{key.replace('_', '-')}": value for key, value in annotations.items()}
        return await self.changes(kind, name, {"metadata": {"annotations": full}})

    async def reads(self, kind: Kind, name: str) -> Document:
        return await self.api.read(self._path(kind, name))

    async def lists(self, kind: Kind, **query: str) -> list[Document]:
        items: list[Document] = (await self.api.get(self._path(kind), **query)).document["items"]
        return items

    async def deletes(self, kind: Kind, name: str) -> Answer:
        answer = await self.api.delete(self._path(kind, name))
        assert answer.status in (200, 202), answer.payload
        return answer

    async def exists(self, kind: Kind, name: str) -> bool:
        return (await self.api.get(self._path(kind, name))).status == 200

    async def classes(self) -> list[Document]:
        """The classes of the test's brokers."""
        return [each for each in await self.lists(CLASS) if each["spec"]["clusterServiceBrokerName"] in self.registered]

    async def plans(self) -> dict[str, Document]:
        """The plans of the test's brokers by their external names."""
        found = [each for each in await self.lists(PLAN) if each["spec"]["clusterServiceBrokerName"] in self.registered]
        return {each["spec"]["externalName"]: each for each in found}

    async def events(self, name: str) -> list[str]:
        """`Reason: message` of what was recorded about objects of that name, oldest first."""
        found = await self.lists(EVENT, fieldSelector=f"involvedObject.name={name}")
        found.sort(key=lambda each: int(each["metadata"]["resourceVersion"]))
        return [f"{each['reason']}: {each['message']}" for each in found]

    # Waits

    async def until(self, kind: Kind, name: str, wanted: Wanted, what: str) -> Document:
        """Wait until the object is as wanted: it is watched. Fails with its conditions and what the broker has seen."""
        last: Document = {}
        try:
            async with (
                asyncio.timeout(SOON),
                self.api.watch(self._path(kind), fieldSelector=f"metadata.name={name}") as watch,
            ):
                while True:
                    notice = await watch.next()
                    last = notice["object"]
                    assert notice["type"] in ("ADDED", "MODIFIED"), f"{kind.kind} {name} was to {what}, but is gone"
                    if wanted(last):
                        return last
        except TimeoutError:
            pass
        shown = json.dumps(last.get("status", {}).get("conditions", []), indent=1)
        raise AssertionError(f"{kind.kind} {name} was to {what}, but is {shown}\nafter {self._told()}")

    async def until_ready(self, kind: Kind, name: str) -> Document:
        return await self.until(kind, name, is_ready, "be ready")

    async def until_condition(
        self, kind: Kind, name: str, condition: str, status: str = "True", *, reason: str | None = None, says: str = ""
    ) -> Document:
        """Wait for a condition of this status, perhaps with a reason and a text that its message holds."""

        def holds(found: Document) -> bool:
            seen = condition_of(found, condition)
            as_wanted = seen.get("status") == status and reason in (None, seen.get("reason"))
            return as_wanted and says in seen.get("message", "")

        return await self.until(kind, name, holds, f"have {condition}={status} {reason or ''} {says!r}")

    async def until_failed(self, kind: Kind, name: str, *, says: str = "") -> Document:
        """Wait until the object has failed for good, with a message that holds the text."""
        return await self.until_condition(kind, name, "Failed", says=says)

    async def until_gone(self, kind: Kind, name: str) -> None:
        """Wait until the object is gone."""
        selector = f"metadata.name={name}"
        try:
            async with asyncio.timeout(SOON):
                # From the list on: a watch of its own accord begins at some moment that nobody knows.
                listed = (await self.api.get(self._path(kind), fieldSelector=selector)).document
                version = listed["metadata"]["resourceVersion"]
                if not listed["items"]:
                    return
                async with self.api.watch(self._path(kind), fieldSelector=selector, resourceVersion=version) as watch:
                    while (await watch.next())["type"] != "DELETED":
                        pass
        except TimeoutError:
            found = (await self.api.get(self._path(kind, name))).payload.decode()
            raise AssertionError(f"{kind.kind} {name} does not go: {found}\nafter {self._told()}") from None

    async def comes_to_rest(self) -> None:
        """Wait until nothing is in hand and nothing due soon: what has not been sent by then is not sent at all."""
        await eventually(lambda: self.backend.is_at_rest(within=_REST), what=f"rest, after {self._told()}")

    async def restarts(self) -> None:
        """All processes of the platform end and start again. The answer to a call that is held meanwhile is lost."""
        await self.backend.restart()

    # The rest

    def path(self, kind: Kind, name: str = "") -> str:
        """The address of an object, or of all of its kind."""
        return self._path(kind, name)

    def _path(self, kind: Kind, name: str = "") -> str:
        root = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
        place = f"/namespaces/{self.namespace}" if kind.namespaced else ""
        return f"{root}{place}/{kind.plural}" + (f"/{name}" if name else "")

    def _told(self) -> list[str]:
        return [f"{request.method} {request.raw_path}"[:200] for request in self.broker.seen]


NewPlatform = Callable[[ScriptedBroker], AbstractAsyncContextManager[Platform]]
"""Makes the part of a platform that knows one broker, for tests that do more than one thing at a time."""


def condition_of(document: Document, condition: str) -> Document:
    """The condition of that type; empty if there is none."""
    found: Sequence[Document] = document.get("status", {}).get("conditions", [])
    return next((each for each in found if each["type"] == condition), {})


def is_ready(document: Document) -> bool:
    return condition_of(document, "Ready").get("status") == "True"


def is_settled(document: Document) -> bool:
    """Whether the status is about the specification as it is now."""
    return bool(document["status"].get("reconciledGeneration") == document["metadata"]["generation"])


def of(requests: Sequence[SeenRequest], *templates: str) -> list[SeenRequest]:
    """Those of these templates, in order of arrival."""
    return [request for request in requests if request.template in templates]


def sequence(requests: Sequence[SeenRequest]) -> list[str]:
    """What was asked in which order, briefly: `PUT instance`, `GET binding operation`, `GET catalog` and so on."""
    return [_brief(request) for request in requests]


def _brief(request: SeenRequest) -> str:
    subject = "binding" if "binding_id" in request.ids else "instance" if request.ids else "catalog"
    return f"{request.method} {subject}" + (" operation" if request.template.endswith("/last_operation") else "")
