"""Provision, update, deprovision and fetch on the wire. The first three allow the broker to work asynchronously."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

from chandlery.model.objects.wire import JsonObject
from chandlery.osb.operations.stored_request import StoredRequest
from chandlery.osb.transport.http_call import ACCEPTS_INCOMPLETE, CallSketch, Query
from chandlery.reconcile.answers import Verb


@dataclass(frozen=True, kw_only=True)
class ProvisionRequest(StoredRequest):
    """OSB v2.17, "Provisioning". Both guids are required, although deprecated."""

    verb: ClassVar[Verb] = Verb.PROVISION

    instance_id: str
    service_id: str
    plan_id: str
    organization_guid: str
    space_guid: str
    context: JsonObject = field(repr=False)
    parameters: JsonObject | None = field(repr=False)
    """None if the user gave none: then the key is absent."""
    maintenance_version: str | None = None


@dataclass(frozen=True, kw_only=True)
class UpdateRequest(StoredRequest):
    """OSB v2.17, "Updating a Service Instance". What is None is left alone by the broker."""

    verb: ClassVar[Verb] = Verb.UPDATE

    instance_id: str
    service_id: str
    plan_id: str | None
    """The new plan, or the one that there is."""
    parameters: JsonObject | None = field(repr=False)
    """`{}` is sent and differs from None."""
    context: JsonObject = field(repr=False)
    previous_plan_id: str | None
    previous_maintenance_version: str | None = None
    maintenance_version: str | None = None


@dataclass(frozen=True, kw_only=True)
class DeprovisionRequest(StoredRequest):
    """OSB v2.17, "Deprovisioning". `plan_id` is the plan that the instance has now."""

    verb: ClassVar[Verb] = Verb.DEPROVISION

    instance_id: str
    service_id: str
    plan_id: str


@dataclass(frozen=True, kw_only=True)
class PollInstanceRequest(StoredRequest):
    """OSB v2.17, "Polling Last Operation for Service Instances". While a plan changes, `plan_id` is the old one."""

    verb: ClassVar[Verb] = Verb.POLL_INSTANCE

    instance_id: str
    service_id: str
    plan_id: str
    operation: str | None
    """The broker's key from the 202, verbatim."""


@dataclass(frozen=True, kw_only=True)
class GetInstanceRequest(StoredRequest):
    """OSB v2.17, "Fetching a Service Instance". Only where the catalog says `instances_retrievable`."""

    verb: ClassVar[Verb] = Verb.GET_INSTANCE

    instance_id: str
    service_id: str
    plan_id: str


def provision_call(request: ProvisionRequest) -> CallSketch:
    """PUT, OSB v2.17, "Provisioning"."""
    body = {
        "service_id": request.service_id,
        "plan_id": request.plan_id,
        "organization_guid": request.organization_guid,
        "space_guid": request.space_guid,
        "context": request.context,
        "parameters": request.parameters,
        "maintenance_info": maintenance_info(request.maintenance_version),
    }
    return _instance_call(request, "PUT", query=(ACCEPTS_INCOMPLETE,), body=body)


def update_call(request: UpdateRequest) -> CallSketch:
    """PATCH, OSB v2.17, "Updating a Service Instance"."""
    previous = present(
        {
            "plan_id": request.previous_plan_id,
            "maintenance_info": maintenance_info(request.previous_maintenance_version),
        }
    )
    body = {
        "service_id": request.service_id,
        "plan_id": request.plan_id,
        "context": request.context,
        "parameters": request.parameters,
        "previous_values": previous or None,
        "maintenance_info": maintenance_info(request.maintenance_version),
    }
    return _instance_call(request, "PATCH", query=(ACCEPTS_INCOMPLETE,), body=body)


def deprovision_call(request: DeprovisionRequest) -> CallSketch:
    """DELETE without a body, OSB v2.17, "Deprovisioning"."""
    query = (("service_id", request.service_id), ("plan_id", request.plan_id), ACCEPTS_INCOMPLETE)
    return _instance_call(request, "DELETE", query=query)


def get_instance_call(request: GetInstanceRequest) -> CallSketch:
    """GET, OSB v2.17, "Fetching a Service Instance"."""
    return _instance_call(request, "GET", query=(("service_id", request.service_id), ("plan_id", request.plan_id)))


def present(document: dict[str, Any]) -> dict[str, Any]:
    """Without the keys that have no value: absent and null mean different things to brokers."""
    return {key: value for key, value in document.items() if value is not None}


def maintenance_info(version: str | None) -> dict[str, str] | None:
    """Only the version counts (OSB v2.17, "Maintenance Info Object")."""
    return None if version is None else {"version": version}


def _instance_call(
    request: ProvisionRequest | UpdateRequest | DeprovisionRequest | GetInstanceRequest,
    method: str,
    *,
    query: Query,
    body: dict[str, Any] | None = None,
) -> CallSketch:
    segments = ("service_instances", request.instance_id)
    return CallSketch(verb=request.verb, method=method, segments=segments, query=query, body=body and present(body))
