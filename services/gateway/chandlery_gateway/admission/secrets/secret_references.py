"""The Secrets that an object has sent to a service broker. Whoever writes such an object must be allowed to read them.

Without that rule a user could have any Secret sent to a broker of their own: Kubernetes Service Catalog asks a
SubjectAccessReview for brokers; here instances and bindings are held to it as well.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from chandlery.model.objects.bindings import ServiceBinding
from chandlery.model.objects.brokers import ClusterSecretAuth, ClusterServiceBroker, LocalSecretAuth, ServiceBroker
from chandlery.model.objects.instances import ParametersFromSource, ServiceInstance
from chandlery.model.objects.kinds import AnyObject
from chandlery_gateway.admission.spec_equality import spec_changed


@dataclass(frozen=True, slots=True)
class SecretReference:
    """A Secret, and the field that names it."""

    field: str
    namespace: str
    name: str


def secret_references(document: AnyObject) -> frozenset[SecretReference]:
    """All Secrets that the object has read; of names that are valid."""
    namespace = document.metadata.namespace or ""
    match document:
        case ClusterServiceBroker() | ServiceBroker():
            return frozenset(_of_broker(document, namespace))
        case ServiceInstance():
            return frozenset(_of_parameters(document.spec.parameters_from, namespace))
        case ServiceBinding():
            return frozenset((*_of_parameters(document.spec.parameters_from, namespace), *_of_transforms(document)))
    return frozenset()


def newly_sent(old: AnyObject, new: AnyObject) -> frozenset[SecretReference]:
    """The Secrets that a change has read: all, if anything of the wish is another one, such as where they are sent."""
    return secret_references(new) if spec_changed(old, new) else frozenset()


def _of_broker(broker: ClusterServiceBroker | ServiceBroker, namespace: str) -> Iterator[SecretReference]:
    auth = broker.spec.auth_info
    if auth is None:
        return
    for word, method in (("basic", auth.basic), ("bearer", auth.bearer)):
        if method is not None and method.secret_ref is not None:
            where = _namespace_of(method) or namespace
            yield SecretReference(f"spec.authInfo.{word}.secretRef", where, method.secret_ref.name)


def _namespace_of(method: ClusterSecretAuth | LocalSecretAuth) -> str:
    return (method.secret_ref.namespace if isinstance(method, ClusterSecretAuth) and method.secret_ref else "") or ""


def _of_parameters(sources: tuple[ParametersFromSource, ...] | None, namespace: str) -> Iterator[SecretReference]:
    for position, source in enumerate(sources or ()):
        if source.secret_key_ref is not None:
            field = f"spec.parametersFrom[{position}].secretKeyRef"
            yield SecretReference(field, namespace, source.secret_key_ref.name)


def _of_transforms(binding: ServiceBinding) -> Iterator[SecretReference]:
    for position, transform in enumerate(binding.spec.secret_transforms or ()):
        if transform.add_keys_from is not None:
            field = f"spec.secretTransforms[{position}].addKeysFrom.secretRef"
            # Of the binding's own namespace, or it would have been refused.
            yield SecretReference(field, binding.metadata.namespace or "", transform.add_keys_from.secret_ref.name)
