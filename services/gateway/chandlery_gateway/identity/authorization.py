"""Who may do what: the one question that the gateway asks before it acts for a user, and in access reviews.

Standalone the answer comes from us; aggregated it will be the cluster's. It may come from far away, so nobody asks
within a transaction.
"""

from dataclasses import dataclass
from typing import Protocol

from chandlery.model.objects.instances import UserInfo


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


class Authorizer(Protocol):
    """Decides what users may do."""

    async def decide(self, access: Access) -> Decision:
        """Whether this is allowed. Raises Unavailable if whoever knows cannot be reached."""

    async def rules(self, user: UserInfo, namespace: str) -> Rules:
        """What the user may do in the namespace, for people to read: never to decide by."""
