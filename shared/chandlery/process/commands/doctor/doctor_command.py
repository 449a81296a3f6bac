"""`chandlery doctor`: checks the installation from where it runs, with the services' settings, and changes nothing."""

import logging
import os
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

import click

from chandlery.model.faults import ConfigurationFault
from chandlery.model.text.names import nearest_names
from chandlery.process.commands.chosen_settings import data_dir_option
from chandlery.process.commands.doctor.check import SETTINGS, Check, fail
from chandlery.process.commands.doctor.check_run import Outcome, run_checks, with_needed
from chandlery.process.commands.doctor.doctor_report import SIGNS, as_json, as_lines, exit_status
from chandlery.process.commands.doctor.every_check import every_check
from chandlery.process.commands.doctor.looks.settings_looks import READ
from chandlery.process.commands.doctor.surroundings import Surroundings
from chandlery.process.commands.doctor.up_settings import chosen_folder, settings_to_check
from chandlery.process.event_loop import run as run_loop
from chandlery.process.logs.logs import configure_logs
from chandlery.store.roles.grants import ROLES, Role

_UNREADABLE: Final = 2
_SECONDS: Final = 30.0
_CLIENTS: Final = ("aiormq", "aio_pika", "asyncio")


@click.command()
@data_dir_option
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="Form of the answer.")
@click.option(
    "--only", multiple=True, metavar="CHECK", help="Only this check or section, with what it needs; may be repeated."
)
@click.option("--skip", multiple=True, metavar="CHECK", help="Not this check or section; may be repeated.")
@click.option(
    "--timeout",
    "seconds",
    type=click.FloatRange(min=0, min_open=True),
    default=_SECONDS,
    show_default=True,
    metavar="SECONDS",
    help="How long all checks together may take.",
)
@click.option(
    "--service",
    type=click.Choice(ROLES),
    default=None,
    help="Whose settings these are.  [default: told from the database role, if there is one for each service]",
)
@click.option("--list", "lists", is_flag=True, help="List the checks and what each of them asks, and do nothing.")
def doctor(  # noqa: PLR0913 - each by its name
    data_dir: Path | None,
    output: str,
    only: tuple[str, ...],
    skip: tuple[str, ...],
    seconds: float,
    service: Role | None,
    *,
    lists: bool,
) -> None:
    """Check this installation from here: settings, servers, keys, queues, work; and say what helps.

    Reads the same settings as the services, and changes nothing. Exit status: 0 if nothing has failed, 1 if something
    has, 2 if the settings cannot be read.
    """
    _quiet()
    try:
        settings = settings_to_check(data_dir)
    except ConfigurationFault as fault:
        _tell([_unreadable(fault)], output)
        sys.exit(_UNREADABLE)
    around = Surroundings(settings, data_folder=chosen_folder(data_dir), service=service)
    checks = _chosen(every_check(around), only=only, skip=skip)
    if lists:
        _list(checks)
        return
    sys.exit(run_loop(_examine(around, checks, seconds, output)))


async def _examine(around: Surroundings, checks: Sequence[Check], seconds: float, output: str) -> int:
    """Run the checks and print what came of them; the exit status."""
    try:
        outcomes = await run_checks(checks, seconds=seconds)
    finally:
        await around.close()
    _tell(outcomes, output)
    if any(each.result.is_late for each in outcomes):
        # Threads of libraries may hang in what does not answer, and nobody is to wait for them.
        sys.stdout.flush()
        os._exit(exit_status(outcomes))
    return exit_status(outcomes)


def _unreadable(fault: ConfigurationFault) -> Outcome:
    question = "Can the settings be read, and is every name one?"
    check = Check(id=READ, section=SETTINGS, question=question, look=lambda: result)
    result = fail(fault.message, "correct them (docs/settings.md); nothing else could be checked")
    return Outcome(check, result)


def _chosen(checks: Sequence[Check], *, only: Collection[str], skip: Collection[str]) -> Sequence[Check]:
    known = {name for check in checks for name in (check.id, check.section)}
    for name in (*only, *skip):
        if name not in known:
            near = nearest_names(name, known, most=1)
            hint = f"did you mean {near[0]!r}?" if near else "see `chandlery doctor --list`"
            raise click.UsageError(f"There is no check {name!r}; {hint}")
    wanted = [check.id for check in checks if not only or {check.id, check.section} & {*only}]
    return [check for check in with_needed(checks, wanted) if not {check.id, check.section} & {*skip}]


def _list(checks: Sequence[Check]) -> None:
    width = max((len(each.id) for each in checks), default=0)
    for check in checks:
        click.echo(f"{check.section:<12} {check.id:<{width}}  {check.question}")


def _tell(outcomes: Sequence[Outcome], output: str) -> None:
    if output == "json":
        click.echo(as_json(outcomes))
        return
    for line in as_lines(outcomes, is_terminal=_has_signs()):
        click.echo(line)


def _has_signs() -> bool:
    """Whether there is a person to see them, and an encoding to send them in."""
    try:
        SIGNS.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def _quiet() -> None:
    """What goes wrong is in the results."""
    configure_logs(level="error", form="console", service="doctor")
    logging.disable(logging.CRITICAL)
