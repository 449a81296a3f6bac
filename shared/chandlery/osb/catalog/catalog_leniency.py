"""Where a catalog breaks a rule that many brokers break, and can be worked with all the same: taken, with a remark.

Source: OSB v2.17, "Service Offering Object", "Maintenance Info Object" and "Schemas Object"; the reference took all of
these without a word.
"""

from chandlery.model.objects.instances import MaintenanceInfo
from chandlery.model.text.clean_text import clean_text
from chandlery.model.text.versions import is_semantic_version, is_version
from chandlery.osb.catalog.catalog_fields import INVALID, Fields, shown

_LONGEST_DESCRIPTION = 4_096


def bindable_of(service: Fields) -> bool:
    """Whether its plans can be bound unless they say otherwise. Nothing is taken for a no, as the reference did."""
    said = service.flag("bindable")
    if said is None and not service.has("bindable"):
        service.remark("bindable", "is required; as it is missing, only plans that say so can be bound")
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
