"""Follows the Secrets of a cluster by their metadata: what was changed or deleted is mended, what was missing is found.

Comes in: what the cluster says of its Secrets; which of them objects wait for.
Goes out: wake-ups, by `secret_waker`.
Called by: the binder of the platform `kubernetes`. One process at a time, by a lease in the database.

With the right to all Secrets' metadata there is one watch. Usually there is none, for rights are given by namespaces:
then each namespace with something that is waited for has a watch of its own, up to a bound, and the others are listed
in turns: 9,000 of them within a quarter of an hour.
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import aclosing, suppress
from datetime import timedelta
from typing import Final

import structlog

from chandlery.engine.following.secret_part import SecretPart
from chandlery.engine.following.secret_waker import KEY_PREFIX, SecretWaker
from chandlery.model.faults import Fault, Forbidden
from chandlery.platform.kubernetes.cluster_client import ClusterClient
from chandlery.platform.kubernetes.cluster_reflector import ClusterReflector
from chandlery.store.database import Database

log = structlog.get_logger(__name__)

_LEASE: Final = "secrets of the cluster"
_LEASE_SECONDS: Final = 30.0
_MOST_WATCHES: Final = 48
_MOST_NAMESPACES: Final = 20_000
_ALL_TURNS_SECONDS: Final = 900.0
_SHORTEST_TURN_SECONDS: Final = 0.1
"""So that all have had their turn within a quarter of an hour, as long as that is no burden to the cluster."""
_LINGER_SECONDS: Final = 300.0
"""So long a namespace is followed after its last object has waited: while one is in hand, it waits for nothing."""
_DENIALS: Final = 3
"""So many looks in a row say that a right is gone: a kube-apiserver that has just begun knows of no rights at first."""
_REVIEWS: Final = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


class SecretWatch:
    """One of these in each binder; the holder of the lease is at work."""

    def __init__(
        self,
        database: Database,
        client: ClusterClient,
        *,
        owner: str,
        look_every_seconds: float = 10.0,
        turn_seconds: float = 2.0,
        most_watches: int = _MOST_WATCHES,
    ) -> None:
        """`look_every_seconds` renews the lease and looks for namespaces; a turn lists one of those without a watch."""
        self._database = database
        self._client = client
        self._owner = owner
        self._look_every_seconds = look_every_seconds
        self._turn_seconds = turn_seconds
        self._most_watches = most_watches
        self._waker = SecretWaker(database)
        self._following: dict[str, asyncio.Task[None]] = {}
        self._parts: dict[str, SecretPart] = {}
        self._in_turns: list[str] = []
        self._wanted_at: dict[str, float] = {}
        self._sees_all: bool | None = None
        self._denials = 0

    async def run(self) -> None:
        """Hold the lease if nobody else does, and follow; for ever, ends by cancellation."""
        try:
            while True:
                if await self._holds():
                    await self._lead()
                await asyncio.sleep(self._look_every_seconds)
        finally:
            with suppress(Fault):
                # So that the next process need not wait until the lease runs out.
                await asyncio.shield(self._database.run(lambda unit: unit.leases.give_back(_LEASE, owner=self._owner)))

    async def _lead(self) -> None:
        """Follow for as long as the lease is ours."""
        helpers: list[asyncio.Task[None]] = []
        try:
            await self._waker.recall()
            helpers = [asyncio.create_task(self._waker.run()), asyncio.create_task(self._take_turns())]
            until = time.monotonic() + _LEASE_SECONDS
            while time.monotonic() < until:
                with suppress(Fault):
                    await self._arrange()
                await asyncio.sleep(self._look_every_seconds)
                for helper in helpers:
                    if helper.done():
                        # None of them ever ends but by a mistake of ours: all is begun anew.
                        helper.result()
                begun = time.monotonic()
                held = await self._holds()
                if held is False:
                    return
                # Of a database that is away nobody else gets the lease either; it lasts as long as it was given.
                until = begun + _LEASE_SECONDS if held else until
        except Fault as fault:
            log.warning(f"the Secrets of the cluster are not followed: {fault.message}", action="follow_cluster")
        except Exception as error:  # noqa: BLE001 - whoever looks no more would leave all that is changed as it is
            # Texts of exceptions can quote data.
            log.error(  # noqa: TRY400
                f"the Secrets of the cluster are not followed: {type(error).__name__}", action="follow_cluster"
            )
        finally:
            tasks = [*helpers, *self._following.values()]
            self._following, self._parts, self._in_turns = {}, {}, []
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _holds(self) -> bool | None:
        """Whether the lease is ours; None if nobody knows."""
        duration = timedelta(seconds=_LEASE_SECONDS)
        try:
            return await self._database.run(
                lambda unit: unit.leases.acquire(_LEASE, owner=self._owner, duration=duration)
            )
        except Fault:
            return None

    async def _arrange(self) -> None:
        """Have watches for what is to be followed now, and for nothing else."""
        wanted = await self._wanted()
        # Those that have a watch keep it.
        watched = [each for each in wanted if each in self._following]
        others = [each for each in wanted if each not in self._following]
        watched += others[: max(0, self._most_watches - len(watched))]
        self._in_turns = [each for each in wanted if each not in set(watched)]
        for needless in set(self._following) - set(watched):
            self._following.pop(needless).cancel()
        for namespace in set(self._parts) - set(wanted):
            self._parts.pop(namespace).forget()
        for namespace in watched:
            if namespace not in self._following or self._following[namespace].done():
                self._following[namespace] = asyncio.create_task(self._follow(self._part(namespace)))

    async def _wanted(self) -> Sequence[str]:
        """The parts that are to be followed."""
        if await self._may_see_all():
            return [""]
        found = await self._database.run(
            lambda unit: unit.inspection.waited_keys.namespaces(KEY_PREFIX, limit=_MOST_NAMESPACES)
        )
        now = time.monotonic()
        lingering = {each: at for each, at in self._wanted_at.items() if now - at < _LINGER_SECONDS}
        self._wanted_at = {**lingering, **dict.fromkeys(found, now)}
        return list(self._wanted_at)[-_MOST_NAMESPACES:]

    def _part(self, namespace: str) -> SecretPart:
        part = self._parts.get(namespace)
        if part is None:
            part = self._parts[namespace] = SecretPart(namespace, self._waker, self._database)
        return part

    def _reflector(self, part: SecretPart) -> ClusterReflector:
        where = f"the namespace {part.namespace}" if part.namespace else "the cluster"
        # A namespace that has not opted in is nothing unusual; whoever waits there says so.
        return ClusterReflector(self._client, part.path, what=f"the Secrets of {where}", is_told=not part.namespace)

    async def _follow(self, part: SecretPart) -> None:
        try:
            async with aclosing(self._reflector(part).follow(part.version)) as following:
                await part.learn(following)
        except Fault as fault:
            # Of the database, then. It is begun anew with the next look.
            log.warning(f"news of Secrets could not be told: {fault.message}", action="follow_cluster")
        except Exception as error:  # noqa: BLE001 - begun anew, too
            log.error(f"news of Secrets could not be told: {type(error).__name__}", action="follow_cluster")  # noqa: TRY400

    async def _take_turns(self) -> None:
        """List one after the other those namespaces for which there is no watch."""
        place = 0
        while True:
            await asyncio.sleep(turn_pause(self._turn_seconds, len(self._in_turns)))
            if not self._in_turns:
                continue
            place = (place + 1) % len(self._in_turns)
            part = self._part(self._in_turns[place])
            try:
                async with aclosing(self._reflector(part).list()) as listing:
                    await part.learn(listing)
            except Forbidden:
                part.forget()
            except Fault as fault:
                log.debug(f"{part.path} could not be listed: {fault.message}", action="follow_cluster")

    async def _may_see_all(self) -> bool:
        """Whether we have the right to list and watch all Secrets; asked each time, since rights come and go."""
        allowed = True
        for verb in ("list", "watch"):
            attributes = {"verb": verb, "resource": "secrets"}
            review = {
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SelfSubjectAccessReview",
                "spec": {"resourceAttributes": attributes},
            }
            answer = await self._client.create(_REVIEWS, review)
            allowed = allowed and bool((answer.get("status") or {}).get("allowed"))
        self._denials = 0 if allowed else self._denials + 1
        if self._sees_all and not allowed and self._denials < _DENIALS:
            return True
        self._sees_all = allowed
        return allowed


def turn_pause(usual: float, number: int) -> float:
    """Seconds until the next of so many namespaces is listed; `usual` where there are few. Pure."""
    return min(usual, max(_SHORTEST_TURN_SECONDS, _ALL_TURNS_SECONDS / max(number, 1)))
