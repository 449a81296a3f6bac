"""A platform that joins no transaction and may take its time: what a cluster will be, in memory.

A test can have it stand still at one call, before it has done what it is asked or after; a worker that dies there
never hears of it.
"""

import asyncio
import base64
import uuid
from dataclasses import dataclass, field
from typing import Final, Literal

from chandlery.model.faults import Forbidden
from chandlery.model.objects.core import Namespace, Secret
from chandlery.model.objects.metadata import ObjectMeta
from chandlery.platform.protocol import SecretNotOwned
from chandlery.reconcile.reconcile_result import DeleteSecret, PlatformWrite, RecordEvent, WriteSecret
from chandlery.store.database import UnitOfWork
from tests.integration.workers.fleet import NS, is_in_transaction
from tests.support.waiting import SOON

Moment = Literal["before", "after"]


@dataclass
class Halt:
    """The next call of that name stands still."""

    call: str
    moment: Moment
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)


class DistantPlatform:
    """One for all processes of a test."""

    joins_transactions: Final = False

    def __init__(self) -> None:
        self.seconds = 0.0
        """What each call takes."""
        self.secrets: dict[tuple[str, str], Secret] = {}
        self.calls: list[str] = []
        self.within_transactions: list[str] = []
        """Calls that were made while a transaction of the caller's was open: never."""
        self.events: list[str] = []
        self.closed: set[str] = set()
        """Secrets that may not be read."""
        self._namespaces = {NS: Namespace(metadata=ObjectMeta(name=NS, uid="uid-of-the-namespace"))}
        self._halts: list[Halt] = []

    def session(self, unit: UnitOfWork | None) -> "DistantPlatform":
        assert unit is None, "it is no part of any transaction"
        return self

    def halt(self, call: str, moment: Moment) -> Halt:
        """Have the next call of that name stand still; `kind name`, as in `calls`."""
        made = Halt(call, moment)
        self._halts.append(made)
        return made

    async def namespace(self, name: str) -> Namespace | None:
        await self._begin(f"namespace {name}")
        found = self._namespaces.get(name)
        await self._end(f"namespace {name}")
        return found

    async def read_secret(self, namespace: str, name: str) -> Secret | None:
        await self._begin(f"read {name}")
        if name in self.closed:
            raise Forbidden(f'the Secret "{namespace}/{name}" may not be read: the namespace has not opted in')
        found = self.secrets.get((namespace, name))
        await self._end(f"read {name}")
        return found

    async def withdraw(self, secret: DeleteSecret) -> None:
        await self._begin(f"withdraw {secret.name}")
        found = self.secrets.get((secret.namespace, secret.name))
        if found is not None and _controller(found) == secret.owner_uid:
            del self.secrets[secret.namespace, secret.name]
        await self._end(f"withdraw {secret.name}")

    async def carry_out(self, write: PlatformWrite) -> None:
        match write:
            case WriteSecret():
                await self._write(write.secret)
            case DeleteSecret():
                await self.withdraw(write)
            case RecordEvent():
                await self._begin(f"event {write.fact.reason}")
                self.events.append(write.fact.reason)
                await self._end(f"event {write.fact.reason}")

    def put(self, name: str, owner: str | None = None, **values: str) -> None:
        """What a user does who creates the Secret, or changes it."""
        data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
        self.secrets[NS, name] = Secret(metadata=ObjectMeta(name=name, namespace=NS, uid=owner), data=data)

    def values(self, name: str) -> dict[str, str] | None:
        """The decoded Secret."""
        found = self.secrets.get((NS, name))
        return None if found is None else {k: base64.b64decode(v).decode() for k, v in (found.data or {}).items()}

    async def _write(self, secret: Secret) -> None:
        meta = secret.metadata
        place = (meta.namespace or "", meta.name)
        await self._begin(f"write {meta.name}")
        existing = self.secrets.get(place)
        if existing is not None and (_controller(existing) is None or _controller(existing) != _controller(secret)):
            raise SecretNotOwned(f'Secret "{meta.namespace}/{meta.name}" exists and is not owned by this binding')
        uid = existing.metadata.uid if existing else str(uuid.uuid4())
        self.secrets[place] = secret.model_copy(update={"metadata": meta.model_copy(update={"uid": uid})})
        await self._end(f"write {meta.name}")

    async def _begin(self, call: str) -> None:
        self.calls.append(call)
        if is_in_transaction():
            self.within_transactions.append(call)
        await asyncio.sleep(self.seconds)
        await self._stand_still(call, "before")

    async def _end(self, call: str) -> None:
        await self._stand_still(call, "after")

    async def _stand_still(self, call: str, moment: Moment) -> None:
        halt = next((each for each in self._halts if (each.call, each.moment) == (call, moment)), None)
        if halt is None:
            return
        self._halts.remove(halt)
        halt.reached.set()
        async with asyncio.timeout(SOON):
            await halt.over.wait()


def _controller(secret: Secret) -> str | None:
    owners = secret.metadata.owner_references or []
    return next((owner.uid for owner in owners if owner.controller), None)
