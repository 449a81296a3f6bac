"""The commands that run services, each in a process of its own or all in one."""

import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import click
import structlog

from chandlery.model.faults import ConfigurationFault
from chandlery.process.choices.bus_choice import IN_PROCESS_BUS
from chandlery.process.collector import let_collector_go_on
from chandlery.process.commands.cli import SERVICES
from chandlery.process.event_loop import run as run_loop
from chandlery.process.http.http_server import listen
from chandlery.process.logs.logs import configure_logs, end_logs
from chandlery.process.process import run_services
from chandlery.process.service import service_called
from chandlery.reconcile.egress.egress_rules import LOOPBACK
from chandlery.settings.settings import Settings, load_settings, old_names_in_use

log = structlog.get_logger(__name__)


def service_command(name: str) -> click.Command:
    """The command that runs one service, which is imported now."""
    service = service_called(name)

    def run() -> None:
        run_to_the_end(run_services([service], production_settings(service.name)))

    return click.Command(service.name, callback=run, help=service.summary)


@click.command()
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path.home() / ".chandlery",
    help="Folder for the database, the keys and the kubeconfig.  [default: ~/.chandlery]",
)
@click.option("--port", type=click.IntRange(0, 65535), default=None, help="Port to listen on.  [default: 8080]")
def up(data_dir: Path, port: int | None) -> None:
    """Run the gateway and all workers in this process, on SQLite, for this machine only."""
    from chandlery.process.commands.local_data_dir import open_data_directory  # noqa: PLC0415 - nobody else has a folder

    base = load_settings()
    if base.platform != "standalone":
        raise ConfigurationFault(
            "`chandlery up` keeps everything on this machine and knows no cluster: unset CHANDLERY_PLATFORM, or run "
            "the services one by one (chandlery gateway, provisioner, binder, syncer), as the chart does"
        )
    _set_up_logs(base, service="up", form="console" if sys.stderr.isatty() else base.log_format)
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
        # Where else would brokers of a machine's own catalog be?
        broker_trusted_networks=base.broker_trusted_networks or LOOPBACK,
    )
    listener.close()
    directory.write_kubeconfig(settings.host, settings.port)
    address = f"https://{settings.host}:{settings.port}"

    def say_how_to_go_on() -> None:
        click.echo(f"Chandlery is ready at {address} (documentation: {address}/docs)")
        click.echo(f"Try: kubectl --kubeconfig {directory.kubeconfig} get clusterservicebrokers")

    run_to_the_end(
        run_services([service_called(name) for name in SERVICES], settings, migrates=True, on_ready=say_how_to_go_on)
    )


def production_settings(service: str) -> Settings:
    """The settings, with the logs set up as they say; `service` is named in each line."""
    settings = load_settings()
    _set_up_logs(settings, service=service, form=settings.log_format)
    return settings


def _set_up_logs(settings: Settings, *, service: str, form: str) -> None:
    configure_logs(
        level=settings.log_level,
        form=form,
        service=service,
        levels=settings.log_levels,
        levels_file=settings.log_levels_file,
    )
    for sentence in old_names_in_use():
        log.warning(sentence, action="read_settings")


def run_to_the_end(work: Coroutine[Any, Any, Any]) -> Any:
    """Run the program's one piece of work; returns what it does."""
    # All that has been imported stays to the end. The collector need not look at it again, least of all at the exit.
    let_collector_go_on()
    try:
        return run_loop(work)
    finally:
        end_logs()
