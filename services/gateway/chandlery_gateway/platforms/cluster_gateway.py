"""The gateway behind a cluster's kube-apiserver: users, rights and namespaces are the cluster's."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from chandlery.engine.resources import Resources
from chandlery.process.background import Loop, keep_going
from chandlery.settings.settings import Settings
from chandlery_gateway.http.listening import Listening, configured_tls
from chandlery_gateway.identity.rbac.kept_rules import NoRules
from chandlery_gateway.trust.cluster_settings import check_cluster_settings
from chandlery_gateway.trust.cluster_trust import ClusterTrust


def check_cluster(settings: Settings) -> None:
    """Raises ConfigurationFault that names the setting, or the file and its place."""
    check_cluster_settings(settings)
    configured_tls(settings)


class ClusterGateway:
    """See GatewayPlatform."""

    def __init__(self, resources: Resources) -> None:
        """Read what the settings name; raises ConfigurationFault."""
        if resources.cluster is None:
            raise LookupError("the platform kubernetes needs the client of its cluster")
        self._settings = resources.settings
        self._namespaces = resources.namespaces
        self._trust = ClusterTrust(resources.settings, resources.cluster, resources.metrics)
        self.rules: Final = NoRules()
        self.authenticator: Final = self._trust.authenticator
        self.authorizer: Final = self._trust.authorizer

    @property
    def listening(self) -> Listening:
        """See GatewayPlatform."""
        return Listening(self._settings, self._trust.tls, is_front_proxy=self._trust.is_front_proxy)

    @property
    def readiness(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        """See GatewayPlatform."""
        return {}

    async def begin(self) -> None:
        """See GatewayPlatform. Waits for the cluster, for as long as that takes."""
        await self._trust.start()

    async def run(self) -> None:
        """See GatewayPlatform."""
        loops: dict[str, Loop] = {"following the cluster": self._trust.follow}
        if self._namespaces is not None:
            loops["following namespaces"] = self._namespaces.run
        await keep_going(loops)
