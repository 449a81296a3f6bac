"""The two backends as the chaos suite runs them: which processes, with which settings, and where their data are."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from chandlery.store.sealing.sealing import new_key
from tests.chaos.fault_steps import STEPS_OF_EMBEDDED, STEPS_OF_GATEWAYS, STEPS_OF_WORKERS
from tests.chaos.supervisor import Deck, Slot
from tests.e2e.stacks.programs import clean_environment, free_port
from tests.e2e.stacks.servers import ServerShare

WORKERS: Final = ("provisioner", "binder", "syncer")
LEASE_SECONDS: Final = 2.0
_WRITES_OF_A_GATEWAY: Final = 40
"""All users write through two: dying more often, they would get nothing done."""
_TOKEN: Final = "token-of-the-chaos-suite"
_SETTINGS: Final = {
    "CHANDLERY_LEASE_SECONDS": str(LEASE_SECONDS),
    "CHANDLERY_SWEEP_SECONDS": "0.5",
    "CHANDLERY_TOKEN": _TOKEN,
}


@dataclass(frozen=True)
class Platform:
    """One Chandlery to be tormented."""

    slots: Sequence[Slot]
    urls: Sequence[str]
    database_url: str
    environment: dict[str, str]
    share: ServerShare | None
    """None for the embedded backend."""
    data_dir: Path | None = None

    @property
    def token(self) -> str:
        return (self.data_dir / "token").read_text() if self.data_dir else _TOKEN


def of_servers(share: ServerShare, *, seed: str, replicas: int = 2) -> Platform:
    """`replicas` of each service."""
    environment = clean_environment(
        CHANDLERY_DATABASE_URL=share.database_url,
        CHANDLERY_AMQP_URL=share.amqp_url,
        CHANDLERY_AMQP_PREFIX=share.amqp_prefix,
        CHANDLERY_ENCRYPTION_KEYS=new_key("chaos"),
        CHANDLERY_DATABASE_POOL_SIZE="5",
        **_SETTINGS,
    )
    slots, urls = [], []
    gateways = Deck(STEPS_OF_GATEWAYS, f"{seed} gateway", latest=_WRITES_OF_A_GATEWAY)
    decks = {name: Deck(STEPS_OF_WORKERS, f"{seed} {name}") for name in WORKERS}
    for number in range(1, replicas + 1):
        port = str(free_port())
        urls.append(f"http://127.0.0.1:{port}")
        own = {**environment, "CHANDLERY_PORT": port}
        slots.append(Slot(f"gateway-{number}", ["gateway"], own, gateways))
        slots += [Slot(f"{name}-{number}", [name], environment, decks[name]) for name in WORKERS]
    return Platform(slots, urls, share.database_url, environment, share)


def of_one_process(folder: Path, *, seed: str) -> Platform:
    """`chandlery up` on a fresh folder."""
    data_dir, port = folder / "data", free_port()
    settings = {name: value for name, value in _SETTINGS.items() if name != "CHANDLERY_TOKEN"}
    environment = clean_environment(**settings)
    arguments = ["up", "--data-dir", str(data_dir), "--port", str(port)]
    slot = Slot("up", arguments, environment, Deck(STEPS_OF_EMBEDDED, seed))
    url = f"http://127.0.0.1:{port}"
    return Platform([slot], [url], f"sqlite:///{data_dir / 'chandlery.db'}", environment, None, data_dir)
