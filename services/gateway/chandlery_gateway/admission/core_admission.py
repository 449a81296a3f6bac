"""Rules for the core kinds of the standalone gateway: Namespace, Secret, Event. Kubernetes' own; no value is quoted."""

import re
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from chandlery.model.faults import FieldProblem
from chandlery.model.json.json_text import NotJson, read_json
from chandlery.model.objects.core import Event, Namespace, NamespaceSpec, NamespaceStatus, Secret
from chandlery.model.objects.instances import UserInfo
from chandlery.model.text.names import label_problem
from chandlery_gateway.admission.brokers.broker_address_admission import network_annotation_problems
from chandlery_gateway.admission.field_checks import forbidden, invalid, key_problems, required
from chandlery_gateway.admission.kind_rules import KindRules, NewId

_REGISTRY_KEYS: Final = {
    "kubernetes.io/dockercfg": ".dockercfg",
    "kubernetes.io/dockerconfigjson": ".dockerconfigjson",
}
_NAME_LABEL: Final = "kubernetes.io/metadata.name"
_DATA_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")
_MOST_SECRET_BYTES: Final = 1024 * 1024


class NamespaceRules(KindRules[Namespace]):
    """The rules of namespaces."""

    def name_problem(self, name: str) -> str | None:
        return label_problem(name)

    def default_new(self, document: Namespace, user: UserInfo, *, new_id: NewId) -> Namespace:
        return namespace_with_defaults(document)

    def default_changed(self, old: Namespace, new: Namespace, *, user: UserInfo) -> Namespace:
        return namespace_with_defaults(new)

    def new_problems(self, document: Namespace) -> Iterable[FieldProblem]:
        return ()

    def annotation_problems(self, document: Namespace) -> Iterable[FieldProblem]:
        return network_annotation_problems(document.metadata.annotations)

    def deletion_problem(self, document: Namespace) -> str | None:
        return "this namespace may not be deleted" if document.metadata.name == "default" else None

    def departing(self, document: Namespace, user: UserInfo) -> Namespace:
        # People see at once that it goes.
        return document.model_copy(update={"status": NamespaceStatus(phase="Terminating")})


class SecretRules(KindRules[Secret]):
    """The rules of Secrets."""

    def default_new(self, document: Secret, user: UserInfo, *, new_id: NewId) -> Secret:
        return _default_secret(document)

    def default_changed(self, old: Secret, new: Secret, *, user: UserInfo) -> Secret:
        return _default_secret(new, old=old)

    def new_problems(self, document: Secret) -> Iterable[FieldProblem]:
        return _secret_problems(document)

    def changed_problems(self, old: Secret, new: Secret) -> Iterable[FieldProblem]:
        return _secret_problems(new, old=old)


class EventRules(KindRules[Event]):
    """The rules of events."""

    def new_problems(self, document: Event) -> Iterable[FieldProblem]:
        return _event_problems(document)


def namespace_with_defaults(namespace: Namespace) -> Namespace:
    """Sets the label that selects a namespace by its name, and the finalizer that Kubernetes shows."""
    labels = {**(namespace.metadata.labels or {}), _NAME_LABEL: namespace.metadata.name}
    metadata = namespace.metadata.model_copy(update={"labels": labels})
    return namespace.model_copy(update={"metadata": metadata, "spec": NamespaceSpec(finalizers=("kubernetes",))})


def _default_secret(secret: Secret, *, old: Secret | None = None) -> Secret:
    """Writes `stringData` into `data`; the type is Opaque, or what it was, unless given."""
    changes: dict[str, object] = {}
    if secret.string_data is not None:
        encoded = {key: b64encode(value.encode()).decode() for key, value in secret.string_data.items()}
        changes |= {"data": {**(secret.data or {}), **encoded}, "string_data": None}
    if not secret.type or (old is not None and "type" not in secret.model_fields_set):
        changes["type"] = old.type if old else "Opaque"
    return secret.model_copy(update=changes) if changes else secret


def _secret_problems(secret: Secret, *, old: Secret | None = None) -> Iterator[FieldProblem]:
    """Everything that keeps the Secret from being stored; give what it was on an update."""
    size = 0
    for key, value in (secret.data or {}).items():
        if not _DATA_KEY.fullmatch(key) or key in (".", ".."):
            yield invalid(f"data[{key[:64]}]", "a key must be letters, digits, '-', '_' or '.', at most 253 of them")
        try:
            size += len(b64decode(value.encode(), validate=True))
        except ValueError:
            yield invalid(f"data[{key[:64]}]", "must be base64; for plain text use stringData")
    if size > _MOST_SECRET_BYTES:
        yield FieldProblem(
            "data", "FieldValueTooLong", f"may have at most {_MOST_SECRET_BYTES} bytes in total, not {size}"
        )
    if old is not None:
        yield from _secret_change_problems(old, secret)
    if old is None or (old.data or {}) != (secret.data or {}):
        # What older rules let in can still be labelled.
        yield from _type_problems(secret)


def _type_problems(secret: Secret) -> Iterator[FieldProblem]:
    """Keys that the type asks for and that are not there. Other types mean nothing here and ask for nothing."""
    data = secret.data or {}
    match secret.type:
        case "kubernetes.io/service-account-token":
            message = "no token is kept in a Secret; ask for one with kubectl create token, or use another type"
            yield FieldProblem("type", "FieldValueNotSupported", message)
        case "kubernetes.io/basic-auth":
            if "username" not in data and "password" not in data:
                yield required("data[username]", "give username or password, or both")
                yield required("data[password]", "give username or password, or both")
        case "kubernetes.io/ssh-auth":
            if not data.get("ssh-privatekey"):
                yield required("data[ssh-privatekey]", "give the private key")
        case "kubernetes.io/tls":
            for key, what in (("tls.crt", "the certificate"), ("tls.key", "its private key")):
                if key not in data:
                    yield required(f"data[{key}]", f"give {what}; it may be empty")
        case "kubernetes.io/dockercfg" | "kubernetes.io/dockerconfigjson":
            yield from _registry_problems(data, _REGISTRY_KEYS[secret.type])


def _registry_problems(data: Mapping[str, str], key: str) -> Iterator[FieldProblem]:
    if key not in data:
        yield required(f"data[{key}]", "give the logins of registries, as JSON")
    elif not _is_json(data[key]):
        yield invalid(f"data[{key}]", "must be JSON")


def _is_json(value: str) -> bool:
    try:
        read_json(b64decode(value))
    except (NotJson, ValueError):
        return False
    return True


def _secret_change_problems(old: Secret, new: Secret) -> Iterator[FieldProblem]:
    if old.sealed is not None:
        yield from _unreadable_problems(old, new)
        return
    if new.type != old.type:
        yield forbidden("type", "cannot be changed; delete the Secret and create it again")
    if not old.immutable:
        return
    if not new.immutable:
        yield forbidden("immutable", "cannot be unset; delete the Secret and create it again")
    if (new.data or {}) != (old.data or {}):
        yield forbidden("data", "cannot be changed while immutable is set; delete the Secret and create it again")


def _unreadable_problems(old: Secret, new: Secret) -> Iterator[FieldProblem]:
    # Whoever changes a part of what cannot be read would lose the rest, which the right key could still bring back.
    way_out = "cannot be changed, because the Secret cannot be decrypted; delete it and create it again"
    changed = {
        "data": new.data is not None,
        "metadata.annotations": new.metadata.annotations != old.metadata.annotations,
        "type": new.type != old.type,
        "immutable": new.immutable != old.immutable,
    }
    yield from (forbidden(field, way_out) for field, is_changed in changed.items() if is_changed)


def _event_problems(event: Event) -> Iterator[FieldProblem]:
    """A recorded event lies in the namespace of what it is about."""
    about, own = event.involved_object.namespace, event.metadata.namespace
    if about and own and about != own:
        yield invalid("involvedObject.namespace", "must be the namespace of the event")
    yield from key_problems("involvedObject.name", event.involved_object.name)
    yield from key_problems("involvedObject.uid", event.involved_object.uid)
