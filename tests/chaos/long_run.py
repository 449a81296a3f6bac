"""`make chaos`: storms over both backends until enough faults have been dealt, and a table for `docs/reliability.md`.

The servers are private: a durable PostgreSQL that crashes, and a cluster of three RabbitMQ nodes that are killed.
CHANDLERY_TEST_CHAOS_FAULTS (500), …_MINUTES (90), …_OBJECTS (200) and …_SEED (1) bound it; it ends by itself.
The exit code is 1 if anything was lost, doubled or orphaned.
"""

import asyncio
import os
import shutil
import signal
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from chandlery.process.logs.logs import configure_logs
from machine.places import CACHE
from tests.chaos.counting.chaos_report import Report, write_report
from tests.chaos.counting.verdict import LANES
from tests.chaos.platforms import of_one_process, of_servers
from tests.chaos.run import Outcome, run_chaos
from tests.chaos.servers.rabbitmq_cluster import RabbitmqCluster
from tests.chaos.servers.restartable_postgres import RestartablePostgres
from tests.chaos.servers.server_faults import ServerFaults
from tests.e2e.stacks.servers import remove_queues, server_share

_INTERRUPTED: Final = 130
_PAIR: Final = "chaos"
_FOLDER: Final = CACHE / "chaos"
_OBJECTS_OF_EMBEDDED: Final = 40
_FAULTS_OF_EMBEDDED: Final = 80
_WORTH_TELLING: Final = 500
_EMBEDDED_EVERY: Final = 3
"""One run in so many is over `chandlery up`."""


def main() -> int:
    configure_logs(level="error", form="console")
    shutil.rmtree(_FOLDER, ignore_errors=True)
    _FOLDER.mkdir(parents=True)
    try:
        report = asyncio.run(_storms(_setting("FAULTS", _WORTH_TELLING), minutes=_setting("MINUTES", 90)))
    except asyncio.CancelledError:
        return _INTERRUPTED
    print(report.text())
    for complaint in report.complaints:
        print(complaint, file=sys.stderr)
    if report.complaints:
        print(f"the logs are in {_FOLDER}", file=sys.stderr)
        return 1
    if report.faults >= _WORTH_TELLING:
        write_report(report)
    return 0


async def _storms(wanted: int, *, minutes: int) -> Report:
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        # In whatever way it ends, its servers end with it.
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    report = Report()
    cluster, postgres = RabbitmqCluster(_PAIR, _FOLDER), RestartablePostgres(_PAIR, _FOLDER)
    try:
        say("starting PostgreSQL and three RabbitMQ nodes")
        await asyncio.gather(cluster.start(), postgres.start())
        os.environ["CHANDLERY_TEST_DATABASE_URL"] = postgres.url
        os.environ["CHANDLERY_TEST_AMQP_URL"] = ",".join(cluster.urls)
        deadline = time.monotonic() + 60 * minutes
        seed = _setting("SEED", 1)
        while report.faults < wanted and time.monotonic() < deadline and not report.complaints:
            folder = _FOLDER / str(seed)
            folder.mkdir()
            most = wanted - report.faults
            if seed % _EMBEDDED_EVERY == 1:
                report.add("one process", await _one_process(folder, seed=seed, most=most))
            else:
                report.add("services", await _services(folder, cluster, postgres, seed=seed, most=most))
            say(f"run {seed}: {report.faults} of {wanted} faults, {len(report.complaints)} complaints")
            seed += 1
        return report
    finally:
        cluster.close()
        postgres.close()


async def _services(
    folder: Path, cluster: RabbitmqCluster, postgres: RestartablePostgres, *, seed: int, most: int
) -> Outcome:
    faults = ServerFaults(cluster, postgres, seed=str(seed))
    with server_share() as share:
        platform = of_servers(share, seed=str(seed))
        outcome = await run_chaos(
            platform,
            folder,
            seed=str(seed),
            objects=_setting("OBJECTS", 200),
            strikes=faults.run,
            most_faults=most,
            say=partial(say, run=seed),
        )
        # Not after a failure: nodes may be dead then, and the cluster goes anyway.
        remove_queues(replace(share, amqp_url=cluster.urls[0]), LANES)
        return outcome


async def _one_process(folder: Path, *, seed: int, most: int) -> Outcome:
    return await run_chaos(
        of_one_process(folder, seed=str(seed)),
        folder,
        seed=str(seed),
        objects=min(_OBJECTS_OF_EMBEDDED, _setting("OBJECTS", 200)),
        most_faults=min(_FAULTS_OF_EMBEDDED, most),
        say=partial(say, run=seed),
    )


def _setting(name: str, default: int) -> int:
    return int(os.environ.get(f"CHANDLERY_TEST_CHAOS_{name}", default))


def say(text: str, *, run: int | None = None) -> None:
    print(f"· {time.strftime('%X')} {f'run {run}: ' if run is not None else ''}{text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
