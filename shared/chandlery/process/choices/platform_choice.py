"""Where this process finds Secrets, namespaces and events: in its own database, or in the cluster of its settings."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chandlery.platform.protocol import NamespaceGate, Platform
from chandlery.platform.standalone.standalone_platform import StandalonePlatform
from chandlery.settings.settings import Settings
from chandlery.store.database import UnitOfWork

if TYPE_CHECKING:
    from chandlery.platform.kubernetes.cluster_client import ClusterClient


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
