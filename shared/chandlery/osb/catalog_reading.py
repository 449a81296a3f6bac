"""From a catalog's JSON to checked values, or to the list of everything that is wrong with it.

The syncer calls it with the body of a successful catalog answer. Source: OSB v2.17, "Catalog Management". What brokers
may not do across fetches or across brokers (moving an id, reusing another's) is the syncer's to find out.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from chandlery.model.faults import FieldProblem
from chandlery.model.instances import MaintenanceInfo
from chandlery.model.wire import JsonObject
from chandlery.osb.catalog_fields import DUPLICATE, INVALID, Fields, shown
from chandlery.osb.catalog_schemas import parameter_schema
from chandlery.osb.catalog_values import CatalogPlan, CatalogService
from chandlery.osb.faults import InvalidCatalog

LONGEST = 2_000
"""UTF-8 bytes of a name or id, which the database has to look up: an index of PostgreSQL takes 2,704."""

_NUMBER = r"(?:0|[1-9]\d*)"
_PRERELEASE = rf"(?:{_NUMBER}|\d*[a-zA-Z-][0-9a-zA-Z-]*)"
_SEMANTIC_VERSION = re.compile(
    rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-{_PRERELEASE}(?:\.{_PRERELEASE})*)?(?:\+[0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*)?",
    re.ASCII,
)


def read_catalog(body: JsonObject) -> tuple[CatalogService, ...]:
    """The services in the broker's order. Unknown fields are ignored; names may be long and have odd characters.

    Raises:
        InvalidCatalog: with every violation and its JSON path.
    """
    problems: list[FieldProblem] = []
    top = Fields(body, "", problems=problems)
    entries = top.required_array("services", message="is required: an array", may_be_empty=True)
    taken = _Taken()
    services = tuple(_service(fields, taken) for fields in _objects(top, "services", entries))
    if problems:
        raise InvalidCatalog(tuple(problems))
    return services


@dataclass(frozen=True)
class _Taken:
    """Who has a value that only one may have: value to path. Upper and lower case differ."""

    service_names: dict[str, str] = field(default_factory=dict)
    service_ids: dict[str, str] = field(default_factory=dict)
    plan_ids: dict[str, str] = field(default_factory=dict)


def _objects(above: Fields, name: str, entries: list[Any]) -> Iterator[Fields]:
    for position, entry in enumerate(entries):
        if isinstance(entry, dict):
            yield above.at(entry, f"{name}[{position}]")
        else:
            above.complain(f"{name}[{position}]", INVALID, message="must be an object")


def _service(fields: Fields, taken: _Taken) -> CatalogService:
    bindable = fields.required_flag("bindable")
    entries = fields.required_array("plans", message="must hold at least one plan", may_be_empty=False)
    plan_names: dict[str, str] = {}
    return CatalogService(
        id=_own(fields, "id", taken.service_ids),
        name=_own(fields, "name", taken.service_names),
        description=fields.text("description"),
        bindable=bindable,
        plan_updateable=fields.flag("plan_updateable") or False,
        bindings_retrievable=fields.flag("bindings_retrievable") or False,
        instances_retrievable=fields.flag("instances_retrievable") or False,
        allow_context_updates=fields.flag("allow_context_updates") or False,
        metadata=fields.object("metadata"),
        tags=fields.texts("tags"),
        requires=fields.texts("requires"),
        plans=tuple(
            _plan(plan, taken, names=plan_names, service_bindable=bindable)
            for plan in _objects(fields, "plans", entries)
        ),
    )


def _plan(fields: Fields, taken: _Taken, *, names: dict[str, str], service_bindable: bool) -> CatalogPlan:
    bindable = fields.flag("bindable")
    free = fields.flag("free")
    schemas = fields.inside("schemas")
    of_instance = schemas and schemas.inside("service_instance")
    can_be_bound = service_bindable if bindable is None else bindable
    of_binding = schemas.inside("service_binding") if schemas and can_be_bound else None
    return CatalogPlan(
        id=_own(fields, "id", taken.plan_ids),
        name=_own(fields, "name", names),
        description=fields.text("description"),
        free=True if free is None else free,
        bindable=bindable,
        plan_updateable=fields.flag("plan_updateable"),
        binding_rotatable=fields.flag("binding_rotatable") or False,
        maximum_polling_duration=fields.positive("maximum_polling_duration"),
        maintenance_info=_maintenance_info(fields.inside("maintenance_info")),
        metadata=fields.object("metadata"),
        instance_create_schema=parameter_schema(of_instance, "create"),
        instance_update_schema=parameter_schema(of_instance, "update"),
        binding_create_schema=parameter_schema(of_binding, "create"),
    )


def _maintenance_info(fields: Fields | None) -> MaintenanceInfo | None:
    if fields is None:
        return None
    version = fields.text("version")
    if version and not _SEMANTIC_VERSION.fullmatch(version):
        fields.complain("version", INVALID, message=f"{shown(version)} is not a semantic version")
    return MaintenanceInfo(version=version, description=fields.optional_text("description"))


def _own(fields: Fields, name: str, taken: dict[str, str]) -> str:
    """A text that no other object of the kind may have."""
    value = fields.text(name)
    if "\0" in value or len(value.encode()) > LONGEST:
        fields.complain(name, INVALID, message=f"must not hold a null character or have more than {LONGEST} bytes")
    if value and (owner := taken.setdefault(value, fields.path)) != fields.path:
        fields.complain(name, DUPLICATE, message=f"{shown(value)} belongs to {owner} already")
    return value
