"""From a broker's credentials to the Secret of a binding. Pure; `binding_reconciler.py` reads and writes Secrets.

Each top-level key of the credentials becomes a key of the Secret: strings as they are, anything else as JSON text.
Before that the binding's transforms are applied in order.
"""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from typing import Any

from chandlery.model.faults import Fault
from chandlery.model.objects.bindings import (
    AddKeysFromTransform,
    AddKeyTransform,
    SecretTransform,
    ServiceBinding,
)
from chandlery.model.objects.core import Secret
from chandlery.model.objects.metadata import ObjectMeta, OwnerReference
from chandlery.model.objects.wire import JsonObject
from chandlery.reconcile.json_path.json_path_nodes import JsonPathFault
from chandlery.reconcile.json_path.json_path_parsing import parse_template
from chandlery.reconcile.json_path.json_path_rendering import render
from chandlery.reconcile.kubectl_commands import create_secret
from chandlery.reconcile.reconcile_result import secret_key
from chandlery_binder.secret.growing_secret import GrowingSecret, SecretTooLarge

_KEY = re.compile(r"(?!\.\.)(?!\.\Z)[-._a-zA-Z0-9]{1,253}")
"""What Kubernetes allows for a key of a Secret."""
_SHOWN_CHARACTERS = 80
_SHOWN_KEYS = 5

Sources = Mapping[str, Mapping[str, bytes]]
"""Decoded values of other Secrets of the namespace, by name."""


class ProjectionFault(Fault):
    """The credentials cannot be made into a Secret. The message shows key names, never values."""

    def __init__(self, message: str, *, waiting_for: str | None = None) -> None:
        self.waiting_for = waiting_for
        super().__init__(message)


def source_names(binding: ServiceBinding) -> Sequence[str]:
    """The Secrets that the transforms take keys from.

    Raises:
        ProjectionFault: one is in another namespace. The reference reads it with its own rights, whoever asks, and
            so hands anybody's Secrets to everybody who may create a binding.
    """
    own = binding.metadata.namespace or ""
    references = [step.secret_ref for step in map(_keys_from, _transforms(binding)) if step is not None]
    for reference in references:
        if reference.namespace not in ("", own):
            raise ProjectionFault(
                f'addKeysFrom may take keys only from Secrets of the binding\'s own namespace "{own}", '
                f'not from "{reference.namespace}/{reference.name}"'
            )
    return [reference.name for reference in references]


def project(credentials: JsonObject, binding: ServiceBinding, sources: Sources) -> dict[str, str]:
    """The data of the Secret: base64 by key.

    Raises:
        ProjectionFault: a transform cannot be applied, a key is none that a Secret may have, or it is too much.
    """
    try:
        growing = GrowingSecret(credentials)
        for step in _transforms(binding):
            _apply(step, growing, binding=binding, sources=sources)
    except SecretTooLarge as fault:
        raise ProjectionFault(fault.message) from fault
    wrong = sorted(key for key in growing.raw if not _KEY.fullmatch(key))
    if wrong:
        shown = ", ".join(repr(key[:_SHOWN_CHARACTERS]) for key in wrong[:_SHOWN_KEYS])
        more = f" and {len(wrong) - _SHOWN_KEYS} more" if len(wrong) > _SHOWN_KEYS else ""
        raise ProjectionFault(
            f"a Secret can have no key {shown}{more}: keys consist of letters, digits, '-', '_' and '.'; "
            "use secretTransforms to rename or remove it"
        )
    return {key: base64.b64encode(value).decode() for key, value in growing.raw.items()}


def secret_name(binding: ServiceBinding) -> str:
    """The name of the Secret: the binding's own unless it wants another."""
    return binding.spec.secret_name or binding.metadata.name


def secret_of(binding: ServiceBinding, data: dict[str, str]) -> Secret:
    """The Secret, controlled by the binding."""
    meta = binding.metadata
    owner = OwnerReference(
        api_version=binding.api_version,
        kind=binding.kind,
        name=meta.name,
        uid=meta.uid or "",
        controller=True,
        block_owner_deletion=True,
    )
    metadata = ObjectMeta(name=secret_name(binding), namespace=meta.namespace, owner_references=[owner])
    return Secret(metadata=metadata, data=data, type="Opaque")


def _transforms(binding: ServiceBinding) -> Sequence[SecretTransform]:
    return binding.spec.secret_transforms or ()


def _apply(step: SecretTransform, growing: GrowingSecret, *, binding: ServiceBinding, sources: Sources) -> None:
    # One of the four; of several the reference takes the first in this order.
    if step.add_key is not None:
        growing.put(step.add_key.key, _added(step.add_key, growing))
    elif step.rename_key is not None:
        growing.rename(step.rename_key.from_, step.rename_key.to)
    elif step.add_keys_from is not None:
        for key, value in _taken(step.add_keys_from, binding, sources).items():
            growing.put(key, value)
    elif step.remove_key is not None:
        growing.remove(step.remove_key.key)


def _keys_from(step: SecretTransform) -> AddKeysFromTransform | None:
    return step.add_keys_from if step.add_key is None and step.rename_key is None else None


def _added(transform: AddKeyTransform, growing: GrowingSecret) -> Any:
    if transform.json_path_expression is not None:
        try:
            template = parse_template(transform.json_path_expression)
            return render(template, growing.readable, most_characters=growing.room, steps=growing.steps)
        except JsonPathFault as fault:
            raise ProjectionFault(f'the jsonPathExpression for the key "{transform.key}" fails: {fault}') from fault
    if transform.string_value is not None:
        return transform.string_value
    try:
        return base64.b64decode(transform.value or "", validate=True)
    except (binascii.Error, ValueError):
        # Not chained: the error may show what it could not read.
        raise ProjectionFault(f'the value for the key "{transform.key}" is not base64') from None


def _taken(transform: AddKeysFromTransform, binding: ServiceBinding, sources: Sources) -> Mapping[str, bytes]:
    name, namespace = transform.secret_ref.name, binding.metadata.namespace
    if name not in sources:
        remedy = f"Create it: {create_secret(namespace, name)}"
        message = f'the Secret "{namespace}/{name}" of addKeysFrom does not exist. {remedy}'
        raise ProjectionFault(message, waiting_for=secret_key(namespace, name))
    return sources[name]
