"""Service Catalog v0.3 in a cluster, without its controller: its CRDs, its webhook, its Deployment, and its objects.

The definitions are those of its chart, in the form that `apiextensions.k8s.io/v1` wants.
"""

import copy
from typing import Any, Final

from chandlery.model.objects.kinds import CATALOG_KINDS, Kind
from tests.cluster.stage.real_cluster import RealCluster
from tests.e2e.stacks.api_client import JsonObject, condition
from tests.support.dumps import old_catalog as old
from tests.support.waiting import wait_for

HOME: Final = "catalog"
"""Where its controller and its webhook are."""
WEBHOOKS: Final = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
OTHER_WEBHOOK: Final = "some-catalog-webhook"
"""Which has nothing to do with it."""
DEFINITIONS: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_GROUP, _VERSION = old.API.split("/")
_MERGE: Final = {"Content-Type": "application/merge-patch+json"}
_SERVERS: Final = ("creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid")
_REFERENCES: Final = ("clusterServiceClassRef", "clusterServicePlanRef")
_OK: Final = 200


class OldCatalog:
    """What is there; `uids` are those that the cluster has given, by kind and name."""

    def __init__(self, cluster: RealCluster) -> None:
        self._cluster = cluster
        self.uids: dict[tuple[str, str], str] = {}

    def define(self) -> None:
        """Its kinds, served; and its Deployment, whose pods nobody runs here."""
        self._cluster.put("/api/v1/namespaces", _named("v1", "Namespace", HOME))
        self._cluster.put(f"/apis/apps/v1/namespaces/{HOME}/deployments", _deployment())
        for kind in CATALOG_KINDS:
            self._cluster.put(DEFINITIONS, _definition(kind))
        for kind in CATALOG_KINDS:
            path = f"{DEFINITIONS}/{kind.plural}.{_GROUP}"
            wait_for(
                lambda path=path: self._cluster.api().read(path)[1],  # type: ignore[misc]
                lambda seen: condition(seen, "Established").get("status") == "True",
                what=path,
            )
            wait_for(
                lambda kind=kind: self._cluster.api().read(f"/apis/{old.API}/{kind.plural}")[0],  # type: ignore[misc]
                lambda status: status == _OK,
                what=f"{kind.plural} to be served",
            )

    def guard(self) -> None:
        """Its webhook, which nothing gets past while it is away, and one of somebody else's that is called alike."""
        self._cluster.put(WEBHOOKS, _webhook("catalog-catalog-webhook", _GROUP, _VERSION))
        self._cluster.put(WEBHOOKS, _webhook(OTHER_WEBHOOK, "other.example.com", "v1"))

    def put(self, document: old.Document) -> JsonObject:
        """As its users and its controller have made it: created, given its references, given its status."""
        given = copy.deepcopy(document)
        status = given.pop("status", None)
        references = {name: given["spec"].pop(name) for name in _REFERENCES if _is_late(given, name)}
        for field in _SERVERS:
            given["metadata"].pop(field, None)
        for owner in given["metadata"].get("ownerReferences", ()):
            owner["uid"] = self.uids[owner["kind"], owner["name"]]
        collection = self._collection(given)
        made = self._sent("POST", collection, given)
        path = f"{collection}/{given['metadata']['name']}"
        self.uids[given["kind"], given["metadata"]["name"]] = made["metadata"]["uid"]
        if references:
            self._sent("PATCH", path, {"spec": references}, headers=_MERGE)
        if status is not None:
            made = self._sent("PATCH", f"{path}/status", {"status": status}, headers=_MERGE)
        return made

    def delete(self, document: old.Document) -> None:
        """Ask for it to go; its finalizer keeps it."""
        path = f"{self._collection(document)}/{document['metadata']['name']}"
        left = self._sent("DELETE", path)
        assert left["metadata"]["deletionTimestamp"]

    def remove(self) -> None:
        """Its kinds, once the broker, which nobody lets go, is without its finalizer."""
        kubectl = self._cluster.kubectl()
        broker = ("patch", "clusterservicebroker", old.BROKER, "--type=merge")
        kubectl.ok(*broker, "-p", '{"metadata":{"finalizers":null}}')
        kubectl.ok("delete", "crd", "-l", "svcat=true")

    def _collection(self, document: old.Document) -> str:
        version, namespace = document["apiVersion"], document["metadata"].get("namespace")
        root = f"/apis/{version}" if "/" in version else f"/api/{version}"
        scope = f"/namespaces/{namespace}" if namespace else ""
        plural = f"{document['kind'].lower()}{'es' if document['kind'].endswith('Class') else 's'}"
        return f"{root}{scope}/{plural}"

    def _sent(self, method: str, path: str, body: JsonObject | None = None, **more: Any) -> JsonObject:
        status, answer = self._cluster.api().send(method, path, body, **more)
        assert status in (_OK, 201), (path, answer)
        found: JsonObject = answer
        return found


def _is_late(document: old.Document, name: str) -> bool:
    # Of an instance the controller writes them, which makes another generation of it.
    return document["kind"] == "ServiceInstance" and name in document["spec"]


def _named(version: str, kind: str, name: str, **parts: Any) -> JsonObject:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, **parts}


def _definition(kind: Kind) -> JsonObject:
    version = {
        "name": _VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
        "subresources": {"status": {}},
    }
    spec = {
        "group": _GROUP,
        "scope": "Namespaced" if kind.namespaced else "Cluster",
        "names": {
            "kind": kind.kind,
            "listKind": f"{kind.kind}List",
            "plural": kind.plural,
            "singular": kind.singular,
            "categories": ["all", "svcat"],
        },
        "versions": [version],
    }
    made = _named("apiextensions.k8s.io/v1", "CustomResourceDefinition", f"{kind.plural}.{_GROUP}", spec=spec)
    # A group of Kubernetes' own is asked for it, since v1 of the definitions.
    annotations = {"api-approved.kubernetes.io": "unapproved, legacy API"}
    made["metadata"] |= {"labels": {"svcat": "true"}, "annotations": annotations}
    return made


def _deployment() -> JsonObject:
    labels = {"app": "catalog-controller-manager"}
    pods = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "controller-manager", "image": "svcat"}]}}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": pods}
    return _named("apps/v1", "Deployment", labels["app"], spec=spec)


def _webhook(name: str, group: str, version: str) -> JsonObject:
    rule = {"apiGroups": [group], "apiVersions": [version], "operations": ["CREATE", "UPDATE"], "resources": ["*"]}
    hook = {
        "name": f"mutating.{group}",
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "failurePolicy": "Fail",
        "clientConfig": {"service": {"namespace": HOME, "name": "catalog-webhook", "path": "/mutating"}},
        "rules": [rule],
    }
    return _named("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", name, webhooks=[hook])
