"""The kinds that are served, by platform: a value that whoever registers routes or writes documents is given.

Standalone there are the catalog, what a cluster would have beside it (namespaces, Secrets, events, roles, reviews), and
what is only ours: the operation history and the audit log. In a Kubernetes cluster the second lot is the cluster's, and
kinds of these names here would be rivals that nobody asks. See ADR 0060.
"""

from dataclasses import dataclass
from typing import Final, Literal, Self

from chandlery.model.objects.kinds import CATALOG_KINDS, CORE_KINDS, RBAC_KINDS, Kind
from chandlery_gateway.kube.kinds.audit_kinds import AUDIT_EVENT
from chandlery_gateway.kube.kinds.operation_kinds import OPERATION_KINDS
from chandlery_gateway.kube.kinds.regarding_events import REGARDING_EVENT
from chandlery_gateway.kube.kinds.review_kinds import REVIEW_KINDS

Platform = Literal["standalone", "kubernetes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedKinds:
    """What one gateway serves. The members of a group, and of its versions, stand together."""

    core: tuple[Kind, ...] = ()
    """Those of the core group, below `/api/v1`."""
    rbac: tuple[Kind, ...] = ()
    events: tuple[Kind, ...] = ()
    """Events under the names of `events.k8s.io`."""
    reviews: tuple[Kind, ...] = ()

    @classmethod
    def of(cls, platform: Platform) -> Self:
        """What is served where Secrets, namespaces and rights are ours (standalone), and where they are a cluster's."""
        if platform == "kubernetes":
            return cls()
        return cls(core=CORE_KINDS, rbac=RBAC_KINDS, events=(REGARDING_EVENT,), reviews=REVIEW_KINDS)

    @property
    def stored(self) -> tuple[Kind, ...]:
        """Those with objects in tables of their own, and all of Kubernetes' verbs; events in both forms."""
        return (*CATALOG_KINDS, *self.core, *self.rbac, *self.events)

    @property
    def in_groups(self) -> tuple[Kind, ...]:
        """Those of named groups, the preferred version first."""
        return (*CATALOG_KINDS, *self.rbac, *self.events, *self.reviews, AUDIT_EVENT, *OPERATION_KINDS)

    @property
    def every(self) -> tuple[Kind, ...]:
        """Everything that discovery and the OpenAPI documents tell of, core kinds first."""
        return (*self.core, *self.in_groups)


KNOWN_KINDS: Final = ServedKinds.of("standalone").every
"""All kinds that a gateway knows by name, whether it serves them or not: the words that logs and metrics may keep."""
