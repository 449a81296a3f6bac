"""Units as systemd reads them: the file of a unit, the folders beside it, specifiers, environment files, credentials.

Only as much as the units in deploy/systemd use; what is not known here is an error, so that nothing is passed over.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_ASSIGNMENT: Final = re.compile(r"([A-Za-z]+)=(.*)")
_SPECIFIER: Final = re.compile(r"%(.)")
UNITS: Final = "etc/systemd/system"


@dataclass(frozen=True)
class Unit:
    """One unit, drop-ins merged."""

    name: str
    root: Path
    """The folder that stands for /."""
    lines: tuple[tuple[str, str], ...]
    """Setting and value in the order of reading, specifiers not expanded."""

    def all(self, setting: str) -> list[str]:
        """Every value that counts: an empty one makes the list empty."""
        values: list[str] = []
        for key, value in self.lines:
            if key == setting:
                values = [*values, self._expanded(value)] if value else []
        return values

    def one(self, setting: str, default: str = "") -> str:
        """The last value."""
        return next(reversed(self.all(setting)), default)

    def command(self) -> list[str]:
        """ExecStart, in the root folder."""
        program, *words = shlex.split(self.one("ExecStart"))
        return [str(self.root) + program, *words]

    def credentials(self) -> dict[str, Path]:
        """The file of each LoadCredential."""
        pairs = (value.partition(":") for value in self.all("LoadCredential"))
        return {name: Path(f"{self.root}{path}") for name, _, path in pairs}

    def environment(self) -> dict[str, str]:
        """Environment=, and what EnvironmentFile= says over it."""
        found: dict[str, str] = {}
        for value in self.all("Environment"):
            found |= dict(word.split("=", 1) for word in shlex.split(value))
        for value in self.all("EnvironmentFile"):
            found |= dict(_of_environment_file(Path(f"{self.root}{value}")))
        return found

    def seconds(self, setting: str) -> float:
        """A time span that is given as a number of seconds."""
        return float(self.one(setting))

    @property
    def credentials_folder(self) -> str:
        """Where the process finds its credentials, `%d`."""
        return f"/run/credentials/{self.name}"

    def _expanded(self, value: str) -> str:
        instance = self.name.partition("@")[2].rpartition(".")[0]
        known = {
            "i": instance,
            "p": self.name.partition("@")[0].rpartition(".")[0] or self.name.partition("@")[0],
            "d": self.credentials_folder,
            "%": "%",
        }
        return _SPECIFIER.sub(lambda found: known[found[1]], value)


def read_unit(root: Path, name: str) -> Unit:
    """The unit of that name below `root`, with its instance if it is a template; FileNotFoundError if there is none."""
    folder = root / UNITS
    template = re.sub(r"@[^.]+\.", "@.", name)
    lines = [*_assignments(folder / template)]
    for drop_in in sorted(
        (path for place in _drop_in_folders(template) for path in (folder / place).glob("*.conf")),
        key=lambda path: path.name,
    ):
        lines += _assignments(drop_in)
    return Unit(name, root, tuple(lines))


def _drop_in_folders(template: str) -> Iterator[str]:
    """`chandlery-gateway@.service.d`, and `chandlery-.service.d` for all whose name begins so."""
    stem, _, kind = template.rpartition(".")
    yield f"{template}.d"
    words = stem.split("-")
    for count in range(1, len(words)):
        yield f"{'-'.join(words[:count])}-.{kind}.d"


def _assignments(path: Path) -> Iterator[tuple[str, str]]:
    for line in path.read_text().splitlines():
        if not line or line.startswith(("#", ";", "[")):
            continue
        found = _ASSIGNMENT.fullmatch(line)
        assert found is not None, f"{path.name}: {line}"
        yield found[1], found[2]


def _of_environment_file(path: Path) -> Iterator[tuple[str, str]]:
    for line in path.read_text().splitlines():
        if line.strip() and not line.startswith(("#", ";")):
            name, _, value = line.partition("=")
            yield name.strip(), "".join(shlex.split(value))
