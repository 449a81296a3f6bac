"""`chandlery deadletters`: what the workers gave up on, for an operator to look at, put back or remove."""

import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

import click

from chandlery.contracts.dead_letters import DeadLetter
from chandlery.messaging.bus import DeadLetters
from chandlery.model.faults import BadRequest, NotFound
from chandlery.process.choices.bus_choice import open_letters
from chandlery.process.commands.command_group import SuggestingGroup
from chandlery.process.commands.deadletter_views import as_json, as_sheet, as_table, queue_of
from chandlery.process.event_loop import run as run_loop
from chandlery.process.logs.logs import configure_logs
from chandlery.settings.settings import load_settings

_Result = TypeVar("_Result")

_output = click.option(
    "-o", "--output", type=click.Choice(["table", "json"]), default="table", help="Form of the answer."
)
_queue = click.option("--queue", default="", help="Only those of this queue: its name, or the beginning of it.")
_all = click.option("--all", "takes_all", is_flag=True, help="All of them, or all in the --queue.")
_ids = click.argument("ids", nargs=-1)


@click.group(cls=SuggestingGroup)
def deadletters() -> None:
    """List, show, replay or drop the messages that workers gave up on.

    They are on the RabbitMQ of CHANDLERY_AMQP_URL. Nothing is lost with them: the work is in the database.
    """


@deadletters.command(name="list")
@_queue
@_output
def list_letters(queue: str, output: str) -> None:
    """List the dead letters, oldest first in each queue."""
    letters = _lying_in(queue, _run(_everything))
    if output == "json":
        click.echo(json.dumps([as_json(letter) for letter in letters], indent=2))
    elif letters:
        click.echo(as_table(letters, now=datetime.now(UTC)))
    else:
        click.echo("There are no dead letters.", err=True)


@deadletters.command()
@click.argument("id")
@click.option("--body", is_flag=True, help="Print the body too. That may be anything if it is unreadable.")
@_output
def show(id: str, output: str, *, body: bool) -> None:  # noqa: A002 - what users call it
    """Show one dead letter. ID may be any beginning that no other one has."""
    letter = _one(_run(_everything), id)
    if output == "json":
        said = {"body": letter.body.decode(errors="backslashreplace")} if body else {}
        click.echo(json.dumps(as_json(letter) | said, indent=2))
    else:
        click.echo(as_sheet(letter, body=body))


@deadletters.command()
@_ids
@_all
@_queue
def replay(ids: tuple[str, ...], queue: str, *, takes_all: bool) -> None:
    """Put messages back where they came from, to be tried anew."""
    choice = _Choice(ids, queue, takes_all)

    async def act(bus: DeadLetters) -> tuple[int, int]:
        chosen = choice.among(await bus.all())
        return len(chosen), len(await bus.replay({letter.id for letter in chosen}))

    wanted, done = _run(act)
    click.echo(f"{done} replayed")
    if done < wanted:
        raise NotFound(
            f"{wanted - done} stayed: their queue of origin is unknown, or another process has just taken them."
        )


@deadletters.command()
@_ids
@_all
@_queue
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def drop(ids: tuple[str, ...], queue: str, *, takes_all: bool, yes: bool) -> None:
    """Remove messages for good."""
    choice = _Choice(ids, queue, takes_all)
    chosen = choice.among(_run(_everything))
    if chosen and not yes:
        click.confirm(f"Remove {len(chosen)} dead letters permanently?", abort=True, err=True)
    # Those that were asked about, and none that came since.
    dropped = _run(lambda bus: bus.drop({letter.id for letter in chosen})) if chosen else []
    click.echo(f"{len(dropped)} removed")


@dataclass(frozen=True)
class _Choice:
    """Which letters are meant. Nothing and everything at once are mistakes of the user."""

    ids: tuple[str, ...]
    queue: str
    takes_all: bool

    def __post_init__(self) -> None:
        if bool(self.ids) == self.takes_all:
            raise click.UsageError("Name the dead letters by their ids, or use --all.")

    def among(self, letters: Sequence[DeadLetter]) -> Sequence[DeadLetter]:
        """The chosen ones. Raises NotFound and BadRequest for an id that means none or several."""
        candidates = _lying_in(self.queue, letters)
        return candidates if self.takes_all else [_one(candidates, wanted) for wanted in self.ids]


def _lying_in(queue: str, letters: Sequence[DeadLetter]) -> Sequence[DeadLetter]:
    return [letter for letter in letters if queue_of(letter).startswith(queue)]


def _one(letters: Sequence[DeadLetter], wanted: str) -> DeadLetter:
    exact = [letter for letter in letters if letter.id == wanted]
    found = exact or [letter for letter in letters if letter.id.startswith(wanted)]
    if not found:
        raise NotFound(f"There is no dead letter whose id begins with {wanted!r}.")
    if len({letter.id for letter in found}) > 1:
        raise BadRequest(f"{len(found)} dead letters have ids that begin with {wanted!r}; use a longer prefix.")
    return found[0]


async def _everything(bus: DeadLetters) -> Sequence[DeadLetter]:
    return await bus.all()


def _run(work: Callable[[DeadLetters], Awaitable[_Result]]) -> _Result:
    settings = load_settings()
    # What concerns the processes is in their logs, and of a refused connection our fault tells.
    configure_logs(level="error", form="console")
    for client in ("aiormq", "aio_pika"):
        logging.getLogger(client).setLevel(logging.CRITICAL)

    async def run() -> _Result:
        async with open_letters(settings) as letters:
            return await work(letters)

    return run_loop(run())
