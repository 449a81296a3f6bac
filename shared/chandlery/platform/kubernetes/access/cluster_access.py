"""How a cluster is reached: its address, whom to trust there, and who we are.

In a pod that is its service account. Outside it is a context of a kubeconfig, which `kubeconfig.py` reads.
"""

import asyncio
import hashlib
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from chandlery.model.faults import ConfigurationFault, Refused
from chandlery.osb.transport.tls_trust import load_pair
from chandlery.platform.kubernetes.access.cluster_identity import Content, Identity, IdentitySource, KnownIdentity

SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_NOT_IN_A_POD: Final = (
    "CHANDLERY_PLATFORM=kubernetes: this process does not run in a pod of the cluster ({why}), and "
    "CHANDLERY_KUBECONFIG is not set. Outside of a cluster: CHANDLERY_KUBECONFIG=$HOME/.kube/config"
)


@dataclass(frozen=True)
class Introduction:
    """What one request takes along: the trust of its connection, and a header."""

    tls: ssl.SSLContext | None
    authorization: str | None = field(repr=False)


class ClusterAccess:
    """The way to one cluster. Files are read again when they may have changed; nothing of them shows in a repr."""

    def __init__(
        self,
        server: str,
        *,
        namespace: str,
        identity: IdentitySource | None = None,
        authorities: Content | None = None,
        server_name: str | None = None,
    ) -> None:
        """`server` is an http or https URL; without `authorities` those of the system are trusted.

        `server_name` is what the certificate says, where that is not the host of the URL.
        """
        self.server = server.rstrip("/")
        self.namespace = namespace
        self.server_name = server_name
        self._identity = identity or KnownIdentity()
        self._authorities = authorities or Content()
        self._context: tuple[str, ssl.SSLContext] | None = None

    def __repr__(self) -> str:
        return f"ClusterAccess({self.server})"

    async def introduction(self) -> Introduction:
        """For the next request. Raises Unavailable if a file or a plugin gives nothing, Refused if it is unusable."""
        identity = await self._identity.identity()
        authorization = f"Bearer {identity.token}" if identity.token else None
        if not self.server.startswith("https:"):
            return Introduction(None, authorization)
        return Introduction(await self._tls(identity), authorization)

    def refused(self) -> bool:
        """The cluster has refused the last introduction; whether the next may be another."""
        self._authorities.forget()
        return self._identity.refused()

    async def _tls(self, identity: Identity) -> ssl.SSLContext:
        authorities = await self._authorities.look()
        key = f"{hashlib.sha256(authorities or b'').hexdigest()} {identity.fingerprint}"
        if self._context is None or self._context[0] != key:
            # Beside the loop: the roots of a system take a while.
            self._context = key, await asyncio.to_thread(_context, authorities, identity)
        return self._context[1]


def in_cluster(environment: Mapping[str, str] | None = None, *, folder: Path = SERVICE_ACCOUNT) -> ClusterAccess:
    """The way from within a pod. Raises ConfigurationFault where there is none."""
    told = os.environ if environment is None else environment
    host, port = told.get("KUBERNETES_SERVICE_HOST"), told.get("KUBERNETES_SERVICE_PORT")
    if not host or not port:
        raise ConfigurationFault(_NOT_IN_A_POD.format(why="KUBERNETES_SERVICE_HOST is not set"))
    token, authorities, namespace = folder / "token", folder / "ca.crt", folder / "namespace"
    for file in (token, authorities):
        if not file.is_file():
            raise ConfigurationFault(_NOT_IN_A_POD.format(why=f"there is no {file}"))
    return ClusterAccess(
        f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
        namespace=namespace.read_text().strip() if namespace.is_file() else "default",
        identity=KnownIdentity(token=Content(path=token)),
        authorities=Content(path=authorities),
    )


def _context(authorities: bytes | None, identity: Identity) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cadata=authorities.decode("ascii")) if authorities else None
    except (ValueError, OSError):
        raise Refused("the cluster's certificate authority is not in PEM") from None
    context = context or ssl.create_default_context()
    if identity.certificate and identity.key:
        try:
            load_pair(context, identity.certificate, identity.key)
        except (OSError, ValueError):
            raise Refused(
                "our client certificate for the cluster cannot be used: certificate and key must be PEM, the key "
                "unencrypted and the certificate's own"
            ) from None
    return context
