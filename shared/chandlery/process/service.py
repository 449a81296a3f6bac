"""What a service is to the process that runs it."""

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Protocol

from chandlery.engine.resources import Resources
from chandlery.process.commands.doctor.check import Check
from chandlery.process.takeover import TakeoverRules
from chandlery.settings.settings import Settings
from chandlery.telemetry.tracing.trace_plan import PROPAGATORS


class Running(Protocol):
    """A service that has been started."""

    async def serve(self, stop: asyncio.Event, ready: Callable[[], None]) -> None:
        """Work until `stop` is set, then finish or give back what is in flight. Calls `ready` once it works."""


@dataclass(frozen=True)
class Service:
    """Announced under the entry point group `chandlery.services` by each service's `main.py`."""

    name: str
    summary: str
    build: Callable[[Resources], Running]
    check: Callable[[Settings], object] = lambda _settings: None
    """Raises ConfigurationFault for settings that this service cannot work with, before anything is waited for."""
    goes_on_without_bus: str = ""
    """What becomes of its work while RabbitMQ is away; a service that says nothing here is not ready then."""
    doctor_checks: Callable[[Settings], Sequence[Check]] = lambda _settings: ()
    """What `chandlery doctor` asks of settings and files that only this service reads."""
    takeover: Callable[[Settings], TakeoverRules] = lambda _settings: TakeoverRules()
    """What `chandlery import` asks about objects that another platform has looked after."""


ENTRY_POINTS = "chandlery.services"


def service_called(name: str) -> Service:
    """The service, which is imported now."""
    return _load(entry_points(group=ENTRY_POINTS)[name])


def every_service() -> Sequence[Service]:
    """All of them, imported now."""
    return [_load(entry) for entry in entry_points(group=ENTRY_POINTS)]


def _load(entry: EntryPoint) -> Service:
    # FastAPI imports OpenTelemetry's global propagator, which nobody here uses, and which takes a name that is not
    # installed for a reason to end the process.
    named = os.environ.pop(PROPAGATORS, None)
    try:
        service: Service = entry.load()
    finally:
        if named is not None:
            os.environ[PROPAGATORS] = named
    return service
