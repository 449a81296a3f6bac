"""A service broker that counts: `python -m tests.chaos.counting.counting_broker --port 0 --seed 1`.

It forgets nothing and repeats what it is asked for twice, as OSB has it. During the storm it drops connections: before
it has done anything, or in mid-answer. `GET /ledger` tells what exists and what was odd; `PUT /storm?drop=0.05` sets
the share of the requests that get no answer. Prints `counting broker listens on http://127.0.0.1:<port>`.
"""

import argparse
import asyncio
import json
import random
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from aiohttp import web

from tests.chaos.counting.counted_things import Answer, JsonObject, Things

SERVICE: Final = "counted-service"
_SERVICE_ID: Final = str(uuid.uuid5(uuid.NAMESPACE_URL, SERVICE))
_PLAN_ID: Final = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{SERVICE}/default"))
_LONGEST_DELAY: Final = 0.04
_ITEM: Final = "/v2/service_instances/{instance}"
_BINDING: Final = _ITEM + "/service_bindings/{binding}"
_CATALOG: Final = {
    "services": [
        {
            "id": _SERVICE_ID,
            "name": SERVICE,
            "description": "counts",
            "bindable": True,
            "plan_updateable": True,
            "instances_retrievable": False,
            "bindings_retrievable": True,
            "plans": [{"id": _PLAN_ID, "name": "default", "description": "the only one", "free": True}],
        }
    ]
}


class CountingBroker:
    """The handlers."""

    def __init__(self, seed: str) -> None:
        self._draw = random.Random(seed)
        self._says: list[str] = []
        self._instances = Things("instance", self._draw, self._says)
        self._bindings = Things("binding", self._draw, self._says)
        self._at_work: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
        self._drop = 0.0
        self._drops: Counter[str] = Counter()

    def app(self) -> web.Application:
        app = web.Application()
        router = app.router
        router.add_get("/v2/catalog", self._catalog)
        router.add_get("/ledger", self._ledger)
        router.add_put("/storm", self._storm)
        for path in (_ITEM, _BINDING):
            router.add_get(f"{path}/last_operation", self._answer)
            router.add_route("*", path, self._answer)
        return app

    async def _catalog(self, _: web.Request) -> web.Response:
        return web.json_response(_CATALOG)

    async def _storm(self, request: web.Request) -> web.Response:
        self._drop = float(request.query["drop"])
        return web.json_response({})

    async def _ledger(self, _: web.Request) -> web.Response:
        now = asyncio.get_running_loop().time()
        living: JsonObject = {}
        for things in (self._instances, self._bindings):
            living[f"{things.kind}s"] = {
                each.id: {"desired": each.desired, "owner": each.owner, "credentials": each.credentials}
                for each in things.settle(now).values()
            }
        counts = {f"{things.kind}s": dict(things.counts) for things in (self._instances, self._bindings)}
        return web.json_response({**living, "counts": counts, "says": self._says, "drops": dict(self._drops)})

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.json() if request.can_read_body else {}
        instance = request.match_info["instance"]
        is_dropped = self._draw.random() < self._drop
        if is_dropped and self._draw.random() < 0.5:
            self._drops["before the request was read"] += 1
            return await _cut(request, b"")
        with self._alone(instance, request, body):
            await asyncio.sleep(self._draw.uniform(0, _LONGEST_DELAY))
            status, answer = self._decide(request, body)
        if is_dropped:
            self._drops["in mid-answer"] += 1
            return await _cut(request, f"HTTP/1.1 {status} X\r\nContent-Length: 5000\r\n\r\n{{".encode())
        return web.json_response(answer, status=status)

    @contextmanager
    def _alone(self, instance: str, request: web.Request, body: JsonObject) -> Iterator[None]:
        """Two changes to one instance at once are odd, unless a dead process's request is repeated word for word."""
        if request.method == "GET" or "binding" in request.match_info:
            yield
            return
        words = (request.method, json.dumps(body, sort_keys=True))
        at_work = self._at_work[instance]
        if any(other != words for other in at_work):
            self._says.append(f"two changes at once to the instance {instance}")
        at_work.append(words)
        try:
            yield
        finally:
            at_work.remove(words)

    def _decide(self, request: web.Request, body: JsonObject) -> Answer:
        now = asyncio.get_running_loop().time()
        waits = request.query.get("accepts_incomplete") == "true"
        instance, binding = request.match_info["instance"], request.match_info.get("binding")
        things, id_ = (self._bindings, binding) if binding is not None else (self._instances, instance)
        match request.method:
            case "GET" if request.path.endswith("/last_operation"):
                return things.poll(id_, now=now)
            case "GET":
                return things.fetch(id_, now=now)
            case "PUT" if binding is not None:
                return self._bind(instance, binding, body, now=now, waits=waits)
            case "PUT":
                desired = {"parameters": body.get("parameters"), "plan": body["plan_id"]}
                return things.put(id_, desired, owner=_owner(body), now=now, may_wait=waits)
            case "PATCH":
                return things.change(id_, body.get("parameters") or {}, now=now, may_wait=waits)
            case "DELETE":
                return self._remove(things, id_, is_instance=binding is None, now=now, waits=waits)
        return 405, {}

    def _bind(self, instance: str, binding: str, body: JsonObject, *, now: float, waits: bool) -> Answer:
        if instance not in self._instances.settle(now):
            self._says.append(f"binding {binding} to the unknown instance {instance}")
            return 404, {}
        desired = {"parameters": body.get("parameters"), "instance": instance}
        return self._bindings.put(binding, desired, owner="", now=now, may_wait=waits)

    def _remove(self, things: Things, id_: str, *, is_instance: bool, now: float, waits: bool) -> Answer:
        if is_instance and (left := self._bindings_of(id_, now)):
            self._says.append(f"deletion of the instance {id_} with {len(left)} bindings")
            return 400, {"description": "it has bindings"}
        return things.delete(id_, now=now, may_wait=waits)

    def _bindings_of(self, instance: str, now: float) -> list[str]:
        return [each.id for each in self._bindings.settle(now).values() if each.desired["instance"] == instance]


async def _cut(request: web.Request, first: bytes) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.write(first)
        request.transport.close()
    raise ConnectionResetError("on purpose")


def _owner(body: JsonObject) -> str:
    context: dict[str, Any] = body.get("context") or {}
    return f"{context.get('namespace')}/{context.get('instance_name')}"


async def _serve(port: int, seed: str) -> None:
    runner = web.AppRunner(CountingBroker(seed).app(), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    print(f"counting broker listens on http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(description="A service broker that counts.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--seed", default="1")
    options = parser.parse_args()
    asyncio.run(_serve(options.port, options.seed))


if __name__ == "__main__":
    main()
