"""Objects of Kubernetes Service Catalog v0.3 as `kubectl get … -o yaml` prints them, in all the states that it leaves.

Made by hand from its types (`pkg/apis/servicecatalog/v1beta1/types.go`) and from what its controller writes. There is
one service broker with the class `db` (id `db-id`) and its plans `small` and `large`; the rest is in `ns`.
"""

import base64
import copy
import uuid
from collections.abc import Mapping
from typing import Any

import yaml

from chandlery.reconcile.parameters.parameters import checksum

Document = dict[str, Any]

API = "servicecatalog.k8s.io/v1beta1"
FINALIZER = "kubernetes-incubator/service-catalog"
SINCE = "2021-03-04T10:00:00Z"
NS = "ns"
BROKER, CLASS, SMALL, LARGE = "harbour", "db-id", "db-small-id", "db-large-id"
USER = {"username": "alice", "uid": "", "groups": ["system:authenticated"], "extra": {}}


def uid_of(kind: str, name: str) -> str:
    """As random ones look, and the same each time."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{kind}/{name}"))


def managed(*managers: str) -> list[Document]:
    fields: Document = {"f:spec": {".": {}, "f:parameters": {}}, "f:status": {".": {}, "f:conditions": {}}}
    return [
        {
            "apiVersion": API,
            "fieldsType": "FieldsV1",
            "fieldsV1": copy.deepcopy(fields),
            "manager": manager,
            "operation": "Update",
            "time": SINCE,
        }
        for manager in managers
    ]


def _object(kind: str, name: str, *, namespace: str | None = NS, **parts: Any) -> Document:
    metadata: Document = {
        "creationTimestamp": SINCE,
        "generation": 1,
        "managedFields": managed("kubectl-client-side-apply", "service-catalog"),
        "name": name,
        "resourceVersion": "48211",
        "selfLink": f"/apis/{API}/{kind.lower()}s/{name}",
        "uid": uid_of(kind, name),
        **({"namespace": namespace} if namespace else {}),
        **parts.pop("metadata", {}),
    }
    return {"apiVersion": API, "kind": kind, "metadata": metadata, **parts}


def condition(kind: str, status: str, reason: str, message: str = "as it was") -> Document:
    return {"lastTransitionTime": SINCE, "message": message, "reason": reason, "status": status, "type": kind}


def broker(url: str, **spec: Any) -> Document:
    return _object(
        "ClusterServiceBroker",
        BROKER,
        namespace=None,
        metadata={"finalizers": [FINALIZER]},
        spec={"relistBehavior": "Duration", "relistRequests": 0, "url": url, **spec},
        status={
            "conditions": [condition("Ready", "True", "FetchedCatalog", "Successfully fetched catalog entries")],
            "lastCatalogRetrievalTime": SINCE,
            "lastConditionState": "Ready",
            "reconciledGeneration": 1,
        },
    )


def _of_broker() -> list[Document]:
    return [
        {
            "apiVersion": API,
            "blockOwnerDeletion": False,
            "controller": True,
            "kind": "ClusterServiceBroker",
            "name": BROKER,
            "uid": uid_of("ClusterServiceBroker", BROKER),
        }
    ]


def service_class(**spec: Any) -> Document:
    return _object(
        "ClusterServiceClass",
        CLASS,
        namespace=None,
        metadata={"ownerReferences": _of_broker()},
        spec={
            "bindable": True,
            "bindingRetrievable": False,
            "clusterServiceBrokerName": BROKER,
            "description": "offering db",
            "externalID": CLASS,
            "externalName": "db",
            "planUpdatable": True,
            **spec,
        },
        status={"removedFromBrokerCatalog": False},
    )


def plan(name: str, external_id: str) -> Document:
    return _object(
        "ClusterServicePlan",
        external_id,
        namespace=None,
        metadata={"ownerReferences": _of_broker()},
        spec={
            "clusterServiceBrokerName": BROKER,
            "clusterServiceClassRef": {"name": CLASS},
            "description": f"plan {name}",
            "externalID": external_id,
            "externalName": name,
            "free": False,
        },
        status={"removedFromBrokerCatalog": False},
    )


def state_of(plan_name: str = "small", parameters: Mapping[str, Any] | None = None) -> Document:
    """What the broker was told, or has."""
    state: Document = {
        "clusterServicePlanExternalID": f"db-{plan_name}-id",
        "clusterServicePlanExternalName": plan_name,
        "userInfo": USER,
    }
    if parameters:
        state |= {"parameters": dict(parameters), "parameterChecksum": checksum(parameters)}
    return state


def instance(
    name: str,
    status: Mapping[str, Any],
    *,
    parameters: Mapping[str, Any] | None = None,
    plan_name: str = "small",
    generation: int = 2,
    metadata: Mapping[str, Any] | None = None,
    **spec: Any,
) -> Document:
    given: Document = {
        "clusterServiceClassExternalName": "db",
        "clusterServiceClassRef": {"name": CLASS},
        "clusterServicePlanExternalName": plan_name,
        "clusterServicePlanRef": {"name": f"db-{plan_name}-id"},
        "externalID": f"id-of-{name}",
        "updateRequests": 0,
        "userInfo": USER,
        **spec,
    }
    if parameters:
        given["parameters"] = dict(parameters)
    return _object(
        "ServiceInstance",
        name,
        metadata={"finalizers": [FINALIZER], "generation": generation, **(metadata or {})},
        spec=given,
        status=dict(status),
    )


def _status(*conditions: Document, **fields: Any) -> Document:
    last = conditions[-1] if conditions else None
    shown = (last["type"] if last["status"] == "True" else last["reason"]) if last else ""
    return {
        "asyncOpInProgress": False,
        "conditions": list(conditions),
        "deprovisionStatus": "Required",
        "lastConditionState": shown,
        "observedGeneration": 2,
        "orphanMitigationInProgress": False,
        "provisionStatus": "NotProvisioned",
        "reconciledGeneration": 0,
        "userSpecifiedClassName": "ClusterServiceClass/db",
        "userSpecifiedPlanName": "small",
        **fields,
    }


def provisioned(parameters: Mapping[str, Any] | None = None, **fields: Any) -> Document:
    ready = condition("Ready", "True", "ProvisionedSuccessfully", "The instance was provisioned successfully")
    there = {
        "externalProperties": state_of(parameters=parameters),
        "provisionStatus": "Provisioned",
        "reconciledGeneration": 2,
        "dashboardURL": "https://dashboard.example.com/1",
    }
    return _status(ready, **{**there, **fields})


def provisioning(operation: str = "op-7", **fields: Any) -> Document:
    ready = condition("Ready", "False", "Provisioning", "The instance is being provisioned asynchronously")
    under_way = {
        "asyncOpInProgress": True,
        "currentOperation": "Provision",
        "inProgressProperties": state_of(),
        "lastOperation": operation,
        "operationStartTime": SINCE,
    }
    return _status(ready, **{**under_way, **fields})


def updating(**fields: Any) -> Document:
    ready = condition("Ready", "False", "UpdatingInstance", "The instance is being updated asynchronously")
    under_way = {
        "asyncOpInProgress": True,
        "currentOperation": "Update",
        "externalProperties": state_of(),
        "inProgressProperties": state_of("large"),
        "lastOperation": "op-8",
        "observedGeneration": 3,
        "operationStartTime": SINCE,
        "provisionStatus": "Provisioned",
        "reconciledGeneration": 2,
    }
    return _status(ready, **{**under_way, **fields})


def refused() -> Document:
    reason = "ClusterServiceBrokerReturnedFailure"
    message = "ServiceBroker returned a failure for provision call; Status: 400"
    return _status(
        condition("Ready", "False", "ProvisionCallFailed", message),
        condition("Failed", "True", reason, message),
        deprovisionStatus="NotRequired",
    )


def retrying() -> Document:
    """The broker has answered 503, and the old controller would have tried again."""
    return _status(
        condition("Ready", "False", "ProvisionCallFailed", "Error provisioning; Status: 403"),
        currentOperation="Provision",
        inProgressProperties=state_of(),
        operationStartTime=SINCE,
    )


def mitigating() -> Document:
    return _status(
        condition("Ready", "False", "StartingInstanceOrphanMitigation"),
        condition("OrphanMitigation", "True", "ErrorCallingProvision"),
        currentOperation="Provision",
        inProgressProperties=state_of(),
        operationStartTime=SINCE,
        orphanMitigationInProgress=True,
    )


def waiting() -> Document:
    return _status(
        condition("Ready", "False", "ReferencesNonexistentServiceClass"),
        deprovisionStatus="NotRequired",
    )


def binding(
    name: str,
    to: str,
    status: Mapping[str, Any],
    *,
    metadata: Mapping[str, Any] | None = None,
    **spec: Any,
) -> Document:
    return _object(
        "ServiceBinding",
        name,
        metadata={"finalizers": [FINALIZER], **(metadata or {})},
        spec={
            "externalID": f"id-of-{name}",
            "instanceRef": {"name": to},
            "secretName": name,
            "userInfo": USER,
            **spec,
        },
        status=dict(status),
    )


def bound(**fields: Any) -> Document:
    return {
        "asyncOpInProgress": False,
        "conditions": [condition("Ready", "True", "InjectedBindResult", "Injected bind result")],
        "externalProperties": {"userInfo": USER},
        "lastConditionState": "Ready",
        "orphanMitigationInProgress": False,
        "reconciledGeneration": 1,
        "unbindStatus": "Required",
        **fields,
    }


def unbindable() -> Document:
    """A bind that was refused: final in Service Catalog."""
    return {
        **bound(reconciledGeneration=0),
        "conditions": [
            condition("Ready", "False", "BindCallFailed"),
            condition("Failed", "True", "ServiceBindingReturnedFailure"),
        ],
        "externalProperties": None,
    }


def secret(name: str, *, of: str | None = None, namespace: str = NS, **values: str) -> Document:
    owner = {
        "apiVersion": API,
        "blockOwnerDeletion": True,
        "controller": True,
        "kind": "ServiceBinding",
        "name": of,
        "uid": uid_of("ServiceBinding", of or ""),
    }
    return {
        "apiVersion": "v1",
        "data": {key: base64.b64encode(value.encode()).decode() for key, value in values.items()},
        "kind": "Secret",
        "metadata": {
            "creationTimestamp": SINCE,
            "name": name,
            "namespace": namespace,
            **({"ownerReferences": [owner]} if of else {}),
            "resourceVersion": "48300",
            "uid": uid_of("Secret", name),
        },
        "type": "Opaque",
    }


def home(name: str = NS) -> Document:
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "creationTimestamp": SINCE,
            "name": name,
            "resourceVersion": "12",
            "uid": uid_of("Namespace", name),
        },
        "spec": {"finalizers": ["kubernetes"]},
        "status": {"phase": "Active"},
    }


def offered(url: str, **spec: Any) -> list[Document]:
    """The broker with its class and plans."""
    return [broker(url, **spec), service_class(), plan("small", SMALL), plan("large", LARGE)]


def as_kubectl_prints(*documents: Document) -> str:
    """As `kubectl get … -o yaml` prints several objects."""
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "items": [copy.deepcopy(each) for each in documents],
            "kind": "List",
            "metadata": {"resourceVersion": "", "selfLink": ""},
        }
    )
