"""`chandlery uninstall-check`: whether anything would be left behind at service brokers if the API went now.

Comes in: the database of CHANDLERY_DATABASE_URL; no key, no RabbitMQ, no right in the cluster. Goes out: exit status 1
and a sentence with counts and the commands that help, as long as there are instances or bindings. Changes nothing.
Called by: the chart's hook before `helm uninstall`, and by hand.
"""

from typing import Final

import click

from chandlery.model.faults import Conflict
from chandlery.model.objects import kinds
from chandlery.process.commands.service_commands import production_settings, run_to_the_end
from chandlery.process.schema_waits import engine_for
from chandlery.settings.settings import Settings
from chandlery.store.database import Database, UnitOfWork
from chandlery.store.objects.object_reads import Listing
from chandlery.store.revisions import current_revision
from chandlery.store.sealing.sealing import Keyring, new_key

_HELP: Final = (
    "Without the API nobody could delete them, and service brokers would keep what they have of them. Delete them: "
    "`kubectl delete servicebindings,serviceinstances --all --all-namespaces` waits until service brokers have "
    "confirmed it. To leave them there: `helm upgrade RELEASE CHART --reuse-values --set uninstall.force=true` first, "
    "or `helm uninstall RELEASE --no-hooks`"
)


class StillInUse(Conflict):
    """There are instances or bindings."""


@click.command(name="uninstall-check")
def uninstall_check() -> None:
    """Tell whether service instances or bindings exist, which nobody could delete without the API.

    Exits with 1 while they do. Changes nothing.
    """
    settings = production_settings("uninstall-check")
    instances, bindings = run_to_the_end(_counts(settings))
    if instances or bindings:
        raise StillInUse(refusal(instances, bindings))
    click.echo("There are no service instances and no service bindings: Chandlery can be uninstalled.")


def refusal(instances: int, bindings: int) -> str:
    """What keeps it from going, with the commands that help."""
    found = [_counted(bindings, "service binding"), _counted(instances, "service instance")]
    verb = "exists" if instances + bindings == 1 else "exist"
    return f"Chandlery cannot be uninstalled: {' and '.join(filter(None, found))} still {verb}. {_HELP}"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}" if number else ""


async def _counts(settings: Settings) -> tuple[int, int]:
    """Instances and bindings, those that are being deleted included. A database without a schema has none."""
    engine = engine_for(settings, "uninstall-check")
    # Nothing that is sealed is read here, so any key will do.
    database = Database(engine, Keyring.parse(new_key("none")))
    try:
        return (0, 0) if await current_revision(engine) is None else await database.run(_counted_in)
    finally:
        await database.close()


async def _counted_in(unit: UnitOfWork) -> tuple[int, int]:
    return (
        await unit.objects.count(kinds.SERVICE_INSTANCE, Listing()),
        await unit.objects.count(kinds.SERVICE_BINDING, Listing()),
    )
