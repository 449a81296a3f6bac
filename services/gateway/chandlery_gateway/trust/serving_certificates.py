"""The certificate that gateways make, share and renew by themselves, in a Secret of the cluster.

Comes in: the Secret, and our APIServices. Goes out: what the listener shows. Called by: `cluster_trust`. Whoever comes
first makes it; each write carries the version that was read, so that of several gateways one is heard, and the others
look again. What is decided, and in which order, is in `certificate_plan`.

Rights: in our namespace `get`, `watch` and `update` of this Secret (and `create`, unless an empty one is there); of our
APIServices `get` and `patch`.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final, Protocol

import structlog

from chandlery.model.faults import AlreadyExists, ConfigurationFault, Conflict, Fault, Forbidden, NotFound
from chandlery.model.objects.wire import JsonObject
from chandlery.process.http.listener_tls import MadeTls
from chandlery_gateway.identity.kubernetes.followed_object import Reads, follow_object
from chandlery_gateway.trust.ca_bundles import API_SERVICES, CaBundles, KnownBundle, Patches
from chandlery_gateway.trust.certificate_plan import Facts, Step, carried_out, plan
from chandlery_gateway.trust.stored_certificates import StoredCertificate, read_stored, secret_data

_EVERY_SECONDS: Final = 60.0
_PAUSE_SECONDS: Final = 1.0
_LONGEST_PAUSE: Final = 30.0
_MOST_STEPS: Final = 10
"""In one look: after that somebody else writes as often as we do."""

log = structlog.get_logger(__name__)


class KeepsCertificates(Reads, Patches, Protocol):
    """What this needs of the cluster's client."""

    async def create(self, path: str, body: JsonObject, /, **query: str) -> JsonObject:
        """See the client."""

    async def replace(self, path: str, body: JsonObject, /, **query: str) -> JsonObject:
        """See the client."""


def service_names(service: str, namespace: str) -> tuple[str, ...]:
    """What the gateway is called by, the aggregator's name for it first."""
    outer = (f"{service}.{namespace}.svc", f"{service}.{namespace}.svc.cluster.local", f"{service}.{namespace}")
    # By the last one whoever forwards a port (`kubectl port-forward`).
    return (*outer, service, "localhost")


def _now() -> datetime:
    return datetime.now(UTC)


class ServingCertificates:
    """Those of one installation, as one of its gateways keeps them."""

    def __init__(
        self,
        cluster: KeepsCertificates,
        *,
        secret: str,
        service: str,
        namespace: str,
        now: Callable[[], datetime] = _now,
    ) -> None:
        self._cluster = cluster
        self._secret = secret
        self._collection = f"/api/v1/namespaces/{namespace}/secrets"
        self._namespace = namespace
        self._names = service_names(service, namespace)
        self._bundles = CaBundles(cluster, service=service, namespace=namespace)
        self._now = now
        self._tls: MadeTls | None = None
        self._shown: StoredCertificate | None = None
        self._look = asyncio.Event()
        self._said = ""

    async def begin(self) -> MadeTls:
        """Wait until there is a certificate, and give what shows it. The log tells what is missing."""
        pause = _PAUSE_SECONDS
        while True:
            await self._try()
            if self._tls is not None:
                return self._tls
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def follow(self) -> None:
        """Renew it in time, and show what others have renewed; ends by cancellation."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep())
            group.create_task(
                follow_object(
                    self._cluster,
                    self._collection,
                    self._secret,
                    seen=lambda _: self._look.set(),
                    failed=lambda fault: self._say(self._problem(fault)),
                )
            )

    async def keep_once(self) -> None:
        """Look what there is, do what is due, and show it.

        Raises:
            Conflict, Forbidden, Unavailable, ConfigurationFault: it could not be done, or not all of it.
        """
        known, unread = await self._known()
        stored = await self._kept(known)
        fault = unread
        if known is not None:
            try:
                await self._bundles.put(stored.bundle_text, known)
            except Fault as unwritten:
                fault = unwritten
        # Only then, for kube-apiserver would not believe it before; but something has to be shown.
        if fault is None or self._shown is None or self._shown.ends_at <= self._now():
            self._show(stored)
        if fault is not None:
            raise fault

    async def _kept(self, known: Sequence[KnownBundle] | None) -> StoredCertificate:
        # What is not known to say it counts as not saying it.
        authorities = [frozenset[str]()] if known is None else [each.authorities for each in known]
        for _ in range(_MOST_STEPS):
            secret = await self._read()
            stored = read_stored(secret or {})
            facts = Facts(stored=stored, names=self._names, known=authorities, now=self._now())
            step = plan(facts)
            if step is Step.KEEP and stored is not None:
                return stored
            with contextlib.suppress(AlreadyExists, Conflict):
                await self._write(step, carried_out(step, facts), secret)
        raise Conflict(f"Secret {self._namespace}/{self._secret} is changed by others again and again")

    async def _known(self) -> tuple[Sequence[KnownBundle] | None, Fault | None]:
        try:
            return await self._bundles.read(), None
        except Fault as fault:
            return None, fault

    async def _read(self) -> JsonObject | None:
        try:
            return await self._cluster.get(f"{self._collection}/{self._secret}")
        except NotFound:
            return None

    async def _write(self, step: Step, made: StoredCertificate, secret: JsonObject | None) -> None:
        """Raises Conflict, AlreadyExists: another gateway was first."""
        data = secret_data(made)
        if secret is None:
            metadata = {"name": self._secret, "labels": {"app.kubernetes.io/managed-by": "chandlery"}}
            body: JsonObject = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata}
            await self._cluster.create(self._collection, {**body, "type": "kubernetes.io/tls", "data": data})
        else:
            # With the version in it: whoever has written since is not written over.
            body = {"apiVersion": "v1", "kind": "Secret", **secret, "data": {**(secret.get("data") or {}), **data}}
            await self._cluster.replace(f"{self._collection}/{self._secret}", body)
        log.info(f"Secret {self._namespace}/{self._secret}: {step.value}", action="keep_certificate")

    def _show(self, stored: StoredCertificate) -> None:
        if self._shown is not None and self._shown.leaf == stored.leaf:
            return
        chain, key = stored.leaf.certificate, stored.leaf.key
        if self._tls is None:
            self._tls = MadeTls(chain, key)
        else:
            self._tls.show(chain, key)
        self._shown = stored
        log.info(f"the gateway shows a certificate that ends on {stored.ends_at:%Y-%m-%d}", action="keep_certificate")

    async def _keep(self) -> None:
        pause = _EVERY_SECONDS
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._look.wait()
            self._look.clear()
            # kube-apiserver writes what it finds of an APIService at its own time, and one of us two is refused.
            is_done = await self._try()
            pause = _EVERY_SECONDS if is_done else _after_failure(pause)
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _try(self) -> bool:
        """Whether all that was due has been done; the log tells what has not."""
        try:
            await self.keep_once()
        except Fault as fault:
            self._say(self._problem(fault))
        except ValueError:
            self._say(f"Secret {self._namespace}/{self._secret} holds what no certificate can be made with")
        else:
            self._said = ""
            return True
        return False

    def _problem(self, fault: Fault) -> str:
        if isinstance(fault, ConfigurationFault):
            return fault.message
        problem = f"the certificate in Secret {self._namespace}/{self._secret} cannot be kept: {fault.message}"
        if not isinstance(fault, Forbidden):
            return problem
        return (
            f"{problem}; the gateway's service account needs get, watch and update of this Secret, which may be empty "
            f"(`kubectl create secret generic {self._secret} --namespace {self._namespace}`), and get and patch of the "
            f"APIServices {', '.join(API_SERVICES)}"
        )

    def _say(self, problem: str) -> None:
        """Once, until it is another one or there is none."""
        if problem != self._said:
            self._said = problem
            log.error(problem, action="keep_certificate")


def _after_failure(pause: float) -> float:
    """Soon, and later with each that follows, up to half of what is usual."""
    return _PAUSE_SECONDS if pause >= _EVERY_SECONDS else min(2 * pause, _EVERY_SECONDS / 2)
