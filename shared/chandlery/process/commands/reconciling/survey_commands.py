"""`chandlery reconcile brokers`, `adopt` and `mitigate`."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

from chandlery.model.json.json_text import write_json
from chandlery.process.commands.chosen_settings import data_dir_option
from chandlery.process.commands.reconciling.reconcile_run import Wish, carry_out, survey_brokers
from chandlery.process.commands.reconciling.reconcile_settings import settings_of
from chandlery.process.commands.reconciling.reconcile_views import done_json, done_table, finding_json, findings_table
from chandlery.process.commands.reconciling.surveys.records import read_records
from chandlery.process.commands.reconciling.taking_back import ADOPT, MITIGATE
from chandlery.process.commands.service_commands import run_to_the_end

DIFFERENT: Final = 3
"""Exit code: there are differences, or something could not be done."""
_record: Final = click.option(
    "--record",
    "records",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File of the time that was lost: workers' logs in JSON, the audit log's file, an export by kubectl, or lines "
    "of -o json. May be repeated, in any order.",
)
_output: Final = click.option(
    "-o", "--output", type=click.Choice(["table", "json"]), default="table", help="Form of the answer."
)


@click.command()
@_record
@_output
@data_dir_option
def brokers(records: tuple[Path, ...], output: str, data_dir: Path | None) -> None:
    """Compare the database with what service brokers have. Changes nothing, here or there.

    Where a catalog says instances_retrievable or bindings_retrievable, the broker is asked for each. OSB has no list of
    what there is: what the database has never heard of is found by a record.

    Exit codes: 0 no difference, 1 a server cannot be reached, 2 a mistake in settings or arguments, 3 differences.
    """
    found = run_to_the_end(survey_brokers(settings_of(data_dir), read_records(records), tell=_tell))
    if output == "json":
        for each in found.findings:
            click.echo(write_json(finding_json(each)).decode())
    elif table := findings_table(found.findings):
        click.echo(table)
    _tell(
        f"{found.agreed:,} instances and bindings are as their service brokers say, {len(found.findings):,} "
        f"differences; {found.unasked:,} are of brokers that do not let anybody ask, or were under way."
    )
    if found.findings:
        sys.exit(DIFFERENT)


def _acting(verb: str, summary: str) -> click.Command:
    """A command that does something about findings."""

    def act(**given: Any) -> None:
        _act(verb, **given)

    command: Callable[..., Any] = act
    for option in (
        data_dir_option,
        _output,
        _record,
        click.option("--dry-run", "shows", is_flag=True, help="Only show what would be done, as without --yes."),
        click.option("--yes", "applies", is_flag=True, help="Do it."),
        click.option("--all", "takes_all", is_flag=True, help="All that can be done so."),
        click.argument("items", nargs=-1),
    ):
        command = option(command)
    return click.command(name=verb, help=summary)(command)


def _act(verb: str, **given: Any) -> None:
    items, takes_all, applies = given["items"], given["takes_all"], given["applies"]
    if bool(items) == takes_all:
        raise click.UsageError("Name external ids or namespace/name, or give --all.")
    if applies and given["shows"]:
        raise click.UsageError("--yes and --dry-run cannot be combined")
    wish = Wish(verb=verb, items=items, applies=applies)
    done = run_to_the_end(carry_out(settings_of(given["data_dir"]), read_records(given["records"]), wish, tell=_tell))
    if given["output"] == "json":
        for each in done:
            click.echo(write_json(done_json(each)).decode())
    elif table := done_table(done):
        click.echo(table)
    failed = sum(bool(each.problem) for each in done)
    _tell(f"{len(done) - failed:,} {'done' if applies else 'would be done'}, {failed:,} not.")
    if not applies:
        _tell("Nothing has been changed. To do it, give --yes.")
    if failed:
        sys.exit(DIFFERENT)


def _tell(sentence: str) -> None:
    click.echo(sentence, err=True)


adopt: Final = _acting(
    ADOPT,
    """Make objects again for what service brokers have and the database does not, with the same ids.

    ITEMS are external ids, or namespace/name. Nothing is sent to the broker but GET requests; the objects are ready,
    and credentials are fetched where the broker shows them. A binding that was rotated since goes by its new id.
    """,
)
mitigate: Final = _acting(
    MITIGATE,
    """Delete what only one side has: at the service broker what is not here, and here what is not there.

    ITEMS are external ids, or namespace/name. The objects are made again as ones that are being deleted, so that
    workers unbind and deprovision them as they do with everything, once work is not held any more.
    """,
)
