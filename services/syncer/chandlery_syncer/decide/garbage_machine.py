"""What becomes of an object whose owners go: Kubernetes' rules of garbage collection. Pure; `garbage_rounds.py` acts.

Source: `pkg/controller/garbagecollector` of Kubernetes. A dependent goes when all of its owners are gone; an owner that
is deleted in the foreground goes when the dependents that block it are gone.
"""

from dataclasses import dataclass

from chandlery.model.objects.kinds import KINDS, AnyObject, Kind, kind_of
from chandlery.model.objects.metadata import FOREGROUND, ORPHAN, OwnerReference


@dataclass(frozen=True, kw_only=True)
class Owners:
    """The owner references of an object, by what has become of the owners."""

    solid: tuple[OwnerReference, ...] = ()
    """There, or of a kind that nobody here can look for."""
    gone: tuple[OwnerReference, ...] = ()
    waiting: tuple[OwnerReference, ...] = ()
    """On their way out, as soon as what they own is gone."""


@dataclass(frozen=True)
class KeepObject:
    """The object stays as it is."""


@dataclass(frozen=True)
class Detach:
    """It has an owner that stays: only these references are kept."""

    owners: tuple[OwnerReference, ...]


@dataclass(frozen=True)
class DeleteDependent:
    """It has lost all of its owners."""

    policy: str | None
    """`Foreground` to have its own dependents go first; None is for the object to say."""
    unblocks: bool = False
    """It is part of a ring, and holds up its owner no more."""


@dataclass(frozen=True)
class PartWithDependents:
    """It is going, and its dependents are to stay: they are told, before its finalizer goes."""


@dataclass(frozen=True)
class TakeAlong:
    """It is going, and its dependents are to go first."""


GarbageVerdict = KeepObject | Detach | DeleteDependent | PartWithDependents | TakeAlong


def judge(document: AnyObject, owners: Owners, *, has_dependents: bool, is_ring: bool) -> GarbageVerdict:
    """What is to be done with the object. `is_ring` says that one of its dependents waits for it to go already."""
    meta = document.metadata
    if meta.deletion_timestamp is not None:
        finalizers = meta.finalizers or ()
        if ORPHAN in finalizers:
            return PartWithDependents()
        return TakeAlong() if FOREGROUND in finalizers else KeepObject()
    if not (owners.gone or owners.waiting):
        return KeepObject()
    if owners.solid:
        return Detach(owners.solid)
    if owners.waiting and has_dependents:
        return DeleteDependent("Foreground", unblocks=is_ring)
    return DeleteDependent(None)


def kind_of_owner(document: AnyObject, owner: OwnerReference) -> Kind | None:
    """Where to look for an owner of the object; None if nobody can tell whether it is there.

    That is so for kinds that are not served here, and for an owner in a namespace of an object that is in none.
    """
    kind = KINDS.get(owner.kind)
    if kind is None or kind.api_version != owner.api_version or kind.kind == "Event":
        return None
    return None if kind.namespaced and not kind_of(document).namespaced else kind


def is_the_owner(document: AnyObject, owner: OwnerReference, found: AnyObject | None) -> bool:
    """Whether what has been found under the owner's uid is what is meant: by its name, and in no other namespace."""
    if found is None or found.metadata.name != owner.name:
        return False
    return not kind_of(found).namespaced or found.metadata.namespace == document.metadata.namespace


def waits_for_dependents(owner: AnyObject) -> bool:
    """Whether the owner is being deleted in the foreground."""
    return owner.metadata.deletion_timestamp is not None and FOREGROUND in (owner.metadata.finalizers or ())


def without_owner(document: AnyObject, uid: str) -> AnyObject:
    """The object without its references to this owner."""
    return with_owners(document, tuple(each for each in document.metadata.owner_references or () if each.uid != uid))


def with_owners(document: AnyObject, owners: tuple[OwnerReference, ...]) -> AnyObject:
    """The object with these owners."""
    metadata = document.metadata.model_copy(update={"owner_references": list(owners) or None})
    return document.model_copy(update={"metadata": metadata})


def unblocked(document: AnyObject) -> AnyObject:
    """The object, holding up none of its owners."""
    owners = document.metadata.owner_references or ()
    return with_owners(document, tuple(each.model_copy(update={"block_owner_deletion": False}) for each in owners))


def without_finalizer(document: AnyObject, name: str) -> AnyObject:
    """The object without this finalizer."""
    left = [each for each in document.metadata.finalizers or () if each != name]
    return document.model_copy(update={"metadata": document.metadata.model_copy(update={"finalizers": left or None})})
