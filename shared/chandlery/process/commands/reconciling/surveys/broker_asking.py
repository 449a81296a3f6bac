"""Asks service brokers, by GET requests alone, at the pace that they want. Called by `survey.py`.

At most four calls to one broker at the same time, within its rate limit, which is shared with running workers; one
that fails ten times in a row is left alone.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Any, Final

from chandlery.lookup.broker_access import policy_for
from chandlery.model.objects.brokers import AnyBroker
from chandlery.osb.client import OsbClient
from chandlery.osb.operations.binding_calls import GetBindingRequest
from chandlery.osb.operations.instance_calls import GetInstanceRequest
from chandlery.process.commands.imports.sources.broker_ways import CALLS, NOT_THERE, OpenBroker, open_broker
from chandlery.process.commands.imports.sources.homes import Home
from chandlery.process.commands.reconciling.surveys.external_things import Thing
from chandlery.reconcile.answers import Answer, Verdict, call_failure
from chandlery.retry.rate_limit import CallRate
from chandlery.settings.settings import Settings
from chandlery.store.database import Database

_MOST_FAILURES: Final = 10
_TOLD: Final[tuple[str, ...]] = ("plan_id", "parameters", "dashboard_url")


@dataclass
class _Asked:
    """A service broker that has handed out its catalog, or has not."""

    lane: str
    opened: OpenBroker | None = None
    rate: CallRate | None = None
    problem: str = ""
    failures: int = 0
    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(CALLS))


@dataclass(frozen=True, kw_only=True)
class Heard:
    """What a broker says of one thing."""

    is_there: bool | None = None
    """None if it does not let anybody ask, or could not be asked."""
    problem: str = ""
    told: dict[str, Any] = field(default_factory=dict, repr=False)


class BrokerAsking:
    """Asks the brokers of one survey."""

    def __init__(self, database: Database, osb: OsbClient, home: Home, settings: Settings) -> None:
        self._database = database
        self._osb = osb
        self._home = home
        self._settings = settings
        self._asked: dict[str, _Asked] = {}

    async def open(self, lane: str, broker: AnyBroker) -> str:
        """Fetch the broker's catalog; returns why that is not possible."""
        asked = self._asked[lane] = _Asked(lane=lane, rate=policy_for(broker, self._settings).rate)
        seconds = self._settings.osb_timeout_seconds
        opened = await open_broker(self._database, self._home, self._osb, broker, timeout_seconds=seconds)
        if isinstance(opened, str):
            asked.problem = opened
        else:
            asked.opened = opened
        return asked.problem

    def may_ask(self, thing: Thing) -> bool:
        """Whether the broker's catalog says that things like this one can be fetched."""
        asked = self._asked.get(thing.key.lane)
        service = asked.opened.services.get(thing.service_id) if asked and asked.opened else None
        field_name = "bindings_retrievable" if thing.key.binding_id else "instances_retrievable"
        return service is not None and service.get(field_name) is True

    async def ask(self, thing: Thing) -> Heard:
        """What the broker says."""
        asked = self._asked.get(thing.key.lane)
        if asked is None or asked.opened is None or asked.problem:
            return Heard(problem=asked.problem if asked else "its service broker is not here")
        if not self.may_ask(thing):
            return Heard()
        async with asked.turns:
            if asked.problem:
                return Heard(problem=asked.problem)
            await self._await_turn(asked)
            answer = await self._osb.send(asked.opened.endpoint, _request(thing), identity=None)
        return _heard(asked, answer)

    async def _await_turn(self, asked: _Asked) -> None:
        rate = asked.rate
        if rate is None:
            return
        while True:
            turn = await self._database.run(lambda unit: unit.rate_limits.take_turn(asked.lane, rate))
            pause = (turn.at - self._database.clock()).total_seconds()
            if pause > 0:
                await asyncio.sleep(pause)
            if turn.is_kept or pause <= 0:
                return


def _request(thing: Thing) -> GetInstanceRequest | GetBindingRequest:
    key = thing.key
    offered = {"service_id": thing.service_id, "plan_id": thing.plan_id}
    if key.binding_id:
        return GetBindingRequest(instance_id=key.instance_id, binding_id=key.binding_id, **offered)
    return GetInstanceRequest(instance_id=key.instance_id, **offered)


def _heard(asked: _Asked, answer: Answer) -> Heard:
    if answer.verdict == Verdict.SUCCEEDED:
        asked.failures = 0
        told = {name: answer.body[name] for name in _TOLD if name in answer.body}
        return Heard(is_there=True, told=told)
    if answer.status in NOT_THERE:
        asked.failures = 0
        return Heard(is_there=False)
    problem = call_failure("question to the broker", answer)
    asked.failures += 1
    if asked.failures >= _MOST_FAILURES:
        asked.problem = f"it is left alone, because {_MOST_FAILURES} calls in a row failed: {problem}"
    return Heard(problem=problem)
