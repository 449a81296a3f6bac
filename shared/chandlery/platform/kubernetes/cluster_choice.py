"""The client of the cluster that the settings name."""

from chandlery.model.faults import ConfigurationFault
from chandlery.platform.kubernetes.access.cluster_access import in_cluster
from chandlery.platform.kubernetes.access.kubeconfig import read_kubeconfig
from chandlery.platform.kubernetes.cluster_client import ClusterClient
from chandlery.settings.settings import Settings


def cluster_of(settings: Settings) -> ClusterClient:
    """A client; nothing is asked yet. Raises ConfigurationFault where there is no way, and says what to set."""
    if settings.platform != "kubernetes":
        raise ConfigurationFault("there is no cluster with CHANDLERY_PLATFORM=standalone")
    access = read_kubeconfig(settings.kubeconfig) if settings.kubeconfig else in_cluster()
    if settings.kubernetes_namespace:
        access.namespace = settings.kubernetes_namespace
    return ClusterClient(access)
