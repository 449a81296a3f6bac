"""Credential plugins of a kubeconfig (`exec`): a program that prints an ExecCredential, as for kubectl.

https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins
What it prints is a credential and is never shown; nor is what it says on its standard error, which may hold one.
"""

import asyncio
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from chandlery.model.faults import Refused
from chandlery.model.json.json_text import NotJson, read_json, write_json
from chandlery.platform.kubernetes.access.cluster_identity import Identity

GROUP: Final = "client.authentication.k8s.io"
VERSIONS: Final = (f"{GROUP}/v1", f"{GROUP}/v1beta1")
TIMEOUT_SECONDS: Final = 60.0
_NEW_SECONDS: Final = 5.0
"""A credential that is no older is not asked for anew: the refusal was of the one before."""
_EARLY_SECONDS: Final = 30.0
"""So long before it expires, a credential is asked for anew."""
_LARGEST_BYTES: Final = 1 << 20


@dataclass(frozen=True)
class ExecPlugin:
    """How the program is called. `cluster` is what it is told of the cluster, if it wants to know."""

    command: str
    arguments: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    api_version: str = VERSIONS[0]
    cluster: Mapping[str, Any] | None = None
    install_hint: str = ""
    timeout_seconds: float = TIMEOUT_SECONDS


class PluginIdentity:
    """Asks the program when there is nothing yet, when it expires, and when the cluster has refused it."""

    def __init__(self, plugin: ExecPlugin, *, clock: Callable[[], float] = time.time) -> None:
        self._plugin = plugin
        self._clock = clock
        self._known: Identity | None = None
        self._good_until: float | None = None
        self._asked_at: float | None = None
        self._asking = asyncio.Lock()

    async def identity(self) -> Identity:
        """See IdentitySource. Raises Refused if the program gives none."""
        # One at a time: it may open a browser, or count how often it is asked.
        async with self._asking:
            if self._known is None or (self._good_until is not None and self._clock() >= self._good_until):
                self._known, self._good_until = await self._ask()
                self._asked_at = self._clock()
            return self._known

    def refused(self) -> bool:
        """See IdentitySource."""
        # Of many calls under way all are refused: the first has the program called, the others take what it gave.
        if self._asked_at is None or self._clock() - self._asked_at >= _NEW_SECONDS:
            self._known = None
        return True

    async def _ask(self) -> tuple[Identity, float | None]:
        document = self._credential(await self._run())
        status = document["status"]
        token, certificate, key = (status.get(each) for each in ("token", "clientCertificateData", "clientKeyData"))
        if not token and not (certificate and key):
            raise self._refuses("has printed neither a token nor a certificate with its key")
        identity = Identity(
            str(token).strip() if token else None,
            str(certificate).encode() if certificate and key else None,
            str(key).encode() if certificate and key else None,
        )
        expires = status.get("expirationTimestamp")
        if expires is None:
            return identity, None
        try:
            return identity, datetime.fromisoformat(str(expires)).timestamp() - _EARLY_SECONDS
        except ValueError:
            raise self._refuses("has printed an expirationTimestamp that is no time") from None

    async def _run(self) -> bytes:
        plugin = self._plugin
        spec: dict[str, Any] = {"interactive": False}
        if plugin.cluster is not None:
            spec["cluster"] = dict(plugin.cluster)
        info = write_json({"apiVersion": plugin.api_version, "kind": "ExecCredential", "spec": spec}).decode()
        try:
            process = await asyncio.create_subprocess_exec(
                plugin.command,
                *plugin.arguments,
                env={**os.environ, **plugin.environment, "KUBERNETES_EXEC_INFO": info},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
            )
        except OSError as error:
            hint = f". {plugin.install_hint}" if plugin.install_hint else ""
            raise self._refuses(f"cannot be run: {error.strerror}{hint}") from error
        try:
            async with asyncio.timeout(plugin.timeout_seconds):
                printed = await _whole(process.stdout) if process.stdout else b""
                code = await process.wait()
        except TimeoutError:
            raise self._refuses(f"has not ended within {plugin.timeout_seconds:.0f} s") from None
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if code:
            raise self._refuses(f"has ended with {code}; run it by hand to see why")
        return printed

    def _credential(self, printed: bytes) -> dict[str, Any]:
        try:
            document = read_json(printed)
        except NotJson:
            # Not chained, since it may quote.
            raise self._refuses("has printed no JSON") from None
        if not isinstance(document, dict) or not isinstance(document.get("status"), dict):
            raise self._refuses("has printed no ExecCredential with a status")
        if document.get("apiVersion") != self._plugin.api_version:
            raise self._refuses(f"has not printed the apiVersion that was asked for, {self._plugin.api_version}")
        return document

    def _refuses(self, why: str) -> Refused:
        return Refused(f"the credential plugin {self._plugin.command} of the kubeconfig {why}")


async def _whole(stream: asyncio.StreamReader) -> bytes:
    printed = b""
    while len(printed) < _LARGEST_BYTES and (piece := await stream.read(_LARGEST_BYTES)):
        printed += piece
    return printed
