"""Where this process finds Secrets, namespaces and events: in its own database, or in the cluster of its settings."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from chandlery.model.faults import ConfigurationFault
from chandlery.model.objects import kinds
from chandlery.platform.protocol import NamespaceGate, Platform
from chandlery.platform.standalone.standalone_platform import StandalonePlatform
from chandlery.settings.settings import Settings
from chandlery.store.database import UnitOfWork
from chandlery.store.objects.object_reads import Listing

if TYPE_CHECKING:
    from chandlery.platform.kubernetes.cluster_client import ClusterClient

_FACT: Final = "platform"


@dataclass(frozen=True, kw_only=True)
class ChosenPlatform:
    """The platform, and the client of its cluster if there is one."""

    platform: Platform[UnitOfWork]
    cluster: "ClusterClient | None" = None
    namespaces: NamespaceGate | None = None


def make_platform(settings: Settings, *, at_end: Callable[[Callable[[], Awaitable[None]]], Any]) -> ChosenPlatform:
    """Build it; nothing is asked yet. Raises ConfigurationFault where there is no way to the cluster."""
    if settings.platform == "standalone":
        return ChosenPlatform(platform=StandalonePlatform())
    from chandlery.platform.kubernetes.cluster_choice import cluster_of  # noqa: PLC0415 - standalone needs none of it
    from chandlery.platform.kubernetes.cluster_namespaces import ClusterNamespaces  # noqa: PLC0415
    from chandlery.platform.kubernetes.kubernetes_platform import KubernetesPlatform  # noqa: PLC0415

    cluster = cluster_of(settings)
    at_end(cluster.close)
    return ChosenPlatform(platform=KubernetesPlatform(cluster), cluster=cluster, namespaces=ClusterNamespaces(cluster))


async def check_database(unit: UnitOfWork, platform: str) -> None:
    """Whether the database is one of this platform; one that is new becomes so.

    Raises ConfigurationFault: with another platform its Secrets and roles would count for nothing all at once, and what
    the other has kept would be lost to it.
    """
    is_older = await unit.leases.fact(_FACT) is None and await unit.objects.count(kinds.NAMESPACE, Listing()) > 0
    # Releases without a cluster have noted nothing; namespaces are stored standalone alone.
    belongs_to = await unit.leases.first_noted(_FACT, "standalone" if is_older else platform)
    if belongs_to != platform:
        raise ConfigurationFault(
            f"CHANDLERY_PLATFORM={platform}: the database belongs to an installation with "
            f"CHANDLERY_PLATFORM={belongs_to}, and Secrets, namespaces and rights are not carried over. Either set "
            "that, or name another database by CHANDLERY_DATABASE_URL"
        )
