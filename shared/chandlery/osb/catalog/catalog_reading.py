"""From a catalog's JSON to checked values: what is sound in it, and what is wrong with the rest.

The syncer calls it with the body of a successful catalog answer. Source: OSB v2.17, "Catalog Management". What brokers
may not do across fetches or across brokers (moving an id, reusing another's) is the syncer's to find out.

A plan that breaks a rule is left out, and so is an offering that does or that has no sound plan. What many brokers get
wrong and can be worked with is taken, with a remark: see `catalog_remarks.py`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from chandlery.model.faults import FieldProblem
from chandlery.model.objects.wire import JsonObject
from chandlery.model.text.clean_text import clean_document, clean_text
from chandlery.osb.catalog.catalog_fields import DUPLICATE, INVALID, Fields, shown
from chandlery.osb.catalog.catalog_remarks import bindable_of, maintenance_info_of
from chandlery.osb.catalog.catalog_schemas import parameter_schema
from chandlery.osb.catalog.catalog_values import Catalog, CatalogPlan, CatalogService
from chandlery.osb.faults import InvalidCatalog

LONGEST = 2_000
"""UTF-8 bytes of a name or id, which the database has to look up: an index of PostgreSQL takes 2,704."""
LONGEST_DESCRIPTION = 32_768
"""Characters; what comes after them is cut off."""
MOST_OFFERINGS = 10_000
"""Offerings and plans in one catalog."""


def read_catalog(body: JsonObject) -> Catalog:
    """The sound services in the broker's order. Unknown fields are ignored; names may be long and have odd characters.

    Raises:
        InvalidCatalog: it is none, or nothing in it is sound; with every violation and its JSON path.
    """
    reading = _Reading()
    top = Fields(body, "", problems=reading.problems, remarks=reading.remarks)
    entries = top.required_array("services", message="is required: an array", may_be_empty=True)
    _require_few(top, entries)
    if reading.problems:
        raise InvalidCatalog(tuple(reading.problems))
    services = [service for fields in _objects(top, "services", entries) if (service := _service(fields, reading))]
    if reading.problems and not services:
        raise InvalidCatalog(tuple(reading.problems))
    return Catalog(
        services=tuple(services),
        problems=tuple(reading.problems),
        remarks=tuple(reading.remarks),
    )


@dataclass
class _Reading:
    """What has been found so far, and who has a value that only one may have: value to path. Case differs."""

    problems: list[FieldProblem] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    service_names: dict[str, str] = field(default_factory=dict)
    service_ids: dict[str, str] = field(default_factory=dict)
    plan_ids: dict[str, str] = field(default_factory=dict)


def _require_few(top: Fields, entries: list[Any]) -> None:
    plans = [entry.get("plans") for entry in entries if isinstance(entry, dict)]
    count = len(entries) + sum(len(each) for each in plans if isinstance(each, list))
    if count > MOST_OFFERINGS:
        top.complain("services", INVALID, message=f"have {count:,} entries and plans and may have {MOST_OFFERINGS:,}")


def _objects(above: Fields, name: str, entries: list[Any]) -> Iterator[Fields]:
    for position, entry in enumerate(entries):
        if isinstance(entry, dict):
            yield above.at(entry, f"{name}[{position}]")
        else:
            above.complain(f"{name}[{position}]", INVALID, message="must be an object")


def _service(fields: Fields, reading: _Reading) -> CatalogService | None:
    own = fields.apart()
    entries = own.required_array("plans", message="must hold at least one plan", may_be_empty=False)
    bindable = bindable_of(own)
    read = CatalogService(
        id=_own(own, "id", reading.service_ids),
        name=_own(own, "name", reading.service_names),
        description=_description(own),
        bindable=bindable,
        plan_updateable=own.flag("plan_updateable") or False,
        bindings_retrievable=own.flag("bindings_retrievable") or False,
        instances_retrievable=own.flag("instances_retrievable") or False,
        allow_context_updates=own.flag("allow_context_updates") or False,
        metadata=clean_document(own.small_object("metadata")),
        tags=_cleaned(own.texts("tags")),
        requires=_cleaned(own.texts("requires")),
        plans=(),
        path=fields.path,
    )
    siblings, before = _Siblings(dict(reading.plan_ids)), len(reading.problems)
    plans = tuple(
        plan
        for each in _objects(fields, "plans", entries)
        if (plan := _plan(each, siblings, reading, service_bindable=bindable))
    )
    if own.is_broken or not plans:
        reading.problems[before:before] = own.problems
        return None
    reading.remarks.extend(own.remarks)
    reading.service_ids[read.id] = reading.service_names[read.name] = fields.path
    reading.plan_ids.update(siblings.ids)
    return replace(read, plans=plans)


@dataclass
class _Siblings:
    """What the sound plans of an offering have, by their paths; the ids include those of other offerings."""

    ids: dict[str, str]
    names: dict[str, str] = field(default_factory=dict)


def _plan(above: Fields, siblings: _Siblings, reading: _Reading, *, service_bindable: bool) -> CatalogPlan | None:
    fields = above.apart()
    bindable = fields.flag("bindable")
    free = fields.flag("free")
    schemas = fields.inside("schemas")
    of_instance = schemas and schemas.inside("service_instance")
    can_be_bound = service_bindable if bindable is None else bindable
    of_binding = schemas.inside("service_binding") if schemas and can_be_bound else None
    plan = CatalogPlan(
        id=_own(fields, "id", siblings.ids),
        name=_own(fields, "name", siblings.names),
        description=_description(fields),
        free=True if free is None else free,
        bindable=bindable,
        plan_updateable=fields.flag("plan_updateable"),
        binding_rotatable=fields.flag("binding_rotatable") or False,
        maximum_polling_duration=fields.positive("maximum_polling_duration"),
        maintenance_info=maintenance_info_of(fields),
        metadata=clean_document(fields.small_object("metadata")),
        instance_create_schema=parameter_schema(of_instance, "create"),
        instance_update_schema=parameter_schema(of_instance, "update"),
        binding_create_schema=parameter_schema(of_binding, "create"),
        path=fields.path,
    )
    if fields.is_broken:
        reading.problems.extend(fields.problems)
        return None
    reading.remarks.extend(fields.remarks)
    siblings.ids[plan.id] = siblings.names[plan.name] = fields.path
    return plan


def _own(fields: Fields, name: str, taken: dict[str, str]) -> str:
    """A text that no other sound object of the kind may have. Ids go to the broker again, so only names are cleaned."""
    told = fields.text(name)
    value = clean_text(told, longest=len(told)) if name == "name" else told
    if "\0" in told or len(told.encode()) > LONGEST:
        fields.complain(name, INVALID, message=f"must not hold a null character or have more than {LONGEST} bytes")
    elif told and (not value or (name == "id" and clean_text(told, longest=len(told)) != told.strip())):
        fields.complain(name, INVALID, message="must not hold characters that cannot be seen")
    elif value and value in taken:
        fields.complain(name, DUPLICATE, message=f"{shown(value)} belongs to {taken[value]} already")
    return value


def _description(fields: Fields) -> str:
    return clean_text(fields.text("description"), longest=LONGEST_DESCRIPTION, keeps_lines=True)


def _cleaned(texts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(clean_text(text, longest=LONGEST) for text in texts)
