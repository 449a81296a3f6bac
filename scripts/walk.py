"""The way of one create request: which files it enters, in order, from the socket to the watch line that says Ready.

    make walk

Starts all services in this process (SQLite, the in-process bus) and a service broker beside it, then creates one
instance while every call of a function in `shared/` and `services/` is noted. A file is *entered* when a function in it
is called from another file, be it ours or a library's; a coroutine that goes on after a pause does not count again.
`docs/architecture.md` tells the same in words; `tests/e2e/test_walk_of_a_create.py` holds it against such a run.
"""

import asyncio
import inspect
import json
import secrets
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from importlib.metadata import entry_points
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Final

import aiohttp

from chandlery.process.choices.bus_choice import IN_PROCESS_BUS
from chandlery.process.commands.cli import SERVICES
from chandlery.process.logs.logs import configure_logs
from chandlery.process.process import run_services
from chandlery.process.service import ENTRY_POINTS
from chandlery.reconcile.egress.egress_rules import LOOPBACK as LOOPBACK_NETWORKS
from chandlery.settings.settings import Settings, load_settings
from chandlery.store.sealing.sealing import new_key
from machine.places import REPOSITORY
from machine.ports import LOOPBACK, free_ports

_OURS: Final = (f"{REPOSITORY}/shared/", f"{REPOSITORY}/services/")
_API: Final = "/apis/servicecatalog.k8s.io/v1beta1"
_INSTANCES: Final = f"{_API}/namespaces/default/serviceinstances"
_SOON: Final = 30.0
_MODULE: Final = "<module>"
_STORED: Final = "WatchHub.wake"
"""What the gateway calls after the commit."""
_SLOW_TICK: Final = 3600.0
"""Seconds between two looks of what runs beside the work: so rarely that none falls into the walk."""


@dataclass
class Walk:
    """What was entered, as paths from the repository's root."""

    entries: Counter[str] = field(default_factory=Counter)
    """How often each file was entered, in the order of the first time."""
    doors: dict[str, str] = field(default_factory=dict)
    """The function by which each was entered first."""
    bystanders: AbstractSet[asyncio.Task[Any]] = frozenset()
    """Who ran before, such as the watch that looks ten times a second: of the way only once something is stored."""

    @property
    def files(self) -> list[str]:
        """In the order of the first entry."""
        return list(self.entries)

    @property
    def returns(self) -> int:
        """How often the way came back to a file it had been to."""
        return sum(self.entries.values()) - len(self.entries)

    def note(self, frame: FrameType, event: str, _argument: object) -> None:
        """What `sys.setprofile` is given."""
        if event != "call":
            return
        code = frame.f_code
        if not code.co_filename.startswith(_OURS) or code.co_name == _MODULE or _goes_on(frame):
            return
        caller = frame.f_back
        if caller is not None and caller.f_code.co_filename == code.co_filename:
            return
        if code.co_qualname == _STORED:
            self.bystanders = frozenset()
        if self.bystanders and asyncio.current_task() in self.bystanders:
            return
        name = str(Path(code.co_filename).relative_to(REPOSITORY))
        self.entries[name] += 1
        self.doors.setdefault(name, code.co_qualname)


def _goes_on(frame: FrameType) -> bool:
    """Whether a coroutine or generator comes back from a pause: it has entered its file before."""
    code: CodeType = frame.f_code
    if not code.co_flags & (inspect.CO_COROUTINE | inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR):
        return False
    # The argument of RESUME tells a beginning (0) from a pause that has ended.
    return frame.f_lasti >= 0 and code.co_code[frame.f_lasti + 1] != 0


@contextmanager
def service_broker() -> Iterator[str]:
    """A service broker that answers at once, as a process of its own; yields its URL."""
    program = REPOSITORY / "tests" / "benchmarks" / "fast_broker.py"
    process = subprocess.Popen([sys.executable, str(program), "--port", "0"], stdout=subprocess.PIPE, text=True)
    try:
        # It says where it listens as soon as it does.
        said = process.stdout.readline() if process.stdout else ""
        if not said:
            raise SystemExit("the service broker has not started")
        yield said.split()[-1]
    finally:
        process.terminate()
        process.wait(10)


def settings_in(folder: Path) -> Settings:
    """All services on this machine alone, with nothing that ticks."""
    return load_settings(
        database_url=f"sqlite:///{folder / 'walk.db'}",
        amqp_url=IN_PROCESS_BUS,
        encryption_keys=new_key("walk"),
        token=secrets.token_urlsafe(24),
        host=LOOPBACK,
        port=free_ports(1)[0],
        accept_plain_http=True,
        broker_trusted_networks=LOOPBACK_NETWORKS,
        sweep_seconds=_SLOW_TICK,
        log_level="error",
    )


class Client:
    """What a user's program does: creates, and watches until it is Ready."""

    def __init__(self, session: aiohttp.ClientSession, settings: Settings) -> None:
        self._session = session
        self._url = f"http://{settings.host}:{settings.port}"
        token = settings.token.get_secret_value() if settings.token else ""
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    async def create(self, path: str, name: str, spec: dict[str, Any]) -> None:
        """POST an object."""
        document = json.dumps({"metadata": {"name": name}, "spec": spec})
        async with self._session.post(self._url + path, data=document, headers=self._headers) as answer:
            if answer.status != HTTPStatus.CREATED:
                raise SystemExit(f"{path}: {answer.status} {await answer.text()}")

    async def watching(self, path: str, name: str, begun: asyncio.Event) -> None:
        """Until the watch says that the object of that name is Ready."""
        async with self._session.get(f"{self._url}{path}?watch=true", headers=self._headers) as answer:
            begun.set()
            async for line in answer.content:
                document = json.loads(line)["object"]
                if document["metadata"].get("name") == name and _is_ready(document):
                    return

    async def create_ready(self, path: str, name: str, spec: dict[str, Any], walk: Walk | None = None) -> None:
        """Create and wait for Ready; note the way of it if that is wanted."""
        begun = asyncio.Event()
        watch = asyncio.create_task(self.watching(path, name, begun))
        await begun.wait()
        if walk is not None:
            walk.bystanders = asyncio.all_tasks() - {asyncio.current_task()}
            sys.setprofile(walk.note)
        try:
            await self.create(path, name, spec)
            await asyncio.wait_for(watch, _SOON)
        finally:
            sys.setprofile(None)


def _is_ready(document: dict[str, Any]) -> bool:
    conditions = document.get("status", {}).get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


async def walked(settings: Settings, broker: str) -> Walk:
    """Run everything, create a first instance so that all is warm, then note the way of a second."""
    ready, walk = asyncio.Event(), Walk()
    services = [entry_points(group=ENTRY_POINTS)[name].load() for name in SERVICES]
    platform = asyncio.create_task(run_services(services, settings, migrates=True, on_ready=ready.set))
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait({platform, waiting}, return_when=asyncio.FIRST_COMPLETED)
    try:
        async with aiohttp.ClientSession() as session:
            client = Client(session, settings)
            await client.create_ready(f"{_API}/clusterservicebrokers", "walk", {"url": broker})
            spec = {"clusterServiceClassExternalName": "fast-service", "clusterServicePlanExternalName": "default"}
            await client.create_ready(_INSTANCES, "first", spec)
            await client.create_ready(_INSTANCES, "second", spec, walk)
    finally:
        platform.cancel()
        await asyncio.gather(platform, return_exceptions=True)
    return walk


def walk_once() -> Walk:
    """The whole of it, from nothing, in a folder that goes again."""
    configure_logs(level="error", form="console", service="walk")
    with tempfile.TemporaryDirectory(prefix="chandlery-walk-") as folder, service_broker() as broker:
        return asyncio.run(walked(settings_in(Path(folder)), broker))


def lines(walk: Walk) -> Sequence[str]:
    """The walk as a table for people: order, file, times entered, first function."""
    shown = {name: name.replace("shared/", "").replace(f"services/{name.split('/')[1]}/", "") for name in walk.files}
    width = max(map(len, shown.values()))
    rows = [
        f"{number:3}  {shown[name]:{width}}  {walk.entries[name]:4}x  {walk.doors[name]}"
        for number, name in enumerate(walk.files, 1)
    ]
    return [*rows, "", f"{len(walk.files)} files from socket to watch line; the way comes back {walk.returns} times"]


if __name__ == "__main__":
    found = walk_once()
    # For programs: the entries by file, in the order of the first one.
    print(json.dumps(found.entries) if "--json" in sys.argv else "\n".join(lines(found)))
