"""`labelSelector` and `fieldSelector` of a request become selectors for the store and the watch."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from chandlery.model.faults import BadRequest
from chandlery.model.objects.kinds import Kind
from chandlery.model.objects.wire import JsonObject
from chandlery.model.text.clean_text import QUOTE_LONGEST, clean_text, quoted
from chandlery.model.text.names import subdomain_problem
from chandlery.reconcile.parameters.cost_bounded_cache import CostBoundedCache
from chandlery.reconcile.policies.label_selectors import Operator, Requirement, Selector, parse_selector
from chandlery_gateway.kube.kinds.regarding_events import REGARDING_EVENT, regarding_path

EVERYTHING: Final = Selector()
_BYTES_PER_CHARACTER: Final = 200
_known_selectors: Final = CostBoundedCache[str, Selector](4 << 20)

_NAME_PART = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_LABEL_VALUE = re.compile(rf"({_NAME_PART.pattern})?")
_FIELD_OPERATOR = re.compile(r"!=|==?")
_FIELD_COMMA = re.compile(r"(?:\\.|[^,\\])+", re.DOTALL)
_ESCAPED = re.compile(r"\\([\\,=])")
_LONGEST_SELECTOR = 16_384
_MOST_REQUIREMENTS = 256
"""Each is looked at for each object of a list and each change of a watch."""
_LONGEST_NAME = 63

_OFFERING = ("spec.externalName", "spec.externalID")
_OPERATION = ("instanceRef.name", "operation", "outcome", "reason", "requestedBy", "broker", "externalID", "traceID")
_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "ClusterServiceClass": (*_OFFERING, "spec.clusterServiceBrokerName"),
    "ServiceClass": (*_OFFERING, "spec.serviceBrokerName"),
    "ClusterServicePlan": (*_OFFERING, "spec.clusterServiceBrokerName", "spec.clusterServiceClassRef.name"),
    "ServicePlan": (*_OFFERING, "spec.serviceBrokerName", "spec.serviceClassRef.name"),
    "ServiceInstance": (
        "spec.externalID",
        "spec.clusterServiceClassRef.name",
        "spec.clusterServicePlanRef.name",
        "spec.serviceClassRef.name",
        "spec.servicePlanRef.name",
    ),
    "ServiceBinding": ("spec.externalID", "spec.instanceRef.name"),
    "Event": (
        *(
            f"involvedObject.{field}"
            for field in ("name", "namespace", "kind", "uid", "apiVersion", "resourceVersion", "fieldPath")
        ),
        "reason",
        "reportingComponent",
        "type",
    ),
    "Secret": ("type",),
    "Namespace": ("status.phase",),
    "AuditEvent": (
        "user",
        "user.username",
        "verb",
        "objectRef.resource",
        "objectRef.namespace",
        "objectRef.name",
        "objectRef.uid",
        "responseStatus.code",
        "auditID",
        "since",
    ),
    "ServiceInstanceOperation": ("instanceRef.uid", *_OPERATION, "since"),
    "ServiceBindingOperation": ("bindingRef.name", "bindingRef.uid", *_OPERATION, "since"),
}


def parse_label_selector(text: str) -> Selector:
    """Reads a `labelSelector`: =, ==, !=, in, notin, key, !key, <, >, joined by commas. Empty matches everything.

    Raises:
        BadRequest: the text does not parse, or a key or value could never be a label.
    """
    if len(text) > _LONGEST_SELECTOR:
        raise BadRequest(f"the label selector is longer than {_LONGEST_SELECTOR} characters")
    return _known_selectors.of(text, lambda: (_label_selector(text), _BYTES_PER_CHARACTER * (len(text) + 5)))


def _label_selector(text: str) -> Selector:
    try:
        selector = parse_selector(text)
    except ValueError as error:
        raise BadRequest(str(error)) from None
    _check_length(selector, "label")
    for requirement in selector.requirements:
        _check_label_requirement(requirement)
    return selector


def _check_label_requirement(requirement: Requirement) -> None:
    problem = label_key_problem(requirement.key)
    if problem:
        raise BadRequest(f"unable to parse selector: invalid label key {quoted(requirement.key)}: {problem}")
    if requirement.operator in (Operator.GREATER, Operator.LESS):
        return
    for value in sorted(requirement.values):
        if problem := label_value_problem(value):
            raise BadRequest(f"unable to parse selector: invalid label value {quoted(value)}: {problem}")


def _check_length(selector: Selector, which: str) -> None:
    if (count := len(selector.requirements)) > _MOST_REQUIREMENTS:
        raise BadRequest(f"the {which} selector has {count} requirements; at most {_MOST_REQUIREMENTS} are allowed")


def parse_field_selector(kind: Kind, text: str) -> Selector:
    r"""Reads a `fieldSelector` (=, ==, !=, joined by commas; `\` escapes a comma, an equals sign or itself).

    Raises:
        BadRequest: the text does not parse, or names a field that objects of this kind cannot be selected by.
    """
    if len(text) > _LONGEST_SELECTOR:
        raise BadRequest(f"the field selector is longer than {_LONGEST_SELECTOR} characters")
    terms = (term.strip() for term in _FIELD_COMMA.findall(text))
    selector = Selector(tuple(_field_requirement(kind, term) for term in terms if term))
    _check_length(selector, "field")
    return selector


def _field_requirement(kind: Kind, term: str) -> Requirement:
    match = _FIELD_OPERATOR.search(term)
    field = term[: match.start()].rstrip() if match else ""
    if match is None or not field or "!" in field:
        raise BadRequest(
            f"invalid field selector {quoted(term)}: write it as field=value, field==value or field!=value"
        )
    key = regarding_path(field) if kind == REGARDING_EVENT else field
    operator = Operator.NOT_EQUALS if match[0] == "!=" else Operator.EQUALS
    if key not in selectable_fields(kind):
        known = ", ".join(selectable_fields(kind))
        shown = clean_text(key, longest=QUOTE_LONGEST)
        raise BadRequest(f"field label not supported: {shown}; {kind.plural} can be selected by {known}")
    return Requirement(key, operator, frozenset({_ESCAPED.sub(r"\1", term[match.end() :])}))


def selectable_fields(kind: Kind) -> tuple[str, ...]:
    """The fields that objects of this kind can be selected by; the reference's of 0.2 and some more."""
    scope = ("metadata.namespace",) if kind.namespaced else ()
    own = _FIELDS.get(kind.kind, ())
    if kind == REGARDING_EVENT:
        own = tuple(regarding_path(path) for path in own)
    return ("metadata.name", *scope, *own)


def field_values(kind: Kind, document: JsonObject, names: Iterable[str] | None = None) -> dict[str, str]:
    """The selectable fields of an object in wire form; those of `names` if given (a selector's `keys`), else all.

    As in Kubernetes, an absent field counts as the empty string.
    """
    return {name: _value_at(document, name) for name in (selectable_fields(kind) if names is None else names)}


def _value_at(document: JsonObject, path: str) -> str:
    value: Any = document
    for step in path.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    return value if isinstance(value, str) else ""


def label_key_problem(key: str) -> str | None:
    """Why this cannot be the key of a label or annotation (Kubernetes' qualified name), or None."""
    prefix, slash, name = key.rpartition("/")
    if slash and (problem := subdomain_problem(prefix)):
        return f"prefix part {problem}"
    if _NAME_PART.fullmatch(name):
        return None
    if not name:
        return "name part must be non-empty"
    if len(name) > _LONGEST_NAME:
        return f"name part must be no more than {_LONGEST_NAME} characters"
    return (
        "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
        "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
        "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
    )


def label_value_problem(value: str) -> str | None:
    """Why this cannot be the value of a label, or None."""
    if _LABEL_VALUE.fullmatch(value):
        return None
    if len(value) > _LONGEST_NAME:
        return f"must be no more than {_LONGEST_NAME} characters"
    return (
        "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start "
        "and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for "
        "validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
    )
