"""Rules for ServiceBinding. The specification of a binding is frozen once it is created."""

import re
from base64 import b64decode
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import urlsplit

from chandlery.model.faults import FieldProblem
from chandlery.model.objects.annotations import ABANDON, FORCE_DELETE, ORPHAN_MITIGATION, RETRY, ROTATE
from chandlery.model.objects.bindings import BindResource, SecretTransform, ServiceBinding
from chandlery.model.objects.instances import UserInfo
from chandlery.model.objects.wire import wire_name
from chandlery.reconcile.json_path.json_path_nodes import JsonPathFault
from chandlery.reconcile.json_path.json_path_parsing import parse_template
from chandlery_gateway.admission.field_checks import (
    count_problems,
    external_id_problems,
    forbidden,
    invalid,
    name_problems,
    parameters_from_problems,
    required,
)
from chandlery_gateway.admission.kind_rules import (
    KindRules,
    NewId,
    SecretReference,
    parameter_secrets,
    specs_differ,
)
from chandlery_gateway.admission.status_admission import operation_status_problems

_APP_GUID: Final = f"spec.bindResource.{wire_name('app_guid')}"
MOST_TRANSFORMS: Final = 100
_SERVER_FIELDS: Final = frozenset({wire_name("user_info")})
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")

FROZEN_WARNING = "the spec of a ServiceBinding cannot be changed; the change is ignored. Create another binding instead"


class BindingRules(KindRules[ServiceBinding]):
    """The rules of bindings."""

    actions = (RETRY, ROTATE, ABANDON, FORCE_DELETE, ORPHAN_MITIGATION)
    forced_deletion = "it will be removed whatever its service broker answers"
    server_fields = _SERVER_FIELDS

    def default_new(self, document: ServiceBinding, user: UserInfo, *, new_id: NewId) -> ServiceBinding:
        return _default_new(document, user, new_id=new_id)

    def default_changed(self, old: ServiceBinding, new: ServiceBinding, *, user: UserInfo) -> ServiceBinding:
        # The old specification stays, as the reference has it.
        return new.model_copy(update={"spec": old.spec})

    def new_problems(self, document: ServiceBinding) -> Iterable[FieldProblem]:
        return _new_problems(document)

    def status_problems(self, document: ServiceBinding) -> Iterable[FieldProblem]:
        return operation_status_problems(document)

    def changed_warnings(self, old: ServiceBinding, new: ServiceBinding) -> tuple[str, ...]:
        left_out = {
            field: getattr(old.spec, field) for field in ("external_id", "secret_name") if not getattr(new.spec, field)
        }
        sent = new.spec.model_copy(update=left_out)
        return (FROZEN_WARNING,) if specs_differ(old.spec, sent, ignored=_SERVER_FIELDS) else ()

    def secrets(self, document: ServiceBinding) -> Iterable[SecretReference]:
        yield from parameter_secrets(document, document.spec.parameters_from or ())
        yield from _transform_secrets(document)

    def chosen_id(self, document: ServiceBinding) -> str:
        return document.spec.external_id

    def acted_on(self, document: ServiceBinding, user: UserInfo) -> ServiceBinding:
        return document.model_copy(update={"spec": document.spec.model_copy(update={"user_info": user})})


def _default_new(binding: ServiceBinding, user: UserInfo, *, new_id: NewId) -> ServiceBinding:
    """Fills in external id, the Secret's name (the binding's own, which has to be there already) and the user."""
    changes: dict[str, object] = {"user_info": user}
    if not binding.spec.external_id:
        changes["external_id"] = new_id()
    if not binding.spec.secret_name:
        changes["secret_name"] = binding.metadata.name
    return binding.model_copy(update={"spec": binding.spec.model_copy(update=changes)})


def _transform_secrets(binding: ServiceBinding) -> Iterator[SecretReference]:
    for position, transform in enumerate(binding.spec.secret_transforms or ()):
        if transform.add_keys_from is not None:
            field = f"spec.secretTransforms[{position}].addKeysFrom.secretRef"
            # Of the binding's own namespace, or it would have been refused.
            yield SecretReference(field, binding.metadata.namespace or "", transform.add_keys_from.secret_ref.name)


def _new_problems(binding: ServiceBinding) -> Iterator[FieldProblem]:
    spec = binding.spec
    yield from name_problems("spec.instanceRef.name", spec.instance_ref.name, what="the instance to bind")
    if spec.secret_name != binding.metadata.name:
        yield from name_problems("spec.secretName", spec.secret_name, what="the Secret to write")
    yield from external_id_problems("spec.externalID", spec.external_id)
    yield from parameters_from_problems(spec.parameters_from)
    if spec.bind_resource is not None:
        yield from _bind_resource_problems(spec.bind_resource)
    yield from count_problems("spec.secretTransforms", len(spec.secret_transforms or ()), most=MOST_TRANSFORMS)
    for position, transform in enumerate(spec.secret_transforms or ()):
        yield from _transform_problems(f"spec.secretTransforms[{position}]", transform, binding.metadata.namespace)


def _bind_resource_problems(resource: BindResource) -> Iterator[FieldProblem]:
    if resource.app_guid is None and resource.route is None:
        yield required("spec.bindResource", f"give {_APP_GUID.rpartition('.')[2]} or route, or leave bindResource out")
    if resource.app_guid is not None and not resource.app_guid.strip():
        yield required(_APP_GUID, "must not be empty; the default is the uid of the namespace")
    if resource.route is not None and not _is_route(resource.route):
        message = "must be the address of an application, such as https://shop.example.com or shop.example.com/cart"
        yield invalid("spec.bindResource.route", message)


def _is_route(text: str) -> bool:
    """A web address, or what is one with a scheme before it. Brokers may log it, so it holds no password."""
    if any(char.isspace() for char in text):
        return False
    try:
        parts = urlsplit(text if _SCHEME.match(text) else f"https://{text}")
        usable = parts.port != 0 and bool(parts.hostname)
    except ValueError:
        return False
    return usable and parts.scheme in ("http", "https") and not (parts.username or parts.password)


def _transform_problems(field: str, transform: SecretTransform, namespace: str | None) -> Iterator[FieldProblem]:
    given = [step for step in SecretTransform.model_fields if getattr(transform, step) is not None]
    if len(given) != 1:
        yield invalid(field, "give exactly one of renameKey, addKey, addKeysFrom and removeKey")
    if transform.rename_key and not (transform.rename_key.from_ and transform.rename_key.to):
        yield required(f"{field}.renameKey", "give from and to")
    if transform.remove_key and not transform.remove_key.key:
        yield required(f"{field}.removeKey.key", "give the key to leave out")
    if transform.add_key:
        yield from _add_external_id_problems(f"{field}.addKey", transform)
    if transform.add_keys_from:
        reference = transform.add_keys_from.secret_ref
        yield from name_problems(f"{field}.addKeysFrom.secretRef.name", reference.name, what="a Secret")
        if namespace and reference.namespace not in ("", namespace):
            message = f"must be the namespace of the binding, {namespace}: Secrets of other namespaces are not read"
            yield forbidden(f"{field}.addKeysFrom.secretRef.namespace", message)


def _add_external_id_problems(field: str, transform: SecretTransform) -> Iterator[FieldProblem]:
    added = transform.add_key
    if added is None:
        return
    if not added.key:
        yield required(f"{field}.key", "give the key to add")
    if added.value is None and added.string_value is None and added.json_path_expression is None:
        yield required(field, "give value, stringValue or jsonPathExpression")
    if added.json_path_expression is not None:
        yield from _template_problems(f"{field}.jsonPathExpression", added.json_path_expression)
    try:
        b64decode((added.value or "").encode(), validate=True)
    except ValueError:
        yield invalid(f"{field}.value", "must be base64; for plain text use stringValue")


def _template_problems(field: str, template: str) -> Iterator[FieldProblem]:
    """What cannot be read would fail only once the broker has made the binding, and then for good."""
    try:
        parse_template(template)
    except JsonPathFault as fault:
        yield invalid(field, f"must be a JSONPath template in kubectl's syntax; {fault.message}")
