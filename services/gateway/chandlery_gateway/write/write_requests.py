"""A write on its way in: what a request asks for, which object it means, and what it has come to. Pure."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from chandlery.model.faults import BadRequest, Conflict
from chandlery.model.objects import kinds
from chandlery.model.objects.instances import UserInfo
from chandlery.model.objects.kinds import AnyObject, Kind, kind_of
from chandlery_gateway.admission.access.granted_rights import Grant
from chandlery_gateway.admission.brokers.broker_address_admission import NamedPlace
from chandlery_gateway.admission.kind_rules import SecretReference
from chandlery_gateway.admission.metadata_admission import with_metadata

# As apimachinery makes names: no vowels, so that no words come about, and at most 63 characters.
_SUFFIX_CHARS = "bcdfghjklmnpqrstvwxz2456789"
_SUFFIX_LENGTH = 5
_LONGEST_PREFIX = 63 - _SUFFIX_LENGTH

Mutation = Callable[[AnyObject], tuple[AnyObject, tuple[str, ...]]]
"""Makes the new object of the stored one, with sentences for `Warning` headers."""


class Outdated(Conflict):
    """The object has been modified; read the latest version and apply your change to it."""


@dataclass(frozen=True, kw_only=True)
class WriteRequest:
    """Who asks for what, and how serious it is."""

    kind: Kind
    namespace: str
    name: str
    user: UserInfo
    verb: str = "update"
    """Kubernetes' word for it, for metrics."""
    dry_run: bool = False
    readable: frozenset[SecretReference] = frozenset()
    """Secrets that the user may read, as far as that has been asked."""
    grantable: Grant | None = None
    """What the user may hand out, as far as that has been asked."""
    looked_up: frozenset[NamedPlace] = frozenset()
    """Names of brokers that lead where a broker may be, as far as they have been looked up."""


@dataclass(frozen=True, kw_only=True)
class Preconditions:
    """What has to hold for a delete."""

    uid: str | None = None
    resource_version: str | None = None


@dataclass(frozen=True, kw_only=True)
class Change:
    """A change of everything but the status."""

    request: WriteRequest
    mutation: Mutation


@dataclass(frozen=True, kw_only=True)
class Deletion:
    """A delete, and how it is meant."""

    request: WriteRequest
    preconditions: Preconditions
    policy: str | None = None
    """What becomes of the dependents; None is what the object says itself, or else `Background`."""


@dataclass(frozen=True)
class Stored:
    """What a write has come to."""

    object: AnyObject
    warnings: tuple[str, ...] = ()
    is_gone: bool = False


def named(request: WriteRequest, document: AnyObject) -> AnyObject:
    """The new object with its name and namespace; raises BadRequest if they contradict the request."""
    meta = document.metadata
    if meta.namespace and meta.namespace != request.namespace:
        where = f"namespace {request.namespace}" if request.kind.namespaced else "no namespace"
        raise BadRequest(f"the object is in namespace {meta.namespace}, the request is for {where}")
    if meta.resource_version:
        raise BadRequest("resourceVersion should not be set on objects to be created")
    name = meta.name
    if not name and meta.generate_name:
        suffix = "".join(secrets.choice(_SUFFIX_CHARS) for _ in range(_SUFFIX_LENGTH))
        name = meta.generate_name[:_LONGEST_PREFIX] + suffix
    return with_metadata(document, name=name, namespace=request.namespace or None)


def may_go(document: AnyObject) -> bool:
    """Whether deletion was asked for and nobody has to agree any more."""
    is_marked = document.metadata.deletion_timestamp is not None
    return is_marked and not document.metadata.finalizers and kind_of(document) is not kinds.NAMESPACE


def check_identity(old: AnyObject, wanted: AnyObject) -> None:
    """What a client sends of these has to be what is stored, unless it leaves them out."""
    before, after = old.metadata, wanted.metadata
    if after.namespace and after.namespace != before.namespace:
        raise BadRequest(f"the namespace of the object ({after.namespace}) does not match the request's")
    if after.uid and after.uid != before.uid:
        raise Outdated(f"the UID in the precondition ({after.uid}) does not match the UID of the object ({before.uid})")
    if after.resource_version and after.resource_version != before.resource_version:
        raise Outdated


def check_preconditions(old: AnyObject, preconditions: Preconditions) -> None:
    """Raises Outdated unless the object is the one that is meant."""
    for wanted, found, what in (
        (preconditions.uid, old.metadata.uid, "UID"),
        (preconditions.resource_version, old.metadata.resource_version, "ResourceVersion"),
    ):
        if wanted is not None and wanted != found:
            raise Outdated(
                f"the {what} in the precondition ({wanted}) does not match the {what} of the object ({found})"
            )
