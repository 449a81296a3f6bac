"""Provision, update, deprovision and fetch on the wire. The first three allow the broker to work asynchronously."""

from typing import Any

from chandlery.osb.operations.instance_requests import (
    DeprovisionRequest,
    GetInstanceRequest,
    ProvisionRequest,
    UpdateRequest,
)
from chandlery.osb.transport.http_call import ACCEPTS_INCOMPLETE, CallSketch, Query


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
