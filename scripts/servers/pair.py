"""One named pair of servers: started once, reused by every later command, and ended process by process."""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from machine.console import MachineFault, say
from machine.debian import install
from machine.places import locked, pair_folder, remove_data
from machine.processes import end, is_alive
from servers.given import VARIABLES, address_of, check_given, given_urls, listens
from servers.ledger import Kind, Ledger, ServerRecord, read_ledger, write_ledger
from servers.postgres import PostgresServer
from servers.rabbitmq import RabbitmqServer
from servers.server import Server

# The slower one first, so that it boots while the other creates its data folder.
_SERVERS: Final[Sequence[Server]] = (RabbitmqServer(), PostgresServer())
_START_SECONDS: Final = 60


def start_pair(pair: str) -> None:
    """Make sure that both servers answer, starting (and first installing) whatever is missing.

    Raises:
        MissingSoftwareFault: a server has to be installed by a person.
        MachineFault: a given URL is not reachable, or a server did not come up in 60 seconds.
    """
    given = given_urls(pair)
    for kind, url in given.items():
        check_given(kind, url)
    wanted = [server for server in _SERVERS if server.kind not in given]
    with locked(pair_folder(pair) / "lock"):
        ledger = read_ledger(pair)
        # One that runs but is slow to answer is waited for, never restarted: somebody may be using it.
        absent = [server for server in wanted if not _is_running(ledger.get(server.kind))]
        _install_missing(absent)
        for server in absent:
            _launch(server, pair, ledger)
        for server in wanted:
            _await(server, pair, ledger)


def stop_pair(pair: str, *, wipe: bool = False) -> None:
    """End exactly the processes this pair started; with `wipe`, remove their data as well."""
    with locked(pair_folder(pair) / "lock"):
        ledger = read_ledger(pair)
        for server in _SERVERS:
            if _end_processes(server.kind, pair, ledger):
                say(f"{server.title} stopped")
        if wipe:
            remove_data(pair)


def describe_pair(pair: str) -> tuple[list[str], bool]:
    """A line for each server, without its password, and whether both can be used."""
    ledger, given = read_ledger(pair), given_urls(pair)
    lines, usable = [], True
    for server in reversed(_SERVERS):
        url, record = given.get(server.kind), ledger.get(server.kind)
        if url:
            up, where, details = listens(url), address_of(url), f"given by {VARIABLES[server.kind]}"
        elif record and _is_up(server, ledger):
            up, where = True, address_of(record.url)
            details = "private, pid " + " ".join(str(mark.pid) for mark in record.processes)
        else:
            up, where, details = False, "", ""
        lines.append(f"{server.title:<12}{'up' if up else 'down':<6}{where:<18}{details}".rstrip())
        usable = usable and up
    return lines, usable


def pair_urls(pair: str) -> dict[Kind, str]:
    """The URL of each server, given or private.

    Raises:
        MachineFault: one of them was never started, or has ended since.
    """
    ledger, urls = read_ledger(pair), dict(given_urls(pair))
    for server in _SERVERS:
        if server.kind in urls:
            continue
        if not _is_running(ledger.get(server.kind)):
            raise MachineFault(f"{server.title} is not running; start it with `make services`")
        urls[server.kind] = ledger[server.kind].url
    return urls


def _install_missing(servers: Sequence[Server]) -> None:
    missing = [server for server in servers if not server.is_installed()]
    if not missing:
        return
    titles = " and ".join(server.title for server in missing)
    variables = " and ".join(VARIABLES[server.kind] for server in missing)
    why = f"{titles} missing on this machine (servers elsewhere can be given by {variables})."
    install([server.package for server in missing], why=why)
    if still := [server.title for server in missing if not server.is_installed()]:
        raise MachineFault(f"apt installed it, but {' and '.join(still)} cannot be found")


def _launch(server: Server, pair: str, ledger: Ledger, *, anew: bool = False) -> None:
    _end_processes(server.kind, pair, ledger)
    log = pair_folder(pair) / f"{server.kind}.log"
    log.write_bytes(b"")
    say(f"{server.title}: starting{' again with empty data' if anew else ''}")
    ledger[server.kind] = server.start(pair, log, previous=None if anew else ledger.get(server.kind))
    # Written before it answers, so that an interrupted start is found by the next command.
    write_ledger(pair, ledger)


def _await(server: Server, pair: str, ledger: Ledger) -> None:
    """Wait for a server; data left by a crash or a taken port get one second chance with everything new."""
    began = time.monotonic()
    for chance in (1, 2):
        while _is_running(ledger[server.kind]) and time.monotonic() - began < _START_SECONDS:
            if server.answers(ledger[server.kind]):
                say(f"{server.title}: ready on port {ledger[server.kind].ports[0]}")
                return
            time.sleep(0.1)
        if chance == 1 and not _is_running(ledger[server.kind]):
            _launch(server, pair, ledger, anew=True)
    tail = "\n".join(Path(ledger[server.kind].log).read_text(errors="replace").splitlines()[-20:])
    _end_processes(server.kind, pair, ledger)
    raise MachineFault(f"{server.title} did not come up in {_START_SECONDS} seconds; its last words:\n{tail}")


def _is_up(server: Server, ledger: Ledger) -> bool:
    record = ledger.get(server.kind)
    return record is not None and _is_running(record) and server.answers(record)


def _is_running(record: ServerRecord | None) -> bool:
    return record is not None and bool(record.processes) and all(is_alive(mark) for mark in record.processes)


def _end_processes(kind: Kind, pair: str, ledger: Ledger) -> bool:
    record = ledger.get(kind)
    if record is None or not record.processes:
        return False
    for mark in record.processes:
        end(mark)
    ledger[kind] = replace(record, processes=())
    write_ledger(pair, ledger)
    return True
