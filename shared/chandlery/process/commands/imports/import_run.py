"""Carries out an import: opens the database, asks the services for their rules, goes through the dump, tells of it.

Comes in: the shelf with what has been read, and what the user wants. Goes out: entries and their summary; progress to
stderr meanwhile. Called by `import_command.py`.
"""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from chandlery.lookup.broker_egress import egress_of
from chandlery.osb.client import OsbClient
from chandlery.platform.kubernetes.cluster_client import ClusterClient
from chandlery.process.choices.key_choice import make_database, require_keys
from chandlery.process.choices.platform_choice import check_database
from chandlery.process.commands.imports.broker_comparison import BrokerComparison, Comparison
from chandlery.process.commands.imports.import_entries import Entry, Summary
from chandlery.process.commands.imports.import_pass import ImportPass
from chandlery.process.commands.imports.object_taking import ObjectTaking, TakingRules
from chandlery.process.commands.imports.sources.dump_shelf import DumpShelf
from chandlery.process.commands.imports.sources.homes import ClusterHome, StandaloneHome
from chandlery.process.schema_waits import engine_for
from chandlery.process.service import every_service
from chandlery.process.takeover import Reads, Takes
from chandlery.settings.settings import Settings
from chandlery.store.database import Database
from chandlery.telemetry.metrics import NO_METRICS

TOLD_EVERY_SECONDS: Final = 2.0
_HOUR: Final = 3600.0


@dataclass(frozen=True, kw_only=True)
class ImportOptions:
    """What the user wants."""

    applies: bool = False
    resumes: bool = False
    accepts_invalid: bool = False


@dataclass(frozen=True, kw_only=True)
class ImportReport:
    """What has come of it."""

    entries: list[Entry]
    summary: Summary


@asynccontextmanager
async def opened_database(settings: Settings, *, statement_seconds: float | None = 15.0) -> AsyncIterator[Database]:
    """The database with its keys. Raises ConfigurationFault, Unavailable."""
    require_keys(settings)
    sealed = make_database(
        settings, engine_for(settings, "import", statement_seconds=statement_seconds), metrics=NO_METRICS
    )
    try:
        await sealed.database.data_keys.start()
        await sealed.database.run(lambda unit: unit.seals.check())
        yield sealed.database
    finally:
        await sealed.database.close()


async def import_dump(
    database: Database,
    settings: Settings,
    shelf: DumpShelf,
    options: ImportOptions,
    *,
    cluster: ClusterClient | None = None,
    tell: Callable[[str], None],
) -> ImportReport:
    """Judge all of it, and store what fits if that is wanted. `cluster` is where Secrets are, if not with us.

    Raises ConfigurationFault if the database belongs to the other platform.
    """
    if options.applies:
        await database.run(lambda unit: check_database(unit, settings.platform))
    reads, takes = service_rules(settings)
    home = ClusterHome(cluster, reads) if cluster else StandaloneHome(database, shelf, reads)
    rules = TakingRules(
        reads=reads,
        takes=takes,
        checksums=database.keyring.checksums,
        poll_seconds=settings.operation_timeout_hours * _HOUR,
        resumes=options.resumes,
        accepts_invalid=options.accepts_invalid,
        is_cluster=home.is_cluster,
        clock=database.clock,
    )
    through = ImportPass(shelf, ObjectTaking(shelf, rules), database, home=home, applies=options.applies)
    report, told = ImportReport(entries=[], summary=Summary()), time.monotonic()
    async for some in through.run():
        report.entries.extend(some)
        report.summary.count(some)
        if time.monotonic() - told > TOLD_EVERY_SECONDS:
            told = time.monotonic()
            tell(f"{len(report.entries):,} of about {len(shelf):,} objects")
    report.summary.notes.extend(notes_about(shelf, settings))
    return report


async def check_brokers(
    database: Database, settings: Settings, shelf: DumpShelf, *, cluster: ClusterClient | None = None
) -> Comparison:
    """Ask service brokers for what the dump has, reading only."""
    reads, _ = service_rules(settings)
    osb = OsbClient(egress_of(settings), catalog_limit=settings.catalog_mebibytes << 20)
    try:
        home = ClusterHome(cluster, reads) if cluster else StandaloneHome(database, shelf, reads)
        comparison = BrokerComparison(shelf, reads, home, database, osb, timeout_seconds=settings.osb_timeout_seconds)
        return await comparison.run()
    finally:
        await osb.close()


def service_rules(settings: Settings) -> tuple[Reads, dict[str, Takes]]:
    """What the services say of old objects. Raises ConfigurationFault if nobody can read them."""
    parts = [service.takeover(settings) for service in every_service()]
    takes = {kind: take for part in parts for kind, take in part.takes.items()}
    reads = next(part.reads for part in parts if part.reads is not None)
    return reads, takes


def notes_about(shelf: DumpShelf, settings: Settings) -> list[str]:
    """What is told of the dump as a whole."""
    notes = []
    if shelf.passed_over:
        listed = ", ".join(f"{count:,} {what}" for what, count in shelf.passed_over.most_common(5))
        notes.append(f"Passed over, because nothing here needs it: {listed}.")
    if shelf.repeated:
        notes.append(f"{len(shelf.repeated):,} objects came more than once; the last one of each counts.")
    if shelf.cluster_id and shelf.cluster_id != settings.cluster_id:
        notes.append(
            f"Service brokers know this cluster as {shelf.cluster_id}: set CHANDLERY_CLUSTER_ID to that for all "
            "processes."
        )
    return notes
