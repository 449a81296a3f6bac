"""`chandlery import`: moves in from Service Catalog, reading at service brokers at most."""

import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import click

from chandlery.model.faults import ConfigurationFault
from chandlery.model.json.json_text import write_json
from chandlery.model.objects import kinds
from chandlery.model.objects.wire import JsonObject
from chandlery.platform.kubernetes.access.cluster_access import ClusterAccess, in_cluster
from chandlery.platform.kubernetes.access.kubeconfig import read_kubeconfig
from chandlery.platform.kubernetes.cluster_choice import cluster_of
from chandlery.platform.kubernetes.cluster_client import ClusterClient
from chandlery.process.commands.chosen_settings import chosen_settings, data_dir_option
from chandlery.process.commands.command_group import SuggestingGroup
from chandlery.process.commands.imports.broker_comparison import Comparison
from chandlery.process.commands.imports.import_entries import Verdict
from chandlery.process.commands.imports.import_run import (
    ImportOptions,
    ImportReport,
    check_brokers,
    import_dump,
    opened_database,
    service_rules,
)
from chandlery.process.commands.imports.import_views import as_json, as_summary, as_table, finding_json, finding_line
from chandlery.process.commands.imports.sources.cluster_dump import read_cluster, read_used_secrets
from chandlery.process.commands.imports.sources.dump_reading import read_dumps
from chandlery.process.commands.imports.sources.dump_shelf import DumpShelf
from chandlery.process.commands.service_commands import run_to_the_end
from chandlery.process.logs.logs import configure_logs
from chandlery.settings.settings import Settings

UNFIT: Final = 3
"""Exit code: something does not fit and has not been imported."""
_TOLD_EVERY: Final = 5_000


@click.group(name="import", cls=SuggestingGroup)
def imports() -> None:
    """Move in from another platform. Nothing is changed at any service broker.

    Works on the database itself, beside running services, and needs their settings for database and keys.
    """


@imports.command(name="service-catalog")
@click.argument("dumps", nargs=-1, type=click.Path(path_type=Path, allow_dash=True))
@click.option("--yes", "--apply", "applies", is_flag=True, help="Import. Without it, only what would be done is shown.")
@click.option(
    "--resume",
    "resumes",
    is_flag=True,
    help="Go on at once with what the old controller had still to do, which calls service brokers. Without it, such "
    "objects are held.",
)
@click.option("--accept-invalid", is_flag=True, help="Store specifications as they are that are refused here.")
@click.option(
    "--check",
    "checks",
    is_flag=True,
    help="Ask the service brokers for what the dump has, by GET requests alone, and import nothing.",
)
@click.option(
    "--from-cluster",
    is_flag=True,
    help="Read the objects from the cluster of --kubeconfig, which serves them still, instead of a dump.",
)
@click.option(
    "--kubeconfig",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=None,
    help="Of that cluster.  [default: CHANDLERY_KUBECONFIG, else the service account of the pod]",
)
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", help="Form of the answer.")
@data_dir_option
def service_catalog(  # noqa: PLR0913 - each by its name
    dumps: tuple[Path, ...],
    *,
    applies: bool,
    resumes: bool,
    accept_invalid: bool,
    checks: bool,
    from_cluster: bool,
    kubeconfig: Path | None,
    output: str,
    data_dir: Path | None,
) -> None:
    """Import what Kubernetes Service Catalog has, from files that kubectl has written (`-` for stdin).

    \b
    kubectl get clusterservicebrokers,servicebrokers,clusterserviceclasses,serviceclasses,\\
      clusterserviceplans,serviceplans,serviceinstances,servicebindings,secrets,namespaces \\
      -A -o yaml > dump.yaml
    chandlery import service-catalog dump.yaml

    Shows what would be done; --yes does it. It can be repeated: what is there stays as it is.

    Exit codes: 0 all of it fits, 1 a server cannot be reached or refuses, 2 a mistake in settings or arguments,
    3 something does not fit, and the rest was imported if that was asked for; with --check, a service broker says
    something else.
    """  # noqa: D301 - click's mark
    if bool(dumps) == from_cluster:
        raise click.UsageError("Name the files of the dump, or - for stdin, or give --from-cluster.")
    if checks and (applies or resumes or accept_invalid):
        raise click.UsageError("--check imports nothing: leave --yes, --resume and --accept-invalid out.")
    settings = chosen_settings(data_dir)
    configure_logs(level="error", form="console", service="import")
    options = ImportOptions(applies=applies, resumes=resumes, accepts_invalid=accept_invalid)
    shelf = DumpShelf()
    for document in read_dumps(dumps):
        _put(shelf, document)

    async def run() -> int:
        async with AsyncExitStack() as stack:
            if from_cluster:
                await _read_cluster(shelf, settings, _access(settings, kubeconfig))
            _require_something(shelf)
            cluster = await _cluster(stack, settings)
            database = await stack.enter_async_context(opened_database(settings))
            if checks:
                comparison = await check_brokers(database, settings, shelf, cluster=cluster)
                _show_comparison(comparison, output=output)
                return len(comparison.findings)
            report = await import_dump(database, settings, shelf, options, cluster=cluster, tell=tell)
            _show(report, output=output, applies=applies)
            return report.summary.total(Verdict.UNFIT)

    if run_to_the_end(run()):
        sys.exit(UNFIT)


def _put(shelf: DumpShelf, document: JsonObject) -> None:
    shelf.add(document)
    if len(shelf) % _TOLD_EVERY == 0:
        tell(f"{len(shelf):,} objects read")


async def _read_cluster(shelf: DumpShelf, settings: Settings, access: ClusterAccess) -> None:
    cluster = ClusterClient(access)
    try:
        async for document in read_cluster(cluster):
            _put(shelf, document)
        if settings.platform == "standalone":
            reads, _ = service_rules(settings)
            async for document in read_used_secrets(cluster, shelf, reads):
                _put(shelf, document)
    finally:
        await cluster.close()


def _access(settings: Settings, kubeconfig: Path | None) -> ClusterAccess:
    chosen = kubeconfig or settings.kubeconfig
    return read_kubeconfig(chosen) if chosen else in_cluster()


async def _cluster(stack: AsyncExitStack, settings: Settings) -> ClusterClient | None:
    """Where Secrets and namespaces are, if they are not with us."""
    if settings.platform == "standalone":
        return None
    cluster = cluster_of(settings)
    stack.push_async_callback(cluster.close)
    return cluster


def _require_something(shelf: DumpShelf) -> None:
    if not any(shelf.places(kind) for kind in kinds.CATALOG_KINDS):
        raise ConfigurationFault("there is nothing of Service Catalog in the dump")


def tell(sentence: str) -> None:
    """To people, beside the answer."""
    click.echo(sentence, err=True)


def _show_comparison(comparison: Comparison, *, output: str) -> None:
    for each in comparison.findings:
        found = finding_json(each)
        click.echo(write_json(found).decode() if output == "json" else finding_line(each))
    tell(
        f"{comparison.agreed:,} catalogs, instances and bindings are as their service brokers say, "
        f"{len(comparison.findings):,} findings; {comparison.unasked:,} instances and bindings are of brokers that do "
        "not let anybody ask for them."
    )


def _show(report: ImportReport, *, output: str, applies: bool) -> None:
    if output == "json":
        for entry in report.entries:
            click.echo(write_json(as_json(entry)).decode())
    elif table := as_table(report.entries):
        click.echo(table)
    tell(f"\n{as_summary(report.summary)}")
    if not applies:
        tell("This was a dry run: nothing has been stored. To import what fits, give --yes.")
