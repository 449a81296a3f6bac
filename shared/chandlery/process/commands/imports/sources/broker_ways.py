"""The way to a service broker for a command that asks it without changing anything: GET requests, and no others.

Called by `broker_comparison.py`, and by `chandlery reconcile`.
"""

import asyncio
from collections.abc import Awaitable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from chandlery.lookup.broker_access import find_endpoint
from chandlery.model.objects.brokers import AnyBroker, auth_secrets
from chandlery.model.objects.core import Namespace, Secret
from chandlery.model.objects.wire import JsonObject
from chandlery.osb.client import OsbClient
from chandlery.osb.endpoint import BrokerEndpoint
from chandlery.process.commands.imports.import_entries import Place
from chandlery.process.commands.imports.sources.homes import Home
from chandlery.reconcile.answers import Verdict, call_failure
from chandlery.reconcile.offering import Unresolved
from chandlery.reconcile.reconcile_result import DeleteSecret
from chandlery.store.database import Database

CALLS: Final = 4
"""To one broker at the same time."""
NOT_THERE: Final = (404, 410)
"""What a broker answers of something that it does not have."""


class View:
    """The platform as far as the way to one broker needs it; read before, for it is asked in a transaction."""

    def __init__(self, home: Namespace | None, secrets: Mapping[Place, Secret]) -> None:
        self._home = home
        self._secrets = secrets

    async def namespace(self, name: str) -> Namespace | None:
        """See PlatformView."""
        return self._home if self._home and self._home.metadata.name == name else None

    async def read_secret(self, namespace: str, name: str) -> Secret | None:
        """See PlatformView."""
        return self._secrets.get((namespace, name))

    async def withdraw(self, secret: DeleteSecret) -> None:
        """See PlatformView; nothing is deleted here."""
        raise LookupError(f"a check deletes nothing, and so not {secret.namespace}/{secret.name}")


@dataclass(frozen=True, kw_only=True)
class OpenBroker:
    """A broker that has handed out its catalog."""

    endpoint: BrokerEndpoint
    services: dict[str, JsonObject]
    """By their ids."""


async def open_broker(
    database: Database, home: Home, osb: OsbClient, broker: AnyBroker, *, timeout_seconds: float
) -> OpenBroker | str:
    """Fetch its catalog; or a sentence that says why that is not possible."""
    namespace = broker.metadata.namespace
    secrets = await home.secrets([place for _, place in auth_secrets(broker)])
    view = View(await home.namespace(namespace) if namespace else None, secrets)
    endpoint = await database.run(lambda unit: find_endpoint(unit, view, broker, timeout_seconds=timeout_seconds))
    if isinstance(endpoint, Unresolved):
        return endpoint.message
    answer = await osb.get_catalog(endpoint, known=None)
    if answer.verdict != Verdict.SUCCEEDED:
        return call_failure("fetch of the catalog", answer)
    return OpenBroker(endpoint=endpoint, services=by_id(answer.body.get("services")))


def by_id(listed: Any) -> dict[str, JsonObject]:
    """Services, or plans, of a catalog; what has no id is left out."""
    found = listed if isinstance(listed, list) else []
    return {each["id"]: each for each in found if isinstance(each, dict) and isinstance(each.get("id"), str)}


async def some_at_a_time(work: Iterable[Awaitable[None]], *, most: int) -> None:
    """All of it, at most so many beside each other."""
    running = set[asyncio.Task[None]]()
    for each in work:
        running.add(asyncio.ensure_future(_awaited(each)))
        if len(running) >= most:
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
    await asyncio.gather(*running)


async def _awaited(work: Awaitable[None]) -> None:
    await work
