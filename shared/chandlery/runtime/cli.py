"""The command line: one command for each service, `up` for all of them in one process, and those of operators."""

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version
from typing import Any, Final

import click

from chandlery.model.faults import ConfigurationFault, Fault, Refused

BAD_CONFIGURATION: Final = 2
SERVICES: Final = ("gateway", "provisioner", "binder", "syncer")
_OTHERS: Final = {
    "backup": ("chandlery.runtime.backup_command", "backup"),
    "deadletters": ("chandlery.runtime.deadletters", "deadletters"),
    "migrate": ("chandlery.runtime.migrate_command", "migrate"),
    "new-key": ("chandlery.runtime.key_command", "make_key"),
    "up": ("chandlery.runtime.service_commands", "up"),
}
"""Where each command is, by its module and name."""


class _Commands(click.Group):
    """Imports what a command needs when it is run: so a worker does not carry the gateway's web framework."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """All names, services first."""
        return [*SERVICES, *_OTHERS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """The command of that name."""
        if cmd_name in SERVICES:
            return self._imported("chandlery.runtime.service_commands", "service_command")(cmd_name)  # type: ignore[no-any-return]
        if cmd_name in _OTHERS:
            return self._imported(*_OTHERS[cmd_name])  # type: ignore[no-any-return]
        return None

    def _imported(self, module: str, name: str) -> Any:
        return getattr(import_module(module), name)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
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
            click.echo(f"chandlery: {fault.message}", err=True)
        sys.exit(BAD_CONFIGURATION if any(map(_is_of_a_setting, faults)) else 1)
