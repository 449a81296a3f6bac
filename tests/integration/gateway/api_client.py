"""A client of the API for tests: requests, watches, and the objects that tests make again and again."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp

from tests.support.waiting import SOON

Document = dict[str, Any]

RBAC_GROUP = "rbac.authorization.k8s.io"
RBAC = f"/apis/{RBAC_GROUP}/v1"
CATALOG = "/apis/servicecatalog.k8s.io/v1beta1"
TEAM = f"{CATALOG}/namespaces/team"
SECRETS = "/api/v1/namespaces/team/secrets"
FINALIZER = "kubernetes-incubator/service-catalog"

MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    payload: bytes
    warnings: tuple[str, ...] = ()

    @property
    def document(self) -> Document:
        document: Document = json.loads(self.payload)
        return document

    @property
    def message(self) -> str:
        return str(self.document.get("message", ""))

    @property
    def causes(self) -> dict[str, str]:
        """Field -> message of each cause."""
        return {cause["field"]: cause["message"] for cause in self.document["details"]["causes"]}


@dataclass
class Watch:
    """An open watch."""

    response: aiohttp.ClientResponse
    seen: list[Document] = field(default_factory=list)

    async def next(self) -> Document:
        """The next notice; fails after some seconds."""
        async with asyncio.timeout(SOON):
            line = await self.response.content.readline()
        assert line, "the watch has ended"
        notice: Document = json.loads(line)
        self.seen.append(notice)
        return notice

    async def until(self, name: str, verb: str | None = None) -> list[tuple[str, str]]:
        """Type and name of the notices up to the one about this object."""
        passed = []
        while True:
            notice = await self.next()
            passed.append((notice["type"], notice["object"]["metadata"]["name"]))
            if passed[-1][1] == name and verb in (None, notice["type"]):
                return passed

    async def rest(self, *, within: float = SOON) -> list[Document]:
        """All that comes until the server ends the watch."""
        async with asyncio.timeout(within):
            return [json.loads(line) async for line in self.response.content]


@dataclass(frozen=True)
class Api:
    """Talks to one gateway as one user."""

    session: aiohttp.ClientSession
    token: str | None
    acting: Mapping[str, str] = field(default_factory=dict)
    """Headers that say whom the user acts as."""

    def acting_as(self, name: str, group: str = "") -> "Api":
        """The same as somebody else, of one group beside those that everybody is in."""
        headers = {"Impersonate-User": name, **({"Impersonate-Group": group} if group else {})}
        return replace(self, acting=headers)

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request. A body that is no bytes is sent as JSON."""
        sent = {**self.acting, **(headers or {})}
        if self.token is not None:
            sent.setdefault("Authorization", f"Bearer {self.token}")
        data = body
        if body is not None and not isinstance(body, bytes):
            data = json.dumps(body).encode()
        if data is not None:
            sent.setdefault("Content-Type", "application/json")
            data = io.BytesIO(data)
        async with (
            asyncio.timeout(60),
            self.session.request(method, path, data=data, headers=sent, params=query) as response,
        ):
            warnings = tuple(response.headers.getall("Warning", []))
            return Answer(response.status, response.headers, await response.read(), warnings)

    async def get(self, path: str, **query: str) -> Answer:
        return await self.call("GET", path, query=query)

    async def post(self, path: str, body: Any, **query: str) -> Answer:
        return await self.call("POST", path, body, query=query)

    async def put(self, path: str, body: Any, **query: str) -> Answer:
        return await self.call("PUT", path, body, query=query)

    async def patch(self, path: str, body: Any, kind: str = MERGE, **query: str) -> Answer:
        return await self.call("PATCH", path, body, headers={"Content-Type": kind}, query=query)

    async def delete(self, path: str, body: Any = None, **query: str) -> Answer:
        return await self.call("DELETE", path, body, query=query)

    async def made(self, path: str, body: Document) -> Document:
        """Create, and insist that it worked."""
        answer = await self.post(path, body)
        assert answer.status == 201, answer.payload
        return answer.document

    async def read(self, path: str) -> Document:
        """Read, and insist that it is there."""
        answer = await self.get(path)
        assert answer.status == 200, answer.payload
        return answer.document

    @asynccontextmanager
    async def watch(self, path: str, *, accept: str = "application/json", **query: str) -> AsyncIterator[Watch]:
        """An open watch, which has to begin well."""
        headers = {**self.acting, "Authorization": f"Bearer {self.token}", "Accept": accept}
        params = {"watch": "true", **query}
        async with self.session.get(path, params=params, headers=headers) as response:
            assert response.status == 200, await response.read()
            yield Watch(response)


def instance(name: str = "db", **spec: Any) -> Document:
    """An instance whose plan is given, so that the catalog need not know it."""
    named = {"clusterServiceClassExternalName": "mysql", "clusterServicePlanExternalName": "small"}
    return catalog_object("ServiceInstance", name, **(spec or named))


def binding(name: str = "db-binding", *, to: str = "db", **spec: Any) -> Document:
    return catalog_object("ServiceBinding", name, instanceRef={"name": to}, **spec)


def broker(name: str = "broker", kind: str = "ClusterServiceBroker", **spec: Any) -> Document:
    return catalog_object(kind, name, url="https://broker.example.com", **spec)


def service_class(name: str = "class-1", *, external_name: str = "mysql", **spec: Any) -> Document:
    values = {"externalName": external_name, "externalID": name, "description": "a database", "bindable": True, **spec}
    return catalog_object("ClusterServiceClass", name, clusterServiceBrokerName="broker", **values)


def plan(name: str = "plan-1", *, external_name: str = "small", of: str = "class-1", **spec: Any) -> Document:
    values = {"externalName": external_name, "externalID": name, "description": "a plan", **spec}
    return catalog_object(
        "ClusterServicePlan", name, clusterServiceBrokerName="broker", clusterServiceClassRef={"name": of}, **values
    )


def catalog_object(kind: str, name: str, **spec: Any) -> Document:
    return {
        "apiVersion": "servicecatalog.k8s.io/v1beta1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": spec,
    }


def secret(name: str = "key", **data: str) -> Document:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data}


def namespace(name: str) -> Document:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def labelled(document: Document, **labels: str) -> Document:
    return {**document, "metadata": {**document["metadata"], "labels": labels}}


def names(document: Document) -> list[str]:
    """Names of a list's items."""
    return [item["metadata"]["name"] for item in document["items"]]


def role(name: str = "reader", kind: str = "Role", **body: Any) -> Document:
    """A role that lets read instances, unless it is told to let do something else."""
    rules = [{"apiGroups": ["servicecatalog.k8s.io"], "resources": ["serviceinstances"], "verbs": ["get"]}]
    return _rbac(kind, name, **{"rules": rules, **body})


def role_binding(
    name: str = "ann-reads", kind: str = "RoleBinding", *, to: str = "ann", gives: str = "ClusterRole/view"
) -> Document:
    """A binding that gives the role to this user."""
    role_kind, _, role_name = gives.partition("/")
    subjects = [{"kind": "User", "apiGroup": RBAC_GROUP, "name": to}]
    return _rbac(kind, name, subjects=subjects, roleRef={"apiGroup": RBAC_GROUP, "kind": role_kind, "name": role_name})


def _rbac(kind: str, name: str, **body: Any) -> Document:
    return {"apiVersion": f"{RBAC_GROUP}/v1", "kind": kind, "metadata": {"name": name}, **body}
