"""All that the gateway needs to be trusted by its cluster, and to trust it: one object for `main`.

Comes in: settings and the cluster's client. Goes out: who users are, what they may do, and what the listener shows.
Called by: `main`, on the platform `kubernetes`: `start` before the listener, `follow` beside it.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any, Protocol

from chandlery.model.faults import Unavailable
from chandlery.model.objects.wire import JsonObject
from chandlery.process.followed_files import FollowedFiles
from chandlery.process.http.listener_tls import ListenerTls
from chandlery.process.http.presented_certificates import PresentedCertificate
from chandlery.process.http.tls_files import TlsFiles
from chandlery.settings.settings import Settings
from chandlery.telemetry.metrics import Sample
from chandlery_gateway.identity.authentication import Authenticator
from chandlery_gateway.identity.authorization import Authorizer
from chandlery_gateway.identity.kubernetes.cluster_authenticator import ClusterAuthenticator
from chandlery_gateway.identity.kubernetes.followed_trust import FollowedTrust
from chandlery_gateway.identity.kubernetes.review_authorizer import ReviewAuthorizer
from chandlery_gateway.identity.kubernetes.token_reviews import ReviewedTokens
from chandlery_gateway.identity.kubernetes.trust_config import TrustConfig
from chandlery_gateway.trust.cluster_settings import check_cluster_settings


class Cluster(Protocol):
    """What this needs of the cluster's client; `platform/kubernetes/cluster_client.py` has it."""

    async def get(self, path: str, /, **query: str) -> JsonObject:
        """See the client."""

    async def create(self, path: str, body: JsonObject, /, **query: str) -> JsonObject:
        """See the client."""

    async def replace(self, path: str, body: JsonObject, /, **query: str) -> JsonObject:
        """See the client."""

    async def patch(self, path: str, body: Any, /, *, content_type: str, **query: str) -> JsonObject:
        """See the client."""

    def watch(self, path: str, /, **query: str) -> AsyncIterator[tuple[str, JsonObject]]:
        """See the client."""

    @property
    def namespace(self) -> str:
        """Where we are installed."""


class ClusterTrust:
    """The trust of one gateway."""

    def __init__(self, settings: Settings, client: Cluster) -> None:
        """Raises ConfigurationFault that names the setting, or the file, that is wrong."""
        check_cluster_settings(settings)
        self._trust = FollowedTrust(client, changed=self._trust_anew)
        self._tls: ListenerTls | None = None
        self._files: FollowedFiles | None = None
        if settings.tls_cert_file is not None and settings.tls_key_file is not None:
            self._files = FollowedFiles("the TLS certificate", [settings.tls_cert_file, settings.tls_key_file])
            self._tls = TlsFiles(settings.tls_cert_file, settings.tls_key_file)
        tokens = ReviewedTokens(client, seconds=settings.token_review_seconds)
        self.authenticator: Authenticator = ClusterAuthenticator(self._trust, tokens=tokens)
        """Knows users by what the cluster says."""
        self.authorizer: Authorizer = ReviewAuthorizer(client, seconds=settings.access_review_seconds)
        """Asks the cluster."""
        self._following: asyncio.Task[None] | None = None

    @property
    def tls(self) -> ListenerTls:
        """What the listener shows, and whom it asks for certificates; to be asked for after `start`."""
        if self._tls is None:
            raise Unavailable("there is no certificate yet")
        return self._tls

    async def start(self) -> None:
        """Wait until the cluster has said whom to trust, and there is a certificate. The log tells what is missing."""
        self._following = asyncio.create_task(self._trust.follow())
        await self._trust.begun()

    async def follow(self) -> None:
        """Stay in step with the cluster, and with files; ends by cancellation."""
        try:
            async with asyncio.TaskGroup() as group:
                if self._files is not None and isinstance(self._tls, TlsFiles):
                    group.create_task(self._files.follow(self._tls.reload))
                if self._following is not None:
                    await self._following
        finally:
            if self._following is not None:
                self._following.cancel()

    def certificate_ends(self) -> Iterator[Sample]:
        """For metrics: when the gateway's certificate ends, in Unix time."""
        if self._tls is not None:
            yield Sample(("gateway",), self._tls.ends_at.timestamp())

    def _trust_anew(self, config: TrustConfig) -> None:
        def is_good(shown: PresentedCertificate) -> bool:
            return config.vouch_for(shown, datetime.now(UTC))

        if self._tls is not None:
            self._tls.trust(config.authorities, is_good=is_good)
