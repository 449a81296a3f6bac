"""Catalogs for the scripted broker: `simple_catalog(simple_service("db", plans=["small", simple_plan("large")]))`.

Flags that are not given stay absent: absent and false differ (Open Service Broker API 2.17, Catalog Management).
"""

from collections.abc import Sequence
from typing import Any

JsonObject = dict[str, Any]


def simple_catalog(*services: JsonObject) -> JsonObject:
    """The body of `GET /v2/catalog`; without arguments one bindable offering `test-service` with the plan `default`."""
    return {"services": list(services) or [simple_service()]}


def simple_service(
    name: str = "test-service",
    *,
    plans: Sequence[JsonObject | str] = ("default",),
    service_id: str | None = None,
    bindable: bool = True,
    plan_updateable: bool | None = None,
    instances_retrievable: bool | None = None,
    bindings_retrievable: bool | None = None,
    **extra: Any,
) -> JsonObject:
    """One offering with the id `<name>-id`; a plan without an id gets `<service name>-<plan name>-id`."""
    flags = {
        "plan_updateable": plan_updateable,
        "instances_retrievable": instances_retrievable,
        "bindings_retrievable": bindings_retrievable,
    }
    return {
        "id": service_id or f"{name}-id",
        "name": name,
        "description": f"offering {name}",
        "bindable": bindable,
        "plans": [_identified(simple_plan(plan) if isinstance(plan, str) else plan, name) for plan in plans],
        **_given(flags),
        **extra,
    }


def simple_plan(
    name: str = "default",
    *,
    plan_id: str | None = None,
    free: bool | None = None,
    bindable: bool | None = None,
    plan_updateable: bool | None = None,
    binding_rotatable: bool | None = None,
    maximum_polling_duration: int | None = None,
    maintenance_version: str | None = None,
    schemas: JsonObject | None = None,
    **extra: Any,
) -> JsonObject:
    """One plan; `maximum_polling_duration` is in seconds, `maintenance_version` a semantic version."""
    fields = {
        "id": plan_id,
        "free": free,
        "bindable": bindable,
        "plan_updateable": plan_updateable,
        "binding_rotatable": binding_rotatable,
        "maximum_polling_duration": maximum_polling_duration,
        "maintenance_info": {"version": maintenance_version} if maintenance_version else None,
        "schemas": schemas,
    }
    return {"name": name, "description": f"plan {name}", **_given(fields), **extra}


def parameter_schemas(
    *, create: JsonObject | None = None, update: JsonObject | None = None, bind: JsonObject | None = None
) -> JsonObject:
    """The `schemas` of a plan around JSON schemas for the parameters of provision, update and bind."""
    instance = _given({"create": create, "update": update})
    binding = _given({"create": bind})
    return {
        kind: {action: {"parameters": schema} for action, schema in actions.items()}
        for kind, actions in (("service_instance", instance), ("service_binding", binding))
        if actions
    }


def _identified(plan: JsonObject, service_name: str) -> JsonObject:
    return {"id": f"{service_name}-{plan['name']}-id", **plan}


def _given(fields: JsonObject) -> JsonObject:
    return {name: value for name, value in fields.items() if value is not None}
