"""All that the gateway needs to be trusted by its cluster, and to trust it: one object for `main`.

Comes in: settings and the cluster's client. Goes out: who users are, what they may do, and what the listener shows.
Called by: `main`, on the platform `kubernetes`: `start` before the listener, `follow` beside it.
"""

from datetime import UTC, datetime
from functools import partial
from typing import Final, Protocol

from chandlery.model.faults import Unavailable
from chandlery.process.background import Loop, keep_going
from chandlery.process.followed_files import FollowedFiles
from chandlery.process.http.listener_tls import ListenerTls
from chandlery.process.http.presented_certificates import PresentedCertificate
from chandlery.process.http.tls_files import TlsFiles
from chandlery.settings.settings import Settings
from chandlery.telemetry.metrics import NO_METRICS, Metrics
from chandlery_gateway.identity.kubernetes.asked_cluster import Creates
from chandlery_gateway.identity.kubernetes.cluster_authenticator import ClusterAuthenticator
from chandlery_gateway.identity.kubernetes.followed_trust import FollowedTrust
from chandlery_gateway.identity.kubernetes.review_authorizer import ReviewAuthorizer
from chandlery_gateway.identity.kubernetes.token_reviews import ReviewedTokens
from chandlery_gateway.identity.kubernetes.trust_config import TrustConfig
from chandlery_gateway.trust.cluster_settings import check_cluster_settings
from chandlery_gateway.trust.serving_certificates import KeepsCertificates, ServingCertificates


class Cluster(Creates, KeepsCertificates, Protocol):
    """What this needs of the cluster's client; `platform/kubernetes/cluster_client.py` has it."""

    @property
    def namespace(self) -> str:
        """Where we are installed."""


class ClusterTrust:
    """The trust of one gateway."""

    def __init__(self, settings: Settings, client: Cluster, metrics: Metrics = NO_METRICS) -> None:
        """Raises ConfigurationFault that names the setting, or the file, that is wrong."""
        check_cluster_settings(settings)
        self._trust = FollowedTrust(client, changed=self._trust_anew)
        self._tls: ListenerTls | None = None
        self._files: tuple[FollowedFiles, TlsFiles] | None = None
        self._made: ServingCertificates | None = None
        if settings.tls_cert_file is not None and settings.tls_key_file is not None:
            paths = (settings.tls_cert_file, settings.tls_key_file)
            self._tls = files = TlsFiles(*paths)
            self._files = (FollowedFiles("the TLS certificate", paths), files)
        elif settings.serving_cert_secret:
            namespace = settings.kubernetes_namespace or client.namespace
            self._made = ServingCertificates(
                client, secret=settings.serving_cert_secret, service=settings.serving_service, namespace=namespace
            )
        tokens = ReviewedTokens(client, seconds=settings.token_review_seconds, metrics=metrics)
        self.authenticator: Final = ClusterAuthenticator(self._trust, tokens=tokens)
        """Knows users by what the cluster says."""
        self.authorizer: Final = ReviewAuthorizer(client, seconds=settings.access_review_seconds, metrics=metrics)
        """Asks the cluster."""

    @property
    def tls(self) -> ListenerTls:
        """What the listener shows, and whom it asks for certificates; to be asked for after `start`."""
        if self._tls is None:
            raise Unavailable("there is no certificate yet")
        return self._tls

    async def start(self) -> None:
        """Wait until there is a certificate, and the cluster has said whom to trust. The log tells what is missing."""
        if self._made is not None:
            self._tls = await self._made.begin()
        await self._trust.begin()

    async def follow(self) -> None:
        """Stay in step with the cluster, and with files; ends by cancellation."""
        loops: dict[str, Loop] = {"following whom to trust": self._trust.follow}
        if self._made is not None:
            loops["keeping the certificate"] = self._made.follow
        if self._files is not None:
            followed, files = self._files
            loops["following the certificate's files"] = partial(followed.follow, files.reload)
        await keep_going(loops)

    def is_front_proxy(self, shown: PresentedCertificate) -> bool:
        """Whether a certificate is the front proxy's, by what the cluster says now; to be asked after `start`."""
        return self._trust.config.takes_for_front_proxy(shown, datetime.now(UTC))

    def _trust_anew(self, config: TrustConfig) -> None:
        def is_good(shown: PresentedCertificate) -> bool:
            return config.vouch_for(shown, datetime.now(UTC))

        if self._tls is not None:
            self._tls.trust(config.authorities, is_good=is_good)
