"""What the syncer looks after, by platform."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path

from pydantic import SecretStr

from chandlery.engine.worker import Worker
from chandlery.model.objects.kinds import CLUSTER_SERVICE_BROKER, NAMESPACE, SERVICE_BROKER
from chandlery.platform.protocol import NamespaceGate
from chandlery.process.background import Beside
from chandlery.process.composition import open_resources
from chandlery.settings.settings import Settings
from chandlery.store.sealing.sealing import new_key
from chandlery_syncer.garbage_collector import GarbageCollector
from chandlery_syncer.gone_namespaces import GoneNamespaces
from chandlery_syncer.left_copies import LeftCopies
from chandlery_syncer.main import SYNCER

BROKERS = {CLUSTER_SERVICE_BROKER.kind, SERVICE_BROKER.kind}


class ClusterNamespaces:
    """A cluster's, as far as anybody asks when the syncer is put together."""

    async def check_open(self, name: str) -> None:
        raise AssertionError(name)

    async def run(self) -> None:
        raise AssertionError("nobody follows them yet")

    async def begun_at(self, name: str) -> datetime | None:
        raise AssertionError(name)


async def _looked_after(folder: Path, namespaces: NamespaceGate | None) -> tuple[set[str], list[type]]:
    """The kinds whose commands are handled, and what runs beside that."""
    settings = Settings(
        database_url=SecretStr(f"sqlite:///{folder / 'chandlery.db'}"),
        amqp_url=SecretStr("memory:"),
        encryption_keys=SecretStr(new_key("test")),
    )
    async with open_resources(settings, service="syncer", migrates=True) as resources:
        running = SYNCER.build(replace(resources, namespaces=namespaces))
        assert isinstance(running, Beside)
        assert isinstance(running._inner, Worker)
        return set(running._inner._handlers), [type(loop) for loop in running._loops]


async def test_standalone_it_collects_garbage_and_ends_namespaces(tmp_path: Path) -> None:
    assert await _looked_after(tmp_path, None) == ({*BROKERS, NAMESPACE.kind}, [GarbageCollector])


async def test_in_a_cluster_it_collects_no_garbage_and_ends_no_namespaces(tmp_path: Path) -> None:
    assert await _looked_after(tmp_path, ClusterNamespaces()) == (BROKERS, [GoneNamespaces, LeftCopies])
