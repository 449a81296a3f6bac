"""The command line: one command for each service, `up` for all of them in one process, and those of operators."""

import sys
from collections.abc import Coroutine, Sequence
from importlib.metadata import entry_points, version
from pathlib import Path
from typing import Any

import click
import uvloop

from chandlery.model.faults import ConfigurationFault, Fault
from chandlery.runtime.composition import IN_PROCESS_BUS, describe_database, run_migrations
from chandlery.runtime.deadletters import deadletters
from chandlery.runtime.http_server import listen
from chandlery.runtime.laptop import open_data_directory
from chandlery.runtime.logs import configure_logs
from chandlery.runtime.process import run_services
from chandlery.runtime.service import ENTRY_POINTS, Service
from chandlery.runtime.settings import Settings, load_settings
from chandlery.store.sealing import new_key

BAD_CONFIGURATION = 2
_ORDER = ("gateway", "provisioner", "binder", "syncer")


class _Commands(click.Group):
    """Our commands and one for each service.

    A service is imported when its command is run, so that a worker does not carry the gateway's web framework.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, services first."""
        return [*_ORDER, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name."""
        if cmd_name in _ORDER:
            return _service_command(_load_service(cmd_name))
        return super().get_command(ctx, cmd_name)


def _load_service(name: str) -> Service:
    service: Service = entry_points(group=ENTRY_POINTS)[name].load()
    return service


def _service_command(service: Service) -> click.Command:
    def run() -> None:
        _run(run_services([service], _production_settings()))

    return click.Command(service.name, callback=run, help=service.summary)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("chandlery"), prog_name="chandlery")
def cli() -> None:
    """A service catalog: service brokers, instances and bindings through a Kubernetes-style API.

    Settings come from CHANDLERY_* environment variables, or from a TOML file named by CHANDLERY_CONFIG_FILE.
    """


@cli.command()
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path.home() / ".chandlery",
    help="Folder for the database, the keys and the kubeconfig.  [default: ~/.chandlery]",
)
@click.option("--port", type=click.IntRange(0, 65535), default=None, help="Port to listen on.  [default: 8080]")
def up(data_dir: Path, port: int | None) -> None:
    """Run the gateway and all workers in this process, on SQLite, for this machine only."""
    base = load_settings()
    configure_logs(level=base.log_level, form="console" if sys.stderr.isatty() else base.log_format)
    directory = open_data_directory(data_dir)
    listener = listen("127.0.0.1", base.port if port is None else port)
    settings = load_settings(
        database_url=directory.database_url,
        amqp_url=IN_PROCESS_BUS,
        encryption_keys=directory.encryption_keys(),
        token=directory.token(),
        host="127.0.0.1",
        port=listener.getsockname()[1],
        tls_cert_file=directory.certificate(),
        tls_key_file=directory.certificate_key,
        accept_plain_http=True,
    )
    listener.close()
    directory.write_kubeconfig(settings.host, settings.port)
    address = f"https://{settings.host}:{settings.port}"

    def say_how_to_go_on() -> None:
        click.echo(f"Chandlery is ready at {address} (documentation: {address}/docs)")
        click.echo(f"Try: kubectl --kubeconfig {directory.kubeconfig} get clusterservicebrokers")

    _run(run_services([_load_service(name) for name in _ORDER], settings, migrates=True, on_ready=say_how_to_go_on))


@cli.command()
def migrate() -> None:
    """Bring the database to the current schema. Safe to run from several places at once."""
    settings = _production_settings()
    click.echo(f"migrating {describe_database(settings)}")
    revision = _run(run_migrations(settings))
    click.echo(f"the database is at revision {revision}")


@cli.command(name="new-key")
@click.argument("name", default="key1")
def make_key(name: str) -> None:
    """Print a fresh key for CHANDLERY_ENCRYPTION_KEYS."""
    click.echo(new_key(name))


cli.add_command(deadletters)


def _production_settings() -> Settings:
    settings = load_settings()
    configure_logs(level=settings.log_level, form=settings.log_format)
    return settings


def _run(work: Coroutine[Any, Any, Any]) -> Any:
    return uvloop.run(work)


def _faults(error: BaseException) -> Sequence[Fault]:
    """The faults in an exception or a group of them; anything else is a bug and raised as it is."""
    if isinstance(error, BaseExceptionGroup):
        return [fault for inner in error.exceptions for fault in _faults(inner)]
    if isinstance(error, Fault):
        return [error]
    raise error


def main() -> None:
    """Entry point of `chandlery`. A user's mistake is one sentence on stderr, never a traceback."""
    try:
        cli()
    except (Fault, BaseExceptionGroup) as error:
        faults = _faults(error)
        for fault in faults:
            click.echo(f"chandlery: {fault.message}", err=True)
        sys.exit(BAD_CONFIGURATION if any(isinstance(fault, ConfigurationFault) for fault in faults) else 1)
