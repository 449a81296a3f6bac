"""svcat's commands as the requests they make, in order: what the Go program sends, and how it waits for things.

It makes no discovery, asks for JSON, sends objects with empty fields and null times as Go writes them, deletes with
options that carry the catalog's own apiVersion, and waits by asking again. A failed request ends a command.
"""

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

from tests.e2e.stacks.api_client import ApiClient, JsonObject, condition, is_failed, is_ready
from tests.support.waiting import SOON, wait_for

CATALOG: Final = "/apis/servicecatalog.k8s.io/v1beta1"
FINALIZER: Final = "kubernetes-incubator/service-catalog"
_PREFIX: Final = "servicecatalog.k8s.io"
_TRIES: Final = 3


class Refused(Exception):
    """The server has refused a request; the command ends with its message."""

    def __init__(self, status: int, document: JsonObject) -> None:
        super().__init__(f"{status} {document.get('message')}")
        self.status = status


@dataclass(frozen=True)
class Scope:
    """What differs between `--scope cluster` and `--scope namespace`."""

    is_cluster: bool
    namespace: str

    @property
    def root(self) -> str:
        return CATALOG if self.is_cluster else f"{CATALOG}/namespaces/{self.namespace}"

    def plural(self, word: str) -> str:
        """`brokers`, `classes` or `plans` in that scope."""
        return f"clusterservice{word}" if self.is_cluster else f"service{word}"

    def path(self, word: str, name: str = "") -> str:
        return f"{self.root}/{self.plural(word)}" + (f"/{name}" if name else "")

    def field(self, name: str) -> str:
        """`serviceClassName` as it is called in that scope."""
        return f"cluster{name[0].upper()}{name[1:]}" if self.is_cluster else name


@dataclass
class Svcat:
    """One user of svcat with a namespace; `calls` has what was sent so far, method and path."""

    api: ApiClient
    namespace: str
    calls: list[tuple[str, str]] = field(default_factory=list)

    @property
    def cluster(self) -> Scope:
        return Scope(True, self.namespace)

    @property
    def local(self) -> Scope:
        return Scope(False, self.namespace)

    @property
    def root(self) -> str:
        return self.local.root

    def version(self) -> str:
        """`svcat version`: the server's."""
        return str(self._call("GET", "/version")["gitVersion"])

    def register(self, scope: Scope, name: str, url: str, **spec: Any) -> JsonObject:
        """`svcat register NAME --url URL`."""
        given = {"url": url, "relistBehavior": "", "relistRequests": 0, "catalogRestrictions": {}, **spec}
        return self._call("POST", scope.path("brokers"), _new(name, given))

    def sync(self, scope: Scope, name: str) -> JsonObject:
        """`svcat sync broker NAME`."""
        return self._raised(scope.path("brokers", name), "relistRequests")

    def deregister(self, scope: Scope, name: str) -> None:
        self._delete(scope.path("brokers", name))

    def brokers(self) -> list[JsonObject]:
        """`svcat get brokers`, both scopes."""
        return self._listed("brokers")

    def broker(self, name: str) -> list[tuple[Scope, JsonObject]]:
        """`svcat describe broker NAME`: the same name in both scopes, where it is."""
        return self._found("brokers", name)

    def classes(self, name: str = "") -> list[JsonObject]:
        """`svcat get classes [NAME]`."""
        return self._listed("classes", {"spec.externalName": name} if name else {})

    def describe_class(self, name: str) -> tuple[JsonObject, list[JsonObject]]:
        """`svcat describe class NAME`: the class, and its plans among all of them."""
        found = self._only(self.classes(name))
        plans = [
            *self._call("GET", f"{CATALOG}/clusterserviceplans")["items"],
            *self._call("GET", f"{CATALOG}/serviceplans")["items"],
        ]
        uses = found["metadata"]["name"]
        return found, [plan for plan in plans if uses in _class_names(plan["spec"])]

    def create_class(self, scope: Scope, name: str, *, copied_from: str) -> JsonObject:
        """`svcat create class NEW --from OLD`: a copy with another name and the same id at the broker."""
        spec = self._only(self._listed_in(scope, "classes", {"spec.externalName": copied_from}))["spec"]
        return self._call("POST", scope.path("classes"), _new(name, {**spec, "externalName": name}))

    def plans(self, scope: Scope, name: str = "", *, of: str = "") -> list[JsonObject]:
        """`svcat get plans [NAME] --class CLASS --scope …`."""
        if not name:
            return self._listed_in(scope, "plans", {})
        labels = {"spec.externalName": name}
        if of:
            labels[f"spec.{scope.field('serviceClassRef')}.name"] = of
        found = self._listed_in(scope, "plans", labels)
        for plan in found:
            self._call("GET", scope.path("classes", _class_names(plan["spec"])[0]))
        return found

    def describe_plan(self, scope: Scope, name: str, *, of: str) -> tuple[JsonObject, list[JsonObject]]:
        """`svcat describe plan`: the plan and its instances, looked for with a label whose value is not hashed."""
        plan = self._only(self.plans(scope, name, of=of))
        selector = f"{_PREFIX}/spec.clusterServicePlanRef.name={plan['metadata']['name']}"
        return plan, self._call("GET", f"{CATALOG}/serviceinstances?labelSelector={_quoted(selector)}")["items"]

    def marketplace(self) -> list[tuple[str, list[str]]]:
        """`svcat marketplace`: the classes and the names of their plans."""
        classes, plans = self._listed("classes"), self._listed("plans")
        rows: list[tuple[str, list[str]]] = []
        for each in classes:
            mine = [plan for plan in plans if each["metadata"]["name"] in _class_names(plan["spec"])]
            rows.append((each["spec"]["externalName"], sorted(plan["spec"]["externalName"] for plan in mine)))
        return rows

    def provision(self, scope: Scope, name: str, service: str, plan: str, **spec: Any) -> JsonObject:
        """`svcat provision NAME --class CLASS --plan PLAN`: by the names of Kubernetes, which it looks up first."""
        found = self._only(self._listed("classes", {"spec.externalName": service}))["metadata"]["name"]
        reference = scope.field("serviceClassRef")
        labels = {"spec.externalName": plan, f"spec.{reference}.name": found}
        wanted = self._only(self._listed_in(scope, "plans", labels))["metadata"]["name"]
        named = {scope.field("serviceClassName"): found, scope.field("servicePlanName"): wanted}
        body = _new(name, {**named, "externalID": "", "updateRequests": 0, **spec}, status=_FRESH_INSTANCE)
        return self._call("POST", f"{self.root}/serviceinstances", body)

    def instances(self) -> list[JsonObject]:
        return list(self._call("GET", f"{self.root}/serviceinstances")["items"])

    def describe_instance(self, name: str) -> tuple[JsonObject, list[JsonObject]]:
        """`svcat describe instance NAME`: the instance and its bindings."""
        return self.instance(name), self._bindings_of(name)

    def instance(self, name: str) -> JsonObject:
        return self._call("GET", f"{self.root}/serviceinstances/{name}")

    def touch(self, name: str) -> JsonObject:
        """`svcat touch instance NAME`."""
        return self._raised(f"{self.root}/serviceinstances/{name}", "updateRequests")

    def deprovision(self, name: str, *, abandon: bool = False) -> None:
        """`svcat deprovision NAME [--abandon]`."""
        self._removed(f"{self.root}/serviceinstances/{name}", abandon=abandon)

    def bind(self, instance: str, name: str = "", *, secret_name: str = "", **spec: Any) -> JsonObject:
        """`svcat bind INSTANCE [--name BINDING]`."""
        wanted = {"instanceRef": {"name": instance}, "parameters": {}, "secretName": secret_name, "externalID": ""}
        body = _new(name or instance, {**wanted, **spec}, status=_FRESH_BINDING)
        return self._call("POST", f"{self.root}/servicebindings", body)

    def binding(self, name: str) -> JsonObject:
        return self._call("GET", f"{self.root}/servicebindings/{name}")

    def describe_binding(self, name: str) -> tuple[JsonObject, JsonObject]:
        """`svcat describe binding NAME`: the binding and its Secret."""
        found = self.binding(name)
        path = f"/api/v1/namespaces/{self.namespace}/secrets/{found['spec']['secretName']}"
        return found, self._call("GET", path)

    def unbind(self, instance: str, *, abandon: bool = False) -> list[str]:
        """`svcat unbind INSTANCE [--abandon]`: all its bindings at once; answers their names."""
        self.instance(instance)
        names = [binding["metadata"]["name"] for binding in self._bindings_of(instance)]
        with ThreadPoolExecutor() as pool:
            paths = [f"{self.root}/servicebindings/{name}" for name in names]
            list(pool.map(lambda path: self._removed(path, abandon=abandon), paths))
        return names

    def wait(self, look: Callable[[], JsonObject]) -> JsonObject:
        """`--wait`: asks until it is Ready, or Failed and at rest."""
        return wait_for(look, lambda seen: is_ready(seen) or _is_failed_at_rest(seen), what="svcat --wait")

    def wait_until_gone(self, look: Callable[[], JsonObject]) -> None:
        """`--wait` of a deletion: asks until there is no such object."""
        wait_for(lambda: self._status_of(look), lambda seen: seen == 404, what="svcat --wait", seconds=SOON)

    def _status_of(self, look: Callable[[], JsonObject]) -> int:
        try:
            look()
        except Refused as refused:
            return refused.status
        return 200

    def _bindings_of(self, instance: str) -> list[JsonObject]:
        found = self._call("GET", f"{self.root}/servicebindings")["items"]
        return [binding for binding in found if binding["spec"]["instanceRef"]["name"] == instance]

    def _listed(self, word: str, labels: dict[str, str] | None = None) -> list[JsonObject]:
        return [item for scope in (self.cluster, self.local) for item in self._listed_in(scope, word, labels or {})]

    def _listed_in(self, scope: Scope, word: str, labels: dict[str, str]) -> list[JsonObject]:
        selector = ",".join(f"{_PREFIX}/{name}={hashed(value)}" for name, value in sorted(labels.items()))
        query = f"?labelSelector={_quoted(selector)}" if selector else ""
        return list(self._call("GET", scope.path(word) + query)["items"])

    def _found(self, word: str, name: str) -> list[tuple[Scope, JsonObject]]:
        return list(self._find(word, name))

    def _find(self, word: str, name: str) -> Iterator[tuple[Scope, JsonObject]]:
        for scope in (self.cluster, self.local):
            try:
                yield scope, self._call("GET", scope.path(word, name))
            except Refused as refused:
                if refused.status != 404:
                    raise

    @staticmethod
    def _only(found: list[JsonObject]) -> JsonObject:
        assert len(found) == 1, [item["metadata"]["name"] for item in found]
        return found[0]

    def _raised(self, path: str, counter: str) -> JsonObject:
        for left in reversed(range(_TRIES)):
            document = self._call("GET", path)
            document["spec"][counter] = document["spec"].get(counter, 0) + 1
            try:
                return self._call("PUT", path, document)
            except Refused as refused:
                if refused.status != 409 or not left:
                    raise
        raise AssertionError("unreachable")

    def _removed(self, path: str, *, abandon: bool) -> None:
        if abandon:
            document = self._call("GET", path)
            finalizers = document["metadata"].get("finalizers", [])
            document["metadata"]["finalizers"] = [each for each in finalizers if each != FINALIZER]
            self._call("PUT", path, document)
        self._delete(path)

    def _delete(self, path: str) -> None:
        self._call("DELETE", path, {"kind": "DeleteOptions", "apiVersion": "servicecatalog.k8s.io/v1beta1"})

    def _call(self, method: str, path: str, body: JsonObject | None = None) -> JsonObject:
        self.calls.append((method, path))
        status, document = self.api.send(method, path, body, headers=_HEADERS)
        if status >= 300:
            raise Refused(status, document)
        found: JsonObject = document
        return found


_HEADERS: Final = {"Accept": "application/json, */*", "User-Agent": "svcat/v0.0.0 (linux/amd64) kubernetes/$Format"}
_FRESH_INSTANCE: Final[JsonObject] = {
    "conditions": None,
    "asyncOpInProgress": False,
    "orphanMitigationInProgress": False,
    "reconciledGeneration": 0,
    "observedGeneration": 0,
    "provisionStatus": "",
    "deprovisionStatus": "",
    "userSpecifiedPlanName": "",
    "userSpecifiedClassName": "",
}
_FRESH_BINDING: Final[JsonObject] = {
    "conditions": None,
    "asyncOpInProgress": False,
    "reconciledGeneration": 0,
    "orphanMitigationInProgress": False,
    "unbindStatus": "",
}
_FRESH_BROKER: Final[JsonObject] = {"conditions": None, "reconciledGeneration": 0, "lastConditionState": ""}


def hashed(value: str) -> str:
    """What stands in a label instead of the value: SHA-224 in hexadecimal digits."""
    return hashlib.sha224(value.encode()).hexdigest()


def reason(document: JsonObject) -> str:
    """The Status that svcat prints: of the last condition its type, or its reason if it is not true."""
    last = document["status"]["conditions"][-1]
    return str(last["type"] if last["status"] == "True" else last["reason"])


def _is_failed_at_rest(document: JsonObject) -> bool:
    return (
        is_failed(document) and not document["status"].get("asyncOpInProgress") and bool(condition(document, "Ready"))
    )


def _new(name: str, spec: JsonObject, *, status: JsonObject | None = None) -> JsonObject:
    # Without kind and apiVersion, as Go's typed client sends it.
    metadata = {"name": name, "creationTimestamp": None}
    return {"metadata": metadata, "spec": spec, "status": status or _FRESH_BROKER}


def _class_names(spec: JsonObject) -> list[str]:
    names = [(spec.get(key) or {}).get("name") for key in ("clusterServiceClassRef", "serviceClassRef")]
    return [name for name in names if name]


def _quoted(selector: str) -> str:
    return selector.replace("/", "%2F").replace("=", "%3D").replace(",", "%2C")
