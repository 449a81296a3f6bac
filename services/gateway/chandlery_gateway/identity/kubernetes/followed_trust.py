"""Keeps in step with what the cluster says about whom to trust (`trust_config`): read at the start, then followed.

Comes in: the cluster's ConfigMap. Goes out: the latest version that makes sense, and word of each change. Called by:
`trust/cluster_trust.py`. Without it nobody could be told from anybody, so the gateway waits for it; later the last one
counts until there is another.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import structlog

from chandlery.model.faults import ConfigurationFault, Fault, Forbidden, Unavailable
from chandlery.model.objects.wire import JsonObject
from chandlery_gateway.identity.kubernetes.followed_object import Reads, follow_object, read_object
from chandlery_gateway.identity.kubernetes.trust_config import (
    CONFIG_NAME,
    CONFIG_NAMESPACE,
    TrustConfig,
    read_trust_config,
)

_COLLECTION: Final = f"/api/v1/namespaces/{CONFIG_NAMESPACE}/configmaps"
_PLACE: Final = f"ConfigMap {CONFIG_NAMESPACE}/{CONFIG_NAME}"
READER_NEEDED: Final = (
    f"the gateway's service account needs the Role extension-apiserver-authentication-reader: `kubectl create "
    f"rolebinding chandlery-auth-reader -n {CONFIG_NAMESPACE} --role=extension-apiserver-authentication-reader "
    "--serviceaccount=NAMESPACE:NAME`"
)

_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 30.0

log = structlog.get_logger(__name__)


class FollowedTrust:
    """See CurrentTrust."""

    def __init__(self, cluster: Reads, *, changed: Callable[[TrustConfig], None]) -> None:
        """`changed` is called with each version that counts from then on; it may raise ConfigurationFault."""
        self._cluster = cluster
        self._changed = changed
        self._config: TrustConfig | None = None
        self._said = ""

    @property
    def config(self) -> TrustConfig:
        """See CurrentTrust. Raises Unavailable before it was read for the first time."""
        if self._config is None:
            raise Unavailable(f"{_PLACE} has not been read yet, so nobody is known")
        return self._config

    async def begin(self) -> None:
        """Wait until it can be read. The log tells what is missing."""
        pause = _FIRST_PAUSE
        while True:
            try:
                await read_object(self._cluster, _COLLECTION, CONFIG_NAME, seen=self._seen)
            except Fault as fault:
                self._failed(fault)
            if self._config is not None:
                return
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def follow(self) -> None:
        """Read it, and again whenever it changes; ends by cancellation."""
        await follow_object(self._cluster, _COLLECTION, CONFIG_NAME, seen=self._seen, failed=self._failed)

    def _seen(self, found: JsonObject | None) -> None:
        if found is None:
            self._say(f"{_PLACE} does not exist; kube-apiserver makes it when it starts")
            return
        data: Any = found.get("data")
        try:
            config = read_trust_config(data if isinstance(data, dict) else {})
            if config.is_empty and self._config is not None and not self._config.is_empty:
                # No kube-apiserver writes that: somebody has emptied it, or is not done with it.
                raise ConfigurationFault(f"{_PLACE} names no authority any more")
            if config != self._config:
                self._changed(config)
        except ConfigurationFault as fault:
            self._say(fault.message)
            return
        if config != self._config:
            for warning in config.warnings:
                log.warning(warning, action="follow_trust")
            log.info(f"{_PLACE} was read and counts from now on", action="follow_trust")
        self._config, self._said = config, ""

    def _failed(self, fault: Fault) -> None:
        remedy = f"; {READER_NEEDED}" if isinstance(fault, Forbidden) else ""
        self._say(f"{_PLACE} cannot be read: {fault.message}{remedy}")

    def _say(self, problem: str) -> None:
        """Once, until it is another one or there is none."""
        if problem == self._said:
            return
        self._said = problem
        rest = "what was read before counts" if self._config is not None else "nobody is let in until it can be"
        log.error(f"{problem}; {rest}", action="follow_trust")
