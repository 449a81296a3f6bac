"""What people see: steps, commands as if typed, and what they print. Colours only on a terminal."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from machine.console import MachineFault

_BOLD, _DIM, _GREEN, _PLAIN = "1", "2", "32", "0"
_COMMAND_SECONDS: Final = 90.0


class Terminal:
    """Prints, and runs commands where the manifests are."""

    def __init__(self, *, folder: Path, programs: Mapping[str, Path], environment: Mapping[str, str]) -> None:
        """`programs` says what a command's first word stands for, where that is not looked for on PATH."""
        self._folder = folder
        self._programs = programs
        self._environment = dict(environment)
        self.commands = 0

    def step(self, text: str) -> None:
        """Announce what comes next."""
        print(f"\n{_colour(_BOLD, f'# {text}')}", flush=True)

    def show_file(self, name: str) -> None:
        """Print a manifest."""
        self._say_command(["cat", name])
        print((self._folder / name).read_text().rstrip(), flush=True)

    def run(self, *words: str) -> str:
        """Show a command and what it prints; answers that.

        Raises:
            MachineFault: it fails, or takes longer than a minute and a half.
        """
        self._say_command(words)
        self.commands += 1
        program = str(self._programs.get(words[0], words[0]))
        try:
            done = subprocess.run(
                [program, *words[1:]],
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=_COMMAND_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise MachineFault(f"`{' '.join(words)}` did not end within {_COMMAND_SECONDS:.0f} seconds") from error
        print(done.stdout.rstrip(), flush=True)
        if done.returncode != 0:
            raise MachineFault(f"`{' '.join(words)}` failed with status {done.returncode}")
        return done.stdout

    @staticmethod
    def _say_command(words: Sequence[str]) -> None:
        shown = " ".join(f"'{word}'" if set(word) & set(" {}$") else word for word in words)
        print(f"{_colour(_GREEN, '$')} {_colour(_BOLD, shown)}", flush=True)


def say_progress(text: str) -> None:
    """One quiet line."""
    print(_colour(_DIM, f"· {text}"), flush=True)


def _colour(code: str, text: str) -> str:
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    return f"\033[{code}m{text}\033[{_PLAIN}m"
