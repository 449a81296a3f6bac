"""Checks of the database server, the schema, and what the login may do."""

import asyncio
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from chandlery.model.faults import ConfigurationFault, Fault
from chandlery.process.commands.doctor.check import DATABASE, Check, Result, checks_of, fail, failed_with, unused
from chandlery.process.commands.doctor.daemon_thread import in_daemon_thread
from chandlery.process.commands.doctor.looks.work_looks import signs_of_life
from chandlery.process.commands.doctor.surroundings import Surroundings
from chandlery.process.commands.doctor.verdicts import database_verdicts, grant_verdicts
from chandlery.process.commands.doctor.verdicts.certificate_verdicts import validity
from chandlery.process.commands.doctor.verdicts.work_verdicts import known_processes
from chandlery.store.connection.database_url import DatabaseUrl
from chandlery.store.inspection.server_facts import ServerFacts, each_host, server_facts
from chandlery.store.revisions import NEWEST_REVISION, current_revision
from chandlery.store.roles.held_privileges import held_privileges
from chandlery.store.work.work_queue import CLOCK_TOLERANCE

REACHED = "database"
SCHEMA = "schema"
AWAY = "the database cannot be reached"
_START = "start it, or correct host and port in CHANDLERY_DATABASE_URL"
_BESIDE = ("-wal", "-shm")

_check = checks_of(DATABASE)


def database_checks(around: Surroundings) -> Sequence[Check]:
    """All of them."""
    looks = _DatabaseLooks(around)
    reached = (REACHED,)
    return [
        _check(REACHED, "Does the database let us in, with TLS and login?", look=looks.reached, blocks=AWAY),
        _check("database-hosts", "Does every host of the URL answer?", look=looks.hosts),
        _check("database-version", "Is its version one that Chandlery works with?", look=looks.version, needs=reached),
        _check(
            "database-certificate",
            "For how long is the server's certificate valid?",
            look=looks.certificate,
            needs=reached,
        ),
        _check("database-writes", "Would it take a write? None is made.", look=looks.writes, needs=reached),
        _check(SCHEMA, "Is the schema that of this release?", look=looks.schema, needs=reached),
        _check(
            "grants",
            "May the database role do what its service needs, and no more?",
            look=looks.grants,
            needs=(SCHEMA,),
        ),
        _check(
            "connections",
            "Are there connections enough for all processes?",
            look=looks.connections,
            needs=(SCHEMA,),
        ),
        _check(
            "clock",
            "How far are this machine's clock and the database server's apart?",
            look=looks.clock,
            needs=reached,
        ),
        _check(
            "change-log",
            "Are watches shown every change at once?",
            look=looks.change_log,
            needs=(SCHEMA,),
        ),
    ]


class _DatabaseLooks:
    def __init__(self, around: Surroundings) -> None:
        self._around = around

    async def reached(self) -> Result:
        url = self._around.database_url
        if url.backend == "sqlite" and not await in_daemon_thread(Path(url.place).is_file):
            raise ConfigurationFault(
                f"there is no database file {url.place}; start `chandlery up`, or correct CHANDLERY_DATABASE_URL"
            )
        try:
            async with asyncio.timeout(_ALL_SECONDS):
                return database_verdicts.reached(await self._around.server())
        except TimeoutError:
            return fail(f"the database at {url.place} cannot be reached: no answer in time", _START, blocks=AWAY)
        except Fault as fault:
            return failed_with(fault, otherwise=_START, blocks=AWAY)

    async def hosts(self) -> Result:
        alone = each_host(self._around.database_url)
        if len(alone) < 2:  # noqa: PLR2004 - one is looked at anyway
            return unused("the URL names one host")
        answers = await asyncio.gather(*(self._host(url) for url in alone))
        return database_verdicts.hosts(list(zip((url.place for url in alone), answers, strict=True)))

    async def _host(self, url: DatabaseUrl) -> ServerFacts | str:
        engine = self._around.engine_for(url)
        try:
            async with asyncio.timeout(_HOST_SECONDS):
                return await server_facts(engine)
        except TimeoutError:
            return f"the database at {url.place} cannot be reached: no answer in time"
        except Fault as fault:
            return fault.message
        finally:
            await engine.dispose()

    async def version(self) -> Result:
        return database_verdicts.version(await self._around.server())

    async def certificate(self) -> Result:
        facts = await self._around.server()
        if facts.certificate_until is None:
            return unused("the connection has no TLS")
        what, now = f"the certificate of the database at {facts.place}", datetime.now(UTC)
        return validity(what, None, facts.certificate_until, now=now, remedy="renew it on that server")

    async def writes(self) -> Result:
        facts = await self._around.server()
        closed = [] if facts.is_postgresql else await in_daemon_thread(lambda: _closed_files(Path(facts.place)))
        return database_verdicts.takes_writes(facts, read_only_files=closed)

    async def schema(self) -> Result:
        return database_verdicts.schema(await current_revision(self._around.engine), NEWEST_REVISION)

    async def grants(self) -> Result:
        if not (await self._around.server()).is_postgresql:
            return unused("SQLite has no roles")
        prefix = self._around.settings.database_role_prefix
        held = await held_privileges(self._around.engine, prefix=prefix)
        return grant_verdicts.grants(held, prefix=prefix, service=self._around.service)

    async def connections(self) -> Result:
        facts = await self._around.server()
        seen = await signs_of_life(self._around)
        pool = self._around.settings.database_pool_size
        return database_verdicts.connections(facts.connections, pool=pool, processes=known_processes(seen))

    async def clock(self) -> Result:
        lease = self._around.settings.lease_seconds
        facts = await self._around.server()
        return database_verdicts.clock(facts, tolerance=CLOCK_TOLERANCE.total_seconds(), lease=lease)

    async def change_log(self) -> Result:
        since = await self._around.database.run(lambda unit: unit.changes.hidden_since())
        return database_verdicts.hidden_changes((datetime.now(UTC) - since).total_seconds() if since else None)


_HOST_SECONDS = 6.0
_ALL_SECONDS = 9.5


def _closed_files(file: Path) -> Sequence[str]:
    beside = [file.with_name(f"{file.name}{ending}") for ending in _BESIDE]
    there = [file, file.parent, *(each for each in beside if each.exists())]
    return [str(each) for each in there if not os.access(each, os.W_OK)]
