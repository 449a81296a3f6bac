"""`chandlery reconcile`: the group of commands for after a restore."""

import click

from chandlery.process.commands.command_group import SuggestingGroup
from chandlery.process.commands.reconciling.hold_commands import hold, release, status
from chandlery.process.commands.reconciling.survey_commands import adopt, brokers, mitigate


@click.group(cls=SuggestingGroup)
def reconcile() -> None:
    """After a restore: find what service brokers have and the database does not, or the other way round.

    Works on the database itself, beside running services or without them, and needs their settings for database and
    keys. Nothing is changed at any service broker before `chandlery reconcile release`.
    """


reconcile.add_command(brokers)
reconcile.add_command(adopt)
reconcile.add_command(mitigate)
reconcile.add_command(status)
reconcile.add_command(hold)
reconcile.add_command(release)
