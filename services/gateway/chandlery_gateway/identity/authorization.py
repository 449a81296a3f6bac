"""Who may do what: the one question that the gateway asks before it acts for a user, and in access reviews.

Both ask the same authorizer, so that `kubectl auth can-i` never says anything else than the request itself. Standalone
the answer comes from us; aggregated it will be the cluster's. It may come from far away, so nobody asks within a
transaction.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from chandlery.model.faults import Forbidden
from chandlery.model.objects.instances import UserInfo
from chandlery.model.objects.kinds import NAMESPACE, Kind

Names = frozenset[str] | None
"""Names of objects; None stands for all of them."""


@dataclass(frozen=True, kw_only=True)
class Access:
    """One thing that a user wants to do: with a resource, or with a `path` that is none. Words as in Kubernetes' RBAC.

    An empty namespace means all of them, or a resource that is in none; an empty name means all objects.
    """

    user: UserInfo
    verb: str
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Whether it is allowed, and why, in a sentence."""

    allowed: bool
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class ResourceRule:
    """What may be done with which resources; `*` stands for all."""

    verbs: tuple[str, ...]
    groups: tuple[str, ...]
    resources: tuple[str, ...]
    names: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class PathRule:
    """What may be done with which paths that are no resources; a `*` at the end stands for anything."""

    verbs: tuple[str, ...]
    paths: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Rules:
    """All that a user may do in a namespace. Not complete if an authorizer cannot list what it would allow."""

    resources: tuple[ResourceRule, ...] = ()
    paths: tuple[PathRule, ...] = ()
    is_complete: bool = True


@dataclass(frozen=True, kw_only=True)
class Reach:
    """The objects of one kind that a user may do something with."""

    everywhere: Names
    """In whichever namespace they are, or in none."""
    within: Mapping[str, Names] = field(default_factory=dict)
    """What comes to that in single namespaces."""

    @property
    def is_everything(self) -> bool:
        """Whether there is no object that is out of reach."""
        return self.everywhere is None

    def has(self, namespace: str, name: str) -> bool:
        """Whether the object of this name is one of them."""
        if self.everywhere is None or name in self.everywhere:
            return True
        names = self.within.get(namespace, frozenset())
        return names is None or name in names


EVERYTHING: Final = Reach(everywhere=None)


class Authorizer(Protocol):
    """Decides what users may do."""

    @property
    def revision(self) -> int:
        """Another number as soon as an answer may be another one."""

    async def decide(self, access: Access) -> Decision:
        """Whether this is allowed. Raises Unavailable if whoever knows cannot be reached."""

    async def reach(self, access: Access) -> Reach:
        """With which objects this is allowed, within the namespace of the access or, if it has none, everywhere.

        The name of the access does not count. Raises Unavailable, as `decide` does.
        """

    async def rules(self, user: UserInfo, namespace: str) -> Rules:
        """What the user may do in the namespace, or everywhere if it is empty.

        For people to read, and to tell whether who hands out rights holds them; a request is never decided by it.
        """


def namespace_asked(kind: Kind, namespace: str, name: str) -> str:
    """In which namespace an object counts as being: a Namespace in itself, so that rights in it are rights to it.

    Rule: Kubernetes' `RequestInfo`.
    """
    return name if kind is NAMESPACE else namespace


def access_to(kind: Kind, verb: str, *, user: UserInfo, namespace: str, name: str, subresource: str = "") -> Access:
    """What a request for objects of a kind wants to do."""
    return Access(
        user=user,
        verb=verb,
        group=kind.group,
        version=kind.version,
        resource=kind.plural,
        subresource=subresource,
        namespace=namespace_asked(kind, namespace, name),
        name=name,
    )


def check_allowed(access: Access, decision: Decision) -> None:
    """Raises Forbidden, in Kubernetes' words, unless the user may do this."""
    if not decision.allowed:
        raise Forbidden(_refusal(access, decision.reason))


def _refusal(access: Access, reason: str) -> str:
    if access.path:
        words = f'User "{access.user.username}" cannot {access.verb} path "{access.path}"'
    else:
        resource = f"{access.resource}/{access.subresource}" if access.subresource else access.resource
        place = f'in the namespace "{access.namespace}"' if access.namespace else "at the cluster scope"
        words = (
            f'User "{access.user.username}" cannot {access.verb} resource "{resource}" '
            f'in API group "{access.group}" {place}'
        )
    return f"{words}: {reason}" if reason else words
