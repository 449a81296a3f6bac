"""Provision, update and deprovision on the wire. All three always allow the broker to work asynchronously."""

from typing import Any

from chandlery.osb.http_call import ACCEPTS_INCOMPLETE, HttpCall, target
from chandlery.osb.instance_requests import DeprovisionRequest, ProvisionRequest, UpdateRequest
from chandlery.osb.json_text import write_json


def provision_call(request: ProvisionRequest) -> HttpCall:
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
    return _instance_call(request, "PUT", body)


def update_call(request: UpdateRequest) -> HttpCall:
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
    return _instance_call(request, "PATCH", body)


def deprovision_call(request: DeprovisionRequest) -> HttpCall:
    """DELETE without a body, OSB v2.17, "Deprovisioning"."""
    query = (("service_id", request.service_id), ("plan_id", request.plan_id), ACCEPTS_INCOMPLETE)
    return HttpCall(
        verb=request.verb,
        method="DELETE",
        target=target("service_instances", request.instance_id, query=query),
        asked_async=True,
    )


def present(document: dict[str, Any]) -> dict[str, Any]:
    """Without the keys that have no value: absent and null mean different things to brokers."""
    return {key: value for key, value in document.items() if value is not None}


def maintenance_info(version: str | None) -> dict[str, str] | None:
    """Only the version counts (OSB v2.17, "Maintenance Info Object")."""
    return None if version is None else {"version": version}


def _instance_call(request: ProvisionRequest | UpdateRequest, method: str, body: dict[str, Any]) -> HttpCall:
    return HttpCall(
        verb=request.verb,
        method=method,
        target=target("service_instances", request.instance_id, query=(ACCEPTS_INCOMPLETE,)),
        body=write_json(present(body)),
        asked_async=True,
    )
