"""`helm test`: has the release make an instance and a binding real, and takes both away again.

Runs in a pod of its own, with the standard library alone. It is its own service broker, which only its own namespace
sees; deleting that namespace takes everything along. In a cluster's API it is given a namespace (NAMESPACE) and takes
away what it has made there. Ends with status 1 and a sentence that says what did not work.
"""

import base64
import csv
import http.server
import json
import os
import secrets
import ssl
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

SECONDS = 60
CATALOG_API = "/apis/servicecatalog.k8s.io/v1beta1"
GIVEN_NAMESPACE = os.environ.get("NAMESPACE", "")
NAMESPACE = GIVEN_NAMESPACE or f"chandlery-test-{secrets.token_hex(4)}"
PLACE = f"{CATALOG_API}/namespaces/{NAMESPACE}"
PASSWORD = secrets.token_hex(16)
CATALOG = {
    "services": [
        {
            "id": f"class-{NAMESPACE}",
            "name": NAMESPACE,
            "description": "made by helm test",
            "bindable": True,
            "plans": [{"id": f"plan-{NAMESPACE}", "name": "only", "description": "made by helm test"}],
        }
    ]
}


class Broker(http.server.BaseHTTPRequestHandler):
    """A service broker that does at once whatever it is asked for."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.answer(200, CATALOG)

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        is_binding = "/service_bindings/" in self.path
        self.answer(201, {"credentials": {"password": PASSWORD}} if is_binding else {})

    def do_DELETE(self) -> None:
        self.answer(200, {})

    def answer(self, status: int, document: object) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say what was asked for, without what is in it."""
        print("the service broker was asked:", self.command, self.path.partition("?")[0], flush=True)


class Gateway:
    """The API of the release."""

    def __init__(self, url: str, token: str, certificate: str | None) -> None:
        self.url, self.token = url, token
        handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
        if certificate:
            context = ssl.create_default_context(cafile=certificate)
            if not GIVEN_NAMESPACE:
                # The one certificate that the gateway has, whoever signed it and whatever names it carries.
                context.check_hostname = False
                context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
            handlers.append(urllib.request.HTTPSHandler(context=context))
        self.opener = urllib.request.build_opener(*handlers)

    def ask(self, method: str, path: str, document: object = None) -> tuple[int, str]:
        """Status and document, also of what is refused; gives up after a while on what cannot be reached."""
        body = None if document is None else json.dumps(document).encode()
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, body, headers, method=method)
        try:
            with self.opener.open(request, timeout=20) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError as error:
            return 0, f"{self.url} cannot be reached: {error}"

    def create(self, path: str, kind: str, name: str, spec: object) -> None:
        """Create an object, or end with the reason why not."""
        api_version = path.removeprefix("/apis/").partition("/namespaces")[0] if path.startswith("/apis/") else "v1"
        document = {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, "spec": spec}
        status, text = self.ask("POST", path, document)
        if status != 201:
            sys.exit(f"{kind} {name} could not be created ({status}): {text}")

    def await_ready(self, path: str, kind: str) -> None:
        """Wait for it, or end with what its condition says."""
        text = "nobody has looked at it: is the worker for it running?"
        for _ in ticks():
            status, answer = self.ask("GET", path)
            conditions = json.loads(answer).get("status", {}).get("conditions", []) if status == 200 else []
            for condition in conditions:
                if condition["type"] == "Ready":
                    text = f"{condition.get('reason')}: {condition.get('message')}"
                    if condition["status"] == "True":
                        print(kind, "is ready", flush=True)
                        return
        sys.exit(f"{kind} was not ready within {SECONDS} s: {text}")


def ticks() -> Iterator[None]:
    """Twice a second until the time is up."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        yield
        time.sleep(0.5)


def token_of(path: str) -> str:
    """An administrator's, if there is one."""
    with Path(path).open(newline="", encoding="utf-8") as lines:
        rows = [row for row in csv.reader(lines) if row and not row[0].lstrip().startswith("#")]
    rows.sort(key=lambda row: "system:masters" not in ",".join(row[3:]))
    return rows[0][0].strip()


def provision(gateway: Gateway, broker_url: str) -> None:
    """An instance, a binding, and the credentials of it."""
    if not GIVEN_NAMESPACE:
        gateway.create("/api/v1/namespaces", "Namespace", NAMESPACE, {})
    gateway.create(f"{PLACE}/servicebrokers", "ServiceBroker", "broker", {"url": broker_url})
    gateway.await_ready(f"{PLACE}/servicebrokers/broker", "ServiceBroker")
    plan = {"serviceClassExternalName": NAMESPACE, "servicePlanExternalName": "only"}
    gateway.create(f"{PLACE}/serviceinstances", "ServiceInstance", "instance", plan)
    gateway.await_ready(f"{PLACE}/serviceinstances/instance", "ServiceInstance")
    named = {"instanceRef": {"name": "instance"}, "secretName": "credentials"}
    gateway.create(f"{PLACE}/servicebindings", "ServiceBinding", "binding", named)
    gateway.await_ready(f"{PLACE}/servicebindings/binding", "ServiceBinding")
    status, text = gateway.ask("GET", f"/api/v1/namespaces/{NAMESPACE}/secrets/credentials")
    if status != 200 or base64.b64decode(json.loads(text)["data"]["password"]).decode() != PASSWORD:
        sys.exit(f"the Secret does not hold the credentials that the service broker gave ({status})")


def clean_up(gateway: Gateway) -> bool:
    """Whether all of it has gone."""
    made = (f"{PLACE}/servicebindings/binding", f"{PLACE}/serviceinstances/instance", f"{PLACE}/servicebrokers/broker")
    return all(is_gone(gateway, path) for path in (made if GIVEN_NAMESPACE else [f"/api/v1/namespaces/{NAMESPACE}"]))


def is_gone(gateway: Gateway, path: str) -> bool:
    """Whether it has gone in time once it was deleted."""
    gateway.ask("DELETE", path)
    return any(gateway.ask("GET", path)[0] == 404 for _ in ticks())


def main() -> None:
    """All of it."""
    host, port = os.environ["BROKER_HOST"], int(os.environ["BROKER_PORT"])
    http.server.ThreadingHTTPServer.address_family = 10 if ":" in host else 2
    server = http.server.ThreadingHTTPServer((host, port), Broker)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    gateway = Gateway(os.environ["GATEWAY_URL"], token_of(os.environ["TOKEN_FILE"]), os.environ.get("CERTIFICATE_FILE"))
    print(gateway.ask("GET", "/readyz?verbose")[1], flush=True)
    shown = f"[{host}]" if ":" in host else host
    status, text = gateway.ask("GET", CATALOG_API)
    if status != 200:
        sys.exit(f"the gateway does not answer as it should ({status}): {text}")
    try:
        provision(gateway, f"http://{shown}:{server.server_port}")
    finally:
        is_clean = clean_up(gateway)
    if not is_clean:
        way_out = f"kubectl describe namespace {NAMESPACE}"
        if GIVEN_NAMESPACE:
            way_out = f"kubectl describe servicebindings,serviceinstances,servicebrokers --namespace {NAMESPACE}"
        sys.exit(f"namespace {NAMESPACE} was not empty within {SECONDS} s: `{way_out}` says why")
    print("an instance and a binding were made and taken away again", flush=True)


if __name__ == "__main__":
    main()
