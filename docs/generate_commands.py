# ruff: noqa: INP001, E501 - a script, with the lines of a page
"""Writes `docs/commands.md` from the command line itself.

python docs/generate_commands.py            # write it
python docs/generate_commands.py --check    # exit 1 if it is stale
"""

import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

ROOT: Final = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from chandlery.process.commands.cli import BAD_CONFIGURATION, cli  # noqa: E402
from docs.generated_page import table, write_or_check  # noqa: E402

PAGE: Final = Path(__file__).with_name("commands.md")
_HELP: Final = "--help"
# What a default says of the home folder of whoever asks.
_HOME: Final = re.compile(rf"{re.escape(str(Path.home()))}(?=/)")
_HEAD: Final = f"""\
# Commands

<!-- Written by docs/generate_commands.py from the command line itself; edit there. -->

Everything is one program, `chandlery`, with a command for each service, one for all of them (`up`), and those of operators. Commands take their
[settings](settings.md) from the environment or from a file, as services do: run them where a process runs. `-h` or `--help` after any of them
says what stands here.

The exit status is 0 for what was done, 1 for what failed or does not hold, and {BAD_CONFIGURATION} for a mistake in the command line or the settings. A mistake
is one sentence on stderr that names what helps.
"""


def page() -> str:
    """The whole page."""
    return "\n".join([_HEAD, *_sections(cli, "chandlery")])


def every_command(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    """Commands and groups below a group, with all words of their names, in the order of its help."""
    if not isinstance(command, click.Group):
        return
    context = click.Context(command, info_name=name)
    for each in command.list_commands(context):
        found = command.get_command(context, each)
        if found is not None and not found.hidden:
            yield f"{name} {each}", found
            yield from every_command(found, f"{name} {each}")


def _sections(root: click.Group, name: str) -> Iterator[str]:
    for words, command in every_command(root, name):
        context = click.Context(command, info_name=words)
        usage = " ".join(context.get_usage().removeprefix("Usage:").split())
        parts = [f"## {words}", "", inspect.cleandoc(command.help or "").replace("\b\n", ""), "", f"    {usage}", ""]
        options = [record for each in command.params if (record := each.get_help_record(context))]
        rows = [[f"`{option}`", _plain(meaning)] for option, meaning in options if _HELP not in option]
        yield "\n".join([*parts, table(["option", "meaning"], rows)] if rows else parts)


def _plain(meaning: str) -> str:
    return _HOME.sub("~", " ".join(meaning.split()))


def main(arguments: list[str] | None = None) -> int:
    """Write the page, or check it; the exit status."""
    return write_or_check(PAGE, page(), arguments, script="generate_commands.py")


if __name__ == "__main__":
    sys.exit(main())
