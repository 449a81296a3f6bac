"""Looks at the API without kubectl: cheap enough to ask again and again until something is so."""

import base64
import http.client
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import yaml

from tests.support.waiting import SOON, wait_for

JsonObject = dict[str, Any]

_CORE: Final = frozenset({"namespaces", "secrets", "events"})
_CLUSTER: Final = frozenset({"namespaces", "clusterservicebrokers", "clusterserviceclasses", "clusterserviceplans"})
_TIMEOUT_SECONDS: Final = 30.0
UNREACHABLE: Final = 0


@dataclass(frozen=True)
class ApiAnswer:
    """What came back."""

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)


class ApiClient:
    """Reads what a kubeconfig points to. A gateway that is down gives the status `UNREACHABLE`, never an exception."""

    def __init__(self, kubeconfig: Path) -> None:
        document = yaml.safe_load(kubeconfig.read_text())
        cluster = document["clusters"][0]["cluster"]
        address = urlsplit(cluster["server"])
        self._host, self._port = address.hostname or "", address.port or 443
        self._context = _trusting(cluster)
        self._headers = _shown_by(document["users"][0]["user"], self._context)

    @property
    def port(self) -> int:
        """Where the gateway listens."""
        return self._port

    def read(self, path: str) -> tuple[int, Any]:
        """Status and body of a GET; the body is decoded if it is JSON."""
        return self.send("GET", path)

    def send(
        self, method: str, path: str, body: JsonObject | None = None, *, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        """Status and body of any request; what is sent is JSON, what comes back is decoded if it is."""
        answer = self.call(method, path, body, headers=headers)
        return answer.status, answer.body

    def create(self, document: JsonObject, *, namespace: str = "default") -> "ApiAnswer":
        """Create an object of a catalog kind."""
        return self.call("POST", _collection(f"{document['kind'].lower()}s", namespace), document)

    def call(
        self, method: str, path: str, document: JsonObject | None = None, *, headers: Mapping[str, str] | None = None
    ) -> "ApiAnswer":
        """One request on a connection of its own."""
        connection = http.client.HTTPSConnection(
            self._host, self._port, context=self._context, timeout=_TIMEOUT_SECONDS
        )
        body = None if document is None else json.dumps(document)
        sent = {**self._headers, **({} if body is None else {"Content-Type": "application/json"}), **(headers or {})}
        try:
            connection.request(method, path, body=body, headers=sent)
            response = connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            return ApiAnswer(UNREACHABLE, {"message": str(error)})
        finally:
            connection.close()
        return ApiAnswer(response.status, _decoded(content), dict(response.headers))

    @contextmanager
    def watch(self, plural: str, *, namespace: str = "default") -> Iterator[list[JsonObject]]:
        """Every version of every object of the kind from now on, as they come, in a list that grows."""
        seen: list[JsonObject] = []
        connection = http.client.HTTPSConnection(self._host, self._port, context=self._context)
        connection.request("GET", f"{_collection(plural, namespace)}?watch=true", headers=self._headers)
        response = connection.getresponse()
        assert response.status == http.client.OK, response.read()
        # Held on to: the response lets go of it when it is closed.
        stream, tls = response.fp, connection.sock

        def read() -> None:
            with suppress(OSError, ValueError, AttributeError):
                while line := response.readline():
                    seen.append(json.loads(line)["object"])

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        try:
            yield seen
        finally:
            with suppress(OSError):
                tls.shutdown(socket.SHUT_RDWR)
            reader.join(_TIMEOUT_SECONDS)
            stream.close()
            connection.close()

    def find(self, plural: str, name: str, *, namespace: str = "default") -> JsonObject | None:
        """The object, None if there is none; a `Status` for any other answer."""
        status, body = self.read(f"{_collection(plural, namespace)}/{name}")
        return None if status == http.client.NOT_FOUND else body

    def names(self, plural: str, *, namespace: str = "default") -> list[str]:
        """The names of all objects of the kind."""
        status, body = self.read(_collection(plural, namespace))
        assert status == http.client.OK, body
        return [item["metadata"]["name"] for item in body["items"]]

    def await_object(
        self,
        plural: str,
        name: str,
        accept: Callable[[JsonObject], bool],
        *,
        namespace: str = "default",
        seconds: float = SOON,
    ) -> JsonObject:
        """Wait until the object exists and is acceptable."""
        found = wait_for(
            lambda: self.find(plural, name, namespace=namespace),
            lambda seen: seen is not None and "metadata" in seen and accept(seen),
            what=f"{plural} {name}",
            seconds=seconds,
        )
        assert found is not None
        return found

    def await_ready(
        self, plural: str, name: str, *, namespace: str = "default", seconds: float = SOON, generation: int = 0
    ) -> JsonObject:
        """Wait for Ready=True, about the spec of that generation at least."""
        return self.await_object(
            plural,
            name,
            lambda seen: is_ready(seen) and _observed(seen) >= generation,
            namespace=namespace,
            seconds=seconds,
        )

    def await_reason(self, plural: str, name: str, reason: str, *, namespace: str = "default") -> JsonObject:
        """Wait until a condition has this reason, and answer the condition."""
        found = self.await_object(
            plural, name, lambda seen: any(one["reason"] == reason for one in conditions(seen)), namespace=namespace
        )
        return next(one for one in conditions(found) if one["reason"] == reason)

    def await_gone(self, plural: str, name: str, *, namespace: str = "default", seconds: float = SOON) -> None:
        """Wait until there is no such object."""
        wait_for(
            lambda: self.find(plural, name, namespace=namespace),
            lambda seen: seen is None,
            what=f"{plural} {name} to be gone",
            seconds=seconds,
        )


def conditions(document: JsonObject) -> list[JsonObject]:
    found: list[JsonObject] = (document.get("status") or {}).get("conditions") or []
    return found


def condition(document: JsonObject, kind: str) -> JsonObject:
    """The condition of that type, empty if there is none."""
    return next((one for one in conditions(document) if one["type"] == kind), {})


def is_ready(document: JsonObject) -> bool:
    return condition(document, "Ready").get("status") == "True"


def is_failed(document: JsonObject) -> bool:
    return condition(document, "Failed").get("status") == "True"


def is_in_progress(document: JsonObject) -> bool:
    """Whether the broker is at work on it."""
    return bool(document["status"].get("asyncOpInProgress"))


def secret_values(secret: JsonObject) -> dict[str, str]:
    return {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}


def _observed(document: JsonObject) -> int:
    """Of which generation Ready speaks: an instance is also Ready while another state of it is wanted."""
    status = document["status"]
    ready: JsonObject = next((each for each in status.get("conditions", ()) if each["type"] == "Ready"), {})
    seen = ready.get("observedGeneration") or status.get("observedGeneration") or status.get("reconciledGeneration")
    return int(seen or 0)


def _collection(plural: str, namespace: str) -> str:
    group = "/api/v1" if plural in _CORE else "/apis/servicecatalog.k8s.io/v1beta1"
    return f"{group}/{plural}" if plural in _CLUSTER else f"{group}/namespaces/{namespace}/{plural}"


def _trusting(cluster: JsonObject) -> ssl.SSLContext:
    if "certificate-authority" in cluster:
        return ssl.create_default_context(cafile=cluster["certificate-authority"])
    return ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())


def _shown_by(user: JsonObject, context: ssl.SSLContext) -> dict[str, str]:
    """The headers by which a user is known; a certificate goes into the context instead."""
    if "client-certificate" in user:
        context.load_cert_chain(user["client-certificate"], user["client-key"])
        return {}
    token = Path(user["tokenFile"]).read_text() if "tokenFile" in user else user["token"]
    return {"Authorization": f"Bearer {token}"}


def _decoded(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return {"message": content.decode(errors="replace")}
