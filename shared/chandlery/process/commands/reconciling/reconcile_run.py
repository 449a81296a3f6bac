"""One survey with what it needs, and what an operator wants done about it. Called by `survey_commands.py`."""

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from chandlery.lookup.broker_egress import egress_of
from chandlery.model.faults import ConfigurationFault
from chandlery.osb.client import OsbClient
from chandlery.process.choices.platform_choice import check_database
from chandlery.process.commands.imports.import_run import opened_database, service_rules
from chandlery.process.commands.imports.sources.dump_shelf import DumpShelf
from chandlery.process.commands.imports.sources.homes import ClusterHome, StandaloneHome
from chandlery.process.commands.reconciling.surveys.broker_asking import BrokerAsking
from chandlery.process.commands.reconciling.surveys.external_things import Difference, Finding
from chandlery.process.commands.reconciling.surveys.known_here import read_known
from chandlery.process.commands.reconciling.surveys.records import Record
from chandlery.process.commands.reconciling.surveys.survey import Survey, Surveying
from chandlery.process.commands.reconciling.taking_back import ADOPT, Done, TakingBack
from chandlery.settings.settings import Settings
from chandlery.store.database import Database

Tell = Callable[[str], None]
_ADOPTED = frozenset({Difference.NOT_HERE, Difference.OTHER_CREDENTIALS})
_MITIGATED = frozenset({Difference.NOT_HERE, Difference.NOT_THERE})


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What is to be done about findings."""

    verb: str
    items: tuple[str, ...] = ()
    """External ids, or `namespace/name`; none means all."""
    applies: bool = False

    def chosen(self, findings: Sequence[Finding]) -> list[Finding]:
        """Those that are meant. Raises ConfigurationFault for an item that none is."""
        if not self.items:
            wanted = _ADOPTED if self.verb == ADOPT else _MITIGATED
            return [each for each in findings if each.difference in wanted]
        unknown = [item for item in self.items if not any(_is(each, item) for each in findings)]
        if unknown:
            raise ConfigurationFault(
                f"{', '.join(unknown)}: there is no such finding; what there is: chandlery reconcile brokers, with the "
                "same --record"
            )
        return [each for each in findings if any(_is(each, item) for item in self.items)]


def _is(finding: Finding, item: str) -> bool:
    thing = finding.thing
    return bool(item) and item in (thing.external_id, "/".join(thing.place))


async def survey_brokers(settings: Settings, record: Record, *, tell: Tell) -> Survey:
    """Compare, and change nothing."""
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(opened_database(settings))
        survey, _ = await surveyed(stack, database, settings, record, tell)
        return survey


async def carry_out(settings: Settings, record: Record, wish: Wish, *, tell: Tell) -> list[Done]:
    """Compare, and do what is wished about what is found."""
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(opened_database(settings))
        survey, taking = await surveyed(stack, database, settings, record, tell, applies=wish.applies)
        return await taking.run(wish.verb, wish.chosen(survey.findings), tell=lambda _: None)


async def surveyed(
    stack: AsyncExitStack, database: Database, settings: Settings, record: Record, tell: Tell, *, applies: bool = False
) -> tuple[Survey, TakingBack]:
    """The findings, and what does something about them; open until the stack ends."""
    await database.run(lambda unit: check_database(unit, settings.platform), dry_run=True)
    reads, _ = service_rules(settings)
    cluster = None
    if settings.platform != "standalone":
        from chandlery.platform.kubernetes.cluster_choice import cluster_of  # noqa: PLC0415 - standalone needs none

        cluster = cluster_of(settings)
        stack.push_async_callback(cluster.close)
    home = ClusterHome(cluster, reads) if cluster else StandaloneHome(database, DumpShelf(), reads)
    osb = OsbClient(egress_of(settings), catalog_limit=settings.catalog_mebibytes << 20)
    stack.push_async_callback(osb.close)
    known = await read_known(database)
    survey = await Surveying(known, record, BrokerAsking(database, osb, home, settings), reads).run(tell)
    return survey, TakingBack(database, settings, known, cluster=cluster, applies=applies)
