"""Labels that carry a field's value, hashed so that it always fits: svcat 0.3 finds objects by them."""

from collections.abc import Mapping

from chandlery.model.objects.instances import ServiceInstanceSpec
from chandlery.model.objects.metadata import ObjectMeta
from chandlery.model.objects.wire import wire_name
from chandlery.model.text.names import LABEL_PREFIX, label_value

_REFERENCES = ("cluster_service_class_ref", "cluster_service_plan_ref", "service_class_ref", "service_plan_ref")


def with_value_labels(metadata: ObjectMeta, values: Mapping[str, str]) -> ObjectMeta:
    """Sets the labels that clients find objects by: hashed values by field path; an empty value removes its label."""
    labels = dict(metadata.labels or {})
    for path, value in values.items():
        key = LABEL_PREFIX + path
        if value:
            labels[key] = label_value(value)
        else:
            labels.pop(key, None)
    if labels == (metadata.labels or {}):
        return metadata
    return metadata.model_copy(update={"labels": labels})


def referenced_values(spec: ServiceInstanceSpec) -> dict[str, str]:
    """The names that an instance is labelled with, by field path; empty where nothing is referred to yet."""
    references = {field: getattr(spec, field) for field in _REFERENCES}
    return {f"spec.{wire_name(field)}.name": ref.name if ref else "" for field, ref in references.items()}
