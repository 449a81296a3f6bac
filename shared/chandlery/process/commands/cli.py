"""The command line: one command for each service, `up` for all of them in one process, and those of operators."""

import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Final

import click

from chandlery.model.faults import ConfigurationFault, Fault, Refused
from chandlery.model.text.clean_text import clean_message
from chandlery.process.commands.command_group import LazyCommand, LazyGroup

BAD_CONFIGURATION: Final = 2
_SERVICE = ("chandlery.process.commands.service_commands", "service_command")
_SERVICES: Final = {
    "gateway": LazyCommand(*_SERVICE, "Serve the API."),
    "provisioner": LazyCommand(*_SERVICE, "Provision, update and deprovision service instances."),
    "binder": LazyCommand(*_SERVICE, "Bind and unbind service instances, write credentials to Secrets."),
    "syncer": LazyCommand(*_SERVICE, "Keep the catalog: fetch what service brokers offer."),
}
SERVICES: Final = tuple(_SERVICES)
COMMANDS: Final = {
    **_SERVICES,
    "up": LazyCommand(
        "chandlery.process.commands.service_commands",
        "up",
        "Run the gateway and all workers in this process, on SQLite, for this machine only.",
    ),
    "migrate": LazyCommand(
        "chandlery.process.commands.migrate_command", "migrate", "Bring the database to the current schema."
    ),
    "doctor": LazyCommand(
        "chandlery.process.commands.doctor.doctor_command",
        "doctor",
        "Check this installation from here: settings, servers, keys, queues, work; and say what helps.",
    ),
    "backup": LazyCommand(
        "chandlery.process.commands.backups.backup_command",
        "backup",
        "Copy the database to FILE, a new file with mode 0600, while it is in use.",
    ),
    "restore": LazyCommand(
        "chandlery.process.commands.backups.restore_command",
        "restore",
        "Put FILE, which `chandlery backup` has made, in the place of the database.",
    ),
    "reconcile": LazyCommand(
        "chandlery.process.commands.reconciling.reconcile_command",
        "reconcile",
        "After a restore: find what service brokers have and the database does not, or the other way round.",
    ),
    "move-database": LazyCommand(
        "chandlery.process.commands.backups.move_command",
        "move_database",
        "Copy the SQLite database into the empty PostgreSQL database at URL.",
    ),
    "deadletters": LazyCommand(
        "chandlery.process.commands.deadletters",
        "deadletters",
        "List, show, replay or drop the messages that workers gave up on.",
    ),
    "import": LazyCommand(
        "chandlery.process.commands.imports.import_command",
        "imports",
        "Move in from another platform. Nothing is changed at any service broker.",
    ),
    "keys": LazyCommand(
        "chandlery.process.commands.keys.keys_command",
        "keys",
        "List the keys that data is encrypted with, make a new one, encrypt everything anew.",
    ),
    "token": LazyCommand(
        "chandlery.process.commands.tokens.token_command",
        "tokens",
        "Create, list or revoke tokens of service accounts.",
    ),
    "uninstall-check": LazyCommand(
        "chandlery.process.commands.uninstall.uninstall_check",
        "uninstall_check",
        "Tell whether service instances or bindings exist, which nobody could delete without the API.",
    ),
    "new-key": LazyCommand(
        "chandlery.process.commands.keys.key_command", "make_key", "Print a new key for CHANDLERY_ENCRYPTION_KEYS."
    ),
    "version": LazyCommand(
        "chandlery.process.commands.about.version_command",
        "tell_version",
        "Tell what is installed here: version, commit, database schema, API versions, extras.",
    ),
}
"""All commands, in the order of `chandlery --help`."""


@click.group(cls=LazyGroup, lazy=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("chandlery"), prog_name="chandlery")
def cli() -> None:
    """A service catalog: service brokers, instances and bindings through a Kubernetes-style API.

    Settings come from CHANDLERY_* environment variables, or from a TOML file named by CHANDLERY_CONFIG_FILE.
    """


def _faults(error: BaseException) -> Sequence[Fault]:
    """The faults in an exception or a group of them; anything else is a bug and raised as it is."""
    if isinstance(error, BaseExceptionGroup):
        return [fault for inner in error.exceptions for fault in _faults(inner)]
    if isinstance(error, Fault):
        return [error]
    raise error


def _is_of_a_setting(fault: Fault) -> bool:
    return isinstance(fault, ConfigurationFault) or (isinstance(fault, Refused) and fault.is_setting)


def main() -> None:
    """Entry point of `chandlery`. A user's mistake is one sentence on stderr, never a traceback."""
    try:
        cli()
    except (Fault, BaseExceptionGroup) as error:
        faults = _faults(error)
        for fault in faults:
            click.echo(f"chandlery: {clean_message(fault.message)}", err=True)
        sys.exit(BAD_CONFIGURATION if any(map(_is_of_a_setting, faults)) else 1)
