"""A service broker on loopback that really keeps what it is told, to compare a database with. Synchronous, on a thread.

It offers `open`, whose instances and bindings anybody may fetch, and `mute`, whose may not; both have plans `small`
and `large`. Ids in the catalog are `<name>-id` and `<service>-<plan>-id`.
"""

import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Self
from urllib.parse import parse_qs, urlsplit

_INSTANCE: Final = re.compile(r"/v2/service_instances/([^/?]+)$")
_BINDING: Final = re.compile(r"/v2/service_instances/([^/?]+)/service_bindings/([^/?]+)$")


def _service(name: str, *, retrievable: bool) -> dict[str, Any]:
    plans = [
        {"id": f"{name}-{plan}-id", "name": plan, "description": f"{plan} ones", "free": True}
        for plan in ("small", "large")
    ]
    return {
        "id": f"{name}-id",
        "name": name,
        "description": f"{name} ones",
        "bindable": True,
        "plan_updateable": True,
        "instances_retrievable": retrievable,
        "bindings_retrievable": retrievable,
        "plans": plans,
    }


CATALOG: Final = {"services": [_service("open", retrievable=True), _service("mute", retrievable=False)]}


@dataclass
class KeepingBroker:
    """What it has, by id."""

    instances: dict[str, dict[str, Any]] = field(default_factory=dict)
    bindings: dict[str, dict[str, Any]] = field(default_factory=dict)
    seen: list[tuple[str, str]] = field(default_factory=list)
    """Method and path of each request but those for the catalog."""
    given: int = 0
    """Credentials made so far: no two are alike."""
    url: str = ""

    def __enter__(self) -> Self:
        broker = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length) or b"{}")
                status, said = broker.handle(self.command, self.path, body)
                text = json.dumps(said).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815 - names of http.server

            def log_message(self, *_: Any) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._lock = threading.Lock()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def changes(self) -> list[tuple[str, str]]:
        """The requests that were to change something."""
        return [each for each in self.seen if each[0] != "GET"]

    def handle(self, method: str, target: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Status and body for one request."""
        address = urlsplit(target)
        if address.path == "/v2/catalog":
            return 200, CATALOG
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        with self._lock:
            self.seen.append((method, address.path))
            if found := _BINDING.match(address.path):
                return self._binding(method, found[1], found[2], body=body)
            if found := _INSTANCE.match(address.path):
                return self._instance(method, found[1], {**query, **body})
        return 404, {"description": "no such path"}

    def _instance(self, method: str, name: str, said: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        there = self.instances.get(name)
        if method == "PUT":
            asked = {key: value for key, value in said.items() if key in ("service_id", "plan_id", "parameters")}
            if there is not None:
                return (200 if there == asked else 409), {}
            self.instances[name] = asked
            return 201, {}
        if there is None:
            return (410 if method == "DELETE" else 404), {}
        if method == "DELETE":
            if any(each["instance"] == name for each in self.bindings.values()):
                return 400, {"description": "it has bindings"}
            del self.instances[name]
            return 200, {}
        if method == "PATCH":
            there |= {key: value for key, value in said.items() if key in ("plan_id", "parameters")}
            return 200, {}
        return 200, there

    def _binding(self, method: str, instance: str, name: str, *, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        there = self.bindings.get(name)
        if method == "PUT":
            if instance not in self.instances:
                return 404, {}
            if there is None:
                self.given += 1
                credentials = {"password": f"p-{self.given}"}
                self.bindings[name] = {"instance": instance, "credentials": credentials, "asked": body}
                return 201, {"credentials": credentials}
            return 200, {"credentials": there["credentials"]}
        if there is None:
            return (410 if method == "DELETE" else 404), {}
        if method == "DELETE":
            del self.bindings[name]
            return 200, {}
        return 200, {"credentials": there["credentials"]}
