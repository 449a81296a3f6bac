"""A service broker's catalog after it has been checked: what the syncer turns into classes and plans."""

from dataclasses import dataclass, field

from chandlery.model.faults import FieldProblem
from chandlery.model.objects.instances import MaintenanceInfo
from chandlery.model.objects.wire import JsonObject

KNOWN_REQUIREMENTS = frozenset({"syslog_drain", "route_forwarding", "volume_mount"})


@dataclass(frozen=True, kw_only=True, slots=True)
class CatalogPlan:
    """A plan (OSB v2.17, "Service Plan Object"). None means that the service's value or a default counts."""

    id: str
    name: str
    description: str
    free: bool
    bindable: bool | None
    plan_updateable: bool | None
    binding_rotatable: bool
    maximum_polling_duration: int | None
    """Seconds."""
    maintenance_info: MaintenanceInfo | None
    metadata: JsonObject | None
    instance_create_schema: JsonObject | None
    instance_update_schema: JsonObject | None
    binding_create_schema: JsonObject | None
    """None on a plan that cannot be bound, whatever the broker sent."""
    path: str = field(default="", compare=False)
    """Where it stands in the catalog."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CatalogService:
    """A service offering (OSB v2.17, "Service Offering Object"). The broker's `dashboard_client` is not kept."""

    id: str
    name: str
    description: str
    bindable: bool
    plan_updateable: bool
    bindings_retrievable: bool
    instances_retrievable: bool
    allow_context_updates: bool
    metadata: JsonObject | None
    tags: tuple[str, ...]
    requires: tuple[str, ...]
    plans: tuple[CatalogPlan, ...]
    path: str = field(default="", compare=False)

    @property
    def unknown_requirements(self) -> tuple[str, ...]:
        """Permissions that OSB v2.17 does not define: such an offering may not work here."""
        return tuple(permission for permission in self.requires if permission not in KNOWN_REQUIREMENTS)


@dataclass(frozen=True, kw_only=True, slots=True)
class Catalog:
    """What is sound in a catalog, and what is to be told of the rest."""

    services: tuple[CatalogService, ...]
    problems: tuple[FieldProblem, ...] = ()
    """Why plans or offerings are left out."""
    remarks: tuple[str, ...] = ()
    """What is wrong and taken all the same, each with its path."""
