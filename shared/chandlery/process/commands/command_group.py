"""Groups of commands that help who mistypes one, and that import a command only when it is run.

`cli.py` and `deadletters.py` make their commands with these.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

import click

from chandlery.model.text.names import nearest_names

_INDENT: Final = 2


class SuggestingGroup(click.Group):
    """Names the command that was probably meant."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Raises UsageError for a name that is no command."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            names = self.list_commands(ctx)
            near = nearest_names(args[0], names, most=1)
            way_out = f"did you mean {near[0]!r}?" if near else f"the commands are {', '.join(names)}."
            raise click.UsageError(f"{error.message.rstrip('.')}; {way_out}", ctx) from error


@dataclass(frozen=True)
class LazyCommand:
    """A command that is imported when it is asked for; the summary stands here, so that help imports nothing."""

    module: str
    attribute: str
    summary: str

    def load(self, name: str) -> click.Command:
        """The command; an attribute that is no command is a function that makes it by its name."""
        found: click.Command | Callable[[str], click.Command] = getattr(import_module(self.module), self.attribute)
        return found if isinstance(found, click.Command) else found(name)


class LazyGroup(SuggestingGroup):
    """Imports what a command needs when it is run: so a worker does not carry the gateway's web framework."""

    def __init__(self, *args: Any, lazy: Mapping[str, LazyCommand], **options: Any) -> None:
        super().__init__(*args, **options)
        self._lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """All names, in the order of the table."""
        return list(self._lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """The command of that name, imported now."""
        return self._lazy[cmd_name].load(cmd_name) if cmd_name in self._lazy else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """The table of commands, whole sentences in it, wrapped where they are long."""
        rows = [(name, command.summary) for name, command in self._lazy.items()]
        with formatter.section("Commands"):
            formatter.write_dl(rows, col_spacing=_INDENT)
