"""Lists show rows as they are stored: what is shown of an object must not depend on whether it is read alone."""

from collections.abc import Iterator
from typing import Any, Final, get_args

from pydantic import BaseModel

from chandlery.model.objects.instances import ServiceInstance
from chandlery.model.objects.kinds import KINDS, SERVICE_INSTANCE
from chandlery.model.objects.metadata import OwnerReference
from chandlery.store.rows import RowCodec, plain_form
from chandlery.store.sealing.sealing import Keyring, new_key, parse_keys
from chandlery.store.sealing.spec_sealing import SEALED_ANNOTATION

TOLD_EVER_SINCE: Final[frozenset[str]] = frozenset(
    {
        "ClusterOAuth2Auth.token_url",
        "Condition.message",
        "Condition.reason",
        "Endpoint.protocol",
        "EventSource.component",
        "InstancePropertiesState.cluster_service_plan_external_id",
        "InstancePropertiesState.cluster_service_plan_external_name",
        "LabelSelectorRequirement.key",
        "LabelSelectorRequirement.operator",
        "LocalOAuth2Auth.token_url",
        "LocalObjectReference.name",
        "NamespaceCondition.message",
        "NamespaceCondition.reason",
        "NamespaceCondition.status",
        "NamespaceCondition.type",
        "ObjectReference.name",
        "ObjectReference.namespace",
        "PolicyRule.verbs",
        "RateLimit.requests_per_second",
        "RoleRef.api_group",
        "RoleRef.kind",
        "RoleRef.name",
        "SecretKeyReference.key",
        "SecretKeyReference.name",
        "Subject.kind",
        "Subject.name",
        "UserInfo.uid",
        "UserInfo.username",
    }
)
"""Fields below spec and status with a default that is told. None is younger than its model: what is stored has it."""


def _row(codec: RowCodec, *, annotations: dict[str, str]) -> dict[str, Any]:
    metadata = {
        "name": "db",
        "namespace": "team",
        "uid": "u-1",
        "creationTimestamp": "2026-03-14T12:00:00Z",
        "annotations": annotations,
    }
    spec = {"parameters": {"password": "hunter2"}}
    document = ServiceInstance.model_validate({"metadata": metadata, "spec": spec, "status": {}})
    return codec.to_row(document) | {"resource_version": 7}


def test_a_row_that_lacks_a_field_is_opened_once() -> None:
    keyring = Keyring(parse_keys(new_key("first")))
    keyring.seals_specs = True
    codec = RowCodec(keyring)
    # Looks as if it were sealed, once it is opened.
    annotations = {SEALED_ANNOTATION: "as somebody wrote it"}
    row = _row(codec, annotations=annotations)
    # As an older release has written it.
    assert row["status"].pop("asyncOpInProgress") is False
    shown = codec.plain_from_row(SERVICE_INSTANCE, row)
    assert shown["status"]["asyncOpInProgress"] is False
    assert shown["metadata"]["annotations"] == annotations
    assert shown == plain_form(codec.from_row(SERVICE_INSTANCE, row))


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)


def _below(model: type[BaseModel], seen: set[type[BaseModel]]) -> None:
    for field in model.model_fields.values():
        for inner in _models_in(field.annotation):
            if inner not in seen:
                seen.add(inner)
                _below(inner, seen)


def _nested_models() -> set[type[BaseModel]]:
    """Models that stand somewhere within an object, but for what `plain_row` looks at itself."""
    seen: set[type[BaseModel]] = {OwnerReference}
    for kind in KINDS.values():
        for name, field in kind.model.model_fields.items():
            if name == "metadata":
                continue
            for part in _models_in(field.annotation):
                if name not in ("spec", "status"):
                    seen.add(part)
                _below(part, seen)
    return seen


def _told_by_default(model: type[BaseModel]) -> set[str]:
    return {
        f"{model.__name__}.{name}"
        for name, field in model.model_fields.items()
        if not field.is_required()
        and not field.exclude
        and field.get_default(call_default_factory=True, validated_data={}) is not None
    }


def test_no_field_is_told_of_a_stored_object_alone_and_not_in_lists() -> None:
    """A new field within spec or status is None by default, or a migration writes it: lists show what is stored."""
    assert set().union(*map(_told_by_default, _nested_models())) == TOLD_EVER_SINCE
