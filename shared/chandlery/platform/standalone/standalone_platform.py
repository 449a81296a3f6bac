"""The platform protocol over our own database: the gateway serves what is written here as core resources."""

import hashlib
import uuid
from functools import partial
from typing import Final

from opentelemetry.trace import get_current_span

from chandlery.model.objects import kinds
from chandlery.model.objects.annotations import TRACE_ID
from chandlery.model.objects.core import Event, EventSource, InvolvedObject, Namespace, RecordedFact, Secret
from chandlery.model.objects.kinds import AnyObject
from chandlery.model.objects.metadata import ObjectMeta
from chandlery.platform.protocol import SecretNotOwned
from chandlery.reconcile.reconcile_result import DeleteSecret, PlatformWrite, RecordEvent, WriteSecret, secret_key
from chandlery.store.audit.credential_trail import DELIVER, WITHDRAW, secret_entry
from chandlery.store.database import UnitOfWork
from chandlery.telemetry.current_trace import current_trace_id
from chandlery.telemetry.tracing.spans import note

COMPONENT = "service-catalog-controller-manager"
"""The reference's name for whoever records events."""


class StandaloneSession:
    """Secrets, namespaces and events in the tables of one transaction."""

    def __init__(self, unit: UnitOfWork) -> None:
        self._unit = unit

    async def namespace(self, name: str) -> Namespace | None:
        """See PlatformView."""
        found = await self._unit.objects.get_cached(kinds.NAMESPACE, "", name)
        return found if isinstance(found, Namespace) else None

    async def read_secret(self, namespace: str, name: str) -> Secret | None:
        """See PlatformView."""
        found = await self._unit.objects.get_cached(kinds.SECRET, namespace, name)
        return found if isinstance(found, Secret) else None

    async def withdraw(self, secret: DeleteSecret) -> None:
        """See PlatformView."""
        existing = await self.read_secret(secret.namespace, secret.name)
        if existing is not None and _controller(existing) == secret.owner_uid:
            self._unit.is_known_to(secret.owner_uid, secret_key(secret.namespace, secret.name))
            await self._unit.objects.remove_later(existing)
            self._unit.audit.note(secret_entry(existing, WITHDRAW))

    async def carry_out(self, write: PlatformWrite) -> None:
        """See PlatformSession."""
        match write:
            case WriteSecret():
                await self._write(write.secret)
            case DeleteSecret():
                await self.withdraw(write)
            case RecordEvent():
                self._record(write.about, write.fact)

    async def _write(self, secret: Secret) -> None:
        unit, meta = self._unit, secret.metadata
        existing = await self.read_secret(meta.namespace or "", meta.name)
        # Whoever else waits for the Secret is woken by its being written.
        unit.is_known_to(_controller(secret) or "", secret_key(meta.namespace, meta.name))
        if existing is None:
            metadata = meta.model_copy(update={"uid": str(uuid.uuid4()), "creation_timestamp": unit.now})
            written = secret.model_copy(update={"metadata": metadata})
            await unit.objects.insert_later(written)
        elif _controller(existing) is None or _controller(existing) != _controller(secret):
            raise SecretNotOwned(f'Secret "{meta.namespace}/{meta.name}" exists and is not owned by this binding')
        else:
            written = existing.model_copy(update={"data": secret.data})
            await unit.objects.update_later(existing, written)
        unit.audit.note(secret_entry(written, DELIVER))
        if get_current_span().is_recording():
            unit.after_commit(partial(note, "Secret delivered", secret=f"{meta.namespace}/{meta.name}"))

    def _record(self, about: AnyObject, fact: RecordedFact) -> None:
        meta, now = about.metadata, self._unit.now
        # Events about cluster-scoped objects live in `default`, as in Kubernetes.
        namespace, trace_id = meta.namespace or "default", current_trace_id()
        event = Event(
            metadata=ObjectMeta(
                # Equal events have equal names: the second is counted at the first.
                name=f"{meta.name}.{_fingerprint(meta.uid or '', fact)}",
                namespace=namespace,
                uid=str(uuid.uuid4()),
                creation_timestamp=now,
                # Of the last time: that is what is still to be found.
                annotations={TRACE_ID: trace_id} if trace_id else None,
            ),
            involved_object=InvolvedObject(
                api_version=about.api_version,
                kind=about.kind,
                namespace=meta.namespace,
                name=meta.name,
                uid=meta.uid,
                resource_version=meta.resource_version,
            ),
            reason=fact.reason,
            message=fact.message,
            source=EventSource(component=COMPONENT),
            first_timestamp=now,
            last_timestamp=now,
            type="Warning" if fact.is_warning else "Normal",
        )
        self._unit.events.record(event)


class StandalonePlatform:
    """Joins every transaction; there is nothing outside of one."""

    joins_transactions: Final = True

    def session(self, unit: UnitOfWork | None) -> StandaloneSession:
        """See Platform."""
        if unit is None:
            raise LookupError("the standalone platform is its database: it is reached within a transaction only")
        return StandaloneSession(unit)


def _fingerprint(uid: str, fact: RecordedFact) -> str:
    parts = (uid, fact.reason, fact.message, "Warning" if fact.is_warning else "Normal")
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=8).hexdigest()


def _controller(secret: Secret) -> str | None:
    owners = secret.metadata.owner_references or []
    return next((owner.uid for owner in owners if owner.controller), None)
