"""Which Secrets old objects use, and what can be told of a binding's credentials from its Secret. Pure."""

import base64
import binascii
from collections.abc import Iterator

from chandlery.model.objects.bindings import ServiceBinding
from chandlery.model.objects.brokers import AnyBroker, auth_secrets
from chandlery.model.objects.core import Secret
from chandlery.model.objects.instances import ServiceInstance
from chandlery.model.objects.kinds import AnyObject
from chandlery.model.objects.wire import JsonObject
from chandlery.process.commands.imports.import_entries import Place


def used_secrets(document: AnyObject) -> Iterator[tuple[Place, str]]:
    """Each with the field that names it."""
    namespace = document.metadata.namespace or ""
    if isinstance(document, AnyBroker):
        for method, place in auth_secrets(document):
            yield place, f"spec.authInfo.{method}"
    if isinstance(document, ServiceInstance | ServiceBinding):
        for position, source in enumerate(document.spec.parameters_from or ()):
            if source.secret_key_ref is not None and source.secret_key_ref.name:
                yield (namespace, source.secret_key_ref.name), f"spec.parametersFrom[{position}]"
    if isinstance(document, ServiceBinding):
        for position, step in enumerate(document.spec.secret_transforms or ()):
            if step.add_keys_from is not None and step.add_keys_from.secret_ref.namespace in ("", namespace):
                yield (namespace, step.add_keys_from.secret_ref.name), f"spec.secretTransforms[{position}]"


def own_secret(binding: ServiceBinding) -> Place:
    """Where the credentials of a binding are."""
    return (binding.metadata.namespace or "", binding.spec.secret_name or binding.metadata.name)


def is_controlled_by(secret: Secret, uid: str | None) -> bool:
    """Whether the Secret is that object's own."""
    return any(owner.controller and owner.uid == uid for owner in secret.metadata.owner_references or ())


def credentials_in(secret: Secret, binding: ServiceBinding) -> JsonObject | None:
    """What the service broker has given, as far as the Secret tells: None after transforms, and for what is no text.

    Values that were no texts stand there as JSON, and go into a Secret again as they are here.
    """
    if binding.spec.secret_transforms or secret.data is None:
        return None
    try:
        return {key: base64.b64decode(value, validate=True).decode() for key, value in secret.data.items()}
    except (binascii.Error, ValueError):
        return None
