"""The ledger of a pair: what was started, where it listens, and how to recognise its processes.

It holds passwords, so only its owner may read it, and outlives a stop, for the data need the same password again.
"""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from machine.places import pair_folder
from machine.processes import ProcessMark

Kind = Literal["database", "amqp"]


@dataclass(frozen=True, kw_only=True)
class ServerRecord:
    """One server; `processes` is empty once it has been stopped, and is listed in the order of stopping."""

    url: str = field(repr=False)
    password: str = field(repr=False)
    ports: tuple[int, ...]
    home: str
    log: str
    processes: tuple[ProcessMark, ...]


Ledger = dict[Kind, ServerRecord]


def read_ledger(pair: str) -> Ledger:
    """The ledger of `pair`, empty if there is none or if it was cut off in writing."""
    try:
        content: dict[Kind, dict[str, Any]] = json.loads(_path(pair).read_text())
        return {kind: _record(entry) for kind, entry in content.items()}
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, KeyError):
        return {}


def write_ledger(pair: str, ledger: Ledger) -> None:
    """Replace the ledger in one step."""
    path = _path(pair)
    draft = path.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as handle:
        json.dump({kind: asdict(record) for kind, record in ledger.items()}, handle, indent=2)
    draft.replace(path)


def _path(pair: str) -> Path:
    return pair_folder(pair) / "state.json"


def _record(entry: dict[str, Any]) -> ServerRecord:
    processes = tuple(ProcessMark(**mark) for mark in entry["processes"])
    return ServerRecord(**{**entry, "ports": tuple(entry["ports"]), "processes": processes})
