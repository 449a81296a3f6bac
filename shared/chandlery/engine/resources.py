"""The adapters of one process, wired once by its `main`, handed to everybody who needs one."""

import asyncio
import os
import socket
import uuid
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from chandlery.engine.circuits.circuit_breakers import CircuitBreakers
from chandlery.engine.readiness import Readiness
from chandlery.engine.relay import Relay
from chandlery.engine.requeue_timers import RequeueTimers
from chandlery.messaging.bus import Bus
from chandlery.osb.client import OsbClient
from chandlery.osb.signing.context_signer import ContextSigner
from chandlery.platform.protocol import NamespaceGate, Platform
from chandlery.settings.settings import Settings
from chandlery.store.database import Database, UnitOfWork
from chandlery.telemetry.metrics import NO_METRICS, Metrics
from chandlery.telemetry.tracing.tracing import IDS_ONLY, Tracing

if TYPE_CHECKING:
    # Standalone, its module is not loaded.
    from chandlery.platform.kubernetes.cluster_client import ClusterClient


async def _nothing_to_keep() -> None:
    """For tests, whose data keys are made when they are needed."""
    await asyncio.get_running_loop().create_future()


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What a service works with."""

    settings: Settings
    database: Database
    bus: Bus
    relay: Relay
    platform: Platform[UnitOfWork]
    osb: OsbClient
    cluster: "ClusterClient | None" = None
    """The cluster that the platform is, unless it is standalone."""
    namespaces: NamespaceGate | None = None
    """Those of the cluster; without it they are stored like other objects."""
    cluster_id: str
    owner: str
    """Names this process in leases and connections."""
    circuits: CircuitBreakers = field(default_factory=CircuitBreakers)
    """The circuits of service brokers, as this process sees them."""
    requeue_timers: RequeueTimers = field(default_factory=RequeueTimers)
    """Of what this process has put off for a short while."""
    keep_data_keys: Callable[[], Coroutine[Any, Any, None]] = _nothing_to_keep
    """Runs for ever beside the services; see `data_key_keeping`."""
    metrics: Metrics = NO_METRICS
    """Where everything in this process counts."""
    tracing: Tracing = IDS_ONLY
    """With what everything in this process traces."""
    readiness: Readiness = field(default_factory=Readiness)
    """What has to work before `/readyz` says so."""
    hurry: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when what is unfinished is to be given back now; see `ending`."""
    under_way: dict[str, str] = field(default_factory=dict)
    """What is in hand, in words, by uid."""
    context_signer: ContextSigner = field(default_factory=ContextSigner)
    """Signs the contexts of requests to brokers that want it."""
    addresses: list[str] = field(default_factory=list)
    """Where clients reach the services in this process, as URLs."""
    in_hand: dict[str, float] = field(default_factory=dict)
    """Objects that this process works on now, by uid, and the monotonic second at which each lease runs out."""


def process_name(service: str) -> str:
    """`provisioner/host/pid/random`: unique even when a container starts again under the same pid."""
    return f"{service}/{socket.gethostname()}/{os.getpid()}/{uuid.uuid4().hex[:8]}"
