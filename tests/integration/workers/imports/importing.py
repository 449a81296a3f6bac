"""Imports for tests: a dump as kubectl writes it, taken over into the fleet's database; what the broker saw of it."""

from pathlib import Path

from chandlery.process.commands.imports.import_entries import Entry, Verdict
from chandlery.process.commands.imports.import_run import ImportOptions, ImportReport, import_dump
from chandlery.process.commands.imports.sources.dump_reading import read_dumps
from chandlery.process.commands.imports.sources.dump_shelf import DumpShelf
from tests.conformance.scripted import scripted_templates as osb
from tests.conformance.scripted.scripted_broker import ScriptedBroker
from tests.integration.workers.fleet import Fleet
from tests.support.dumps.old_catalog import Document, as_kubectl_prints

CHANGING = (osb.PROVISION, osb.UPDATE, osb.DEPROVISION, osb.BIND, osb.UNBIND)


class Importing:
    """Writes dumps into a folder and imports them."""

    def __init__(self, fleet: Fleet, folder: Path) -> None:
        self.fleet = fleet
        self._path = folder / "dump.yaml"

    async def look(self, *documents: Document, applies: bool = False, **options: bool) -> ImportReport:
        """What `chandlery import service-catalog` finds."""
        self._path.write_text(as_kubectl_prints(*documents))
        shelf = DumpShelf()
        for document in read_dumps([self._path]):
            shelf.add(document)
        process = self.fleet.front
        return await import_dump(
            process.database,
            process.resources.settings.model_copy(update={"broker_trusted_networks": "127.0.0.0/8"}),
            shelf,
            ImportOptions(applies=applies, **options),
            tell=lambda _sentence: None,
        )

    async def apply(self, *documents: Document, **options: bool) -> ImportReport:
        """The same with `--yes`; all of it has to fit."""
        report = await self.look(*documents, applies=True, **options)
        assert [each for each in report.entries if each.verdict == Verdict.UNFIT] == []
        return report


def changes_at(scripted: ScriptedBroker) -> list[str]:
    """The requests that change something, as far as the broker has seen any."""
    return [seen.template for seen in scripted.seen if seen.template in CHANGING]


def entry_of(report: ImportReport, kind: str, name: str) -> Entry:
    """What is told of one object."""
    return next(each for each in report.entries if each.kind.kind == kind and each.place[1] == name)
