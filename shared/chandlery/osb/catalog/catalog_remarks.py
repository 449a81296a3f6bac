"""What is odd about a catalog and no reason to refuse it: told to whoever runs the platform.

Source: OSB v2.17, "Service Offering Object" and "Service Plan Object" (what is recommended there).
"""

import hashlib
import re
import time
from collections.abc import Iterator

from chandlery.model.json.json_text import write_json
from chandlery.model.objects.instances import MaintenanceInfo
from chandlery.model.objects.wire import JsonObject
from chandlery.model.text.clean_text import clean_text
from chandlery.model.text.shown_urls import bad_urls
from chandlery.model.text.versions import is_semantic_version, is_version
from chandlery.osb.catalog.catalog_fields import INVALID, Fields, shown
from chandlery.osb.catalog.catalog_values import CatalogPlan, CatalogService
from chandlery.reconcile.parameters.parameter_schemas import schema_problem, unapplied_pattern

_LONGEST_DESCRIPTION = 4_096


def bindable_of(service: Fields) -> bool:
    """Whether its plans can be bound unless they say otherwise. Nothing is taken for a no, as the reference did."""
    said = service.flag("bindable")
    if said is None and not service.has("bindable"):
        service.remark("bindable", "is required; as it is missing, only plans with bindable: true can be bound")
    return bool(said)


def maintenance_info_of(plan: Fields) -> MaintenanceInfo | None:
    """The plan's version. Versions are only compared, so one that is not semantic does as well."""
    fields = plan.inside("maintenance_info")
    if fields is None:
        return None
    if not fields.has("version"):
        fields.remark("version", "is required; as it is missing, the plan counts as one without maintenance info")
        return None
    version = fields.text("version")
    if version and not is_version(version):
        fields.complain("version", INVALID, message=f"{shown(version)} is not a version")
    elif version and not is_semantic_version(version):
        fields.remark("version", f"{shown(version)} is not a semantic version; it is compared as a text")
    description = fields.optional_text("description")
    return MaintenanceInfo(
        version=version, description=description and clean_text(description, longest=_LONGEST_DESCRIPTION)
    )


_EASY_TO_TYPE = re.compile(r"[A-Za-z0-9.-]*[A-Za-z0-9][A-Za-z0-9.-]*", re.ASCII)
_PATIENCE_SECONDS = 0.2
_MOST_KNOWN = 50_000


class CatalogRemarks:
    """Looks for oddities. Keeps what it has found out about schemas, which take milliseconds each."""

    def __init__(self, *, patience_seconds: float = _PATIENCE_SECONDS) -> None:
        """Schemas are looked at for so long in one catalog; those left over are found out about when they are used."""
        self._patience = patience_seconds
        self._known: dict[bytes, str | None] = {}

    def __call__(self, services: tuple[CatalogService, ...]) -> tuple[str, ...]:
        """One sentence for each oddity, with its path in the catalog."""
        until = time.monotonic() + self._patience
        return tuple(remark for service in services for remark in self._service(service, until))

    def _service(self, service: CatalogService, until: float) -> Iterator[str]:
        path = service.path
        yield from _name(service.name, path)
        yield from _urls(service.metadata, path)
        for number, permission in enumerate(service.requires):
            if permission in service.unknown_requirements:
                yield f"{path}.requires[{number}]: {shown(permission)} is unknown to Chandlery, so it may not work"
        for plan in service.plans:
            yield from self._plan(plan, until)

    def _plan(self, plan: CatalogPlan, until: float) -> Iterator[str]:
        path = plan.path
        yield from _name(plan.name, path)
        yield from _urls(plan.metadata, path)
        schemas = {
            "service_instance.create": plan.instance_create_schema,
            "service_instance.update": plan.instance_update_schema,
            "service_binding.create": plan.binding_create_schema,
        }
        for owner, schema in schemas.items():
            if schema is not None and (problem := self._problem(schema, until)):
                yield f"{path}.schemas.{owner}.parameters: {problem}"

    def _problem(self, schema: JsonObject, until: float) -> str | None:
        digest = hashlib.sha256(write_json(schema)).digest()
        if digest not in self._known and time.monotonic() < until:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[digest] = _oddity(schema)
        return self._known.get(digest)


def _oddity(schema: JsonObject) -> str | None:
    if problem := schema_problem(schema):
        return f"{problem}; parameters are not checked against it"
    if pattern := unapplied_pattern(schema):
        return f"its pattern {shown(pattern)} is too long or expands too far, and is not applied"
    return None


def _urls(metadata: JsonObject | None, path: str) -> Iterator[str]:
    for key, problem in bad_urls(metadata or {}):
        yield f"{path}.metadata.{key}: {problem} and is left out"


def _name(name: str, path: str) -> Iterator[str]:
    if not _EASY_TO_TYPE.fullmatch(name):
        yield f"{path}.name: {shown(name)} is hard to type; letters, digits, periods and hyphens are recommended"
