"""How severe a line has to be, by the module that writes it: what settings and a file say, as data.

`chandlery.osb=debug` is about `chandlery.osb` and every module in it; the longest name that fits wins. `*` stands for
every module of Chandlery. Names of libraries are those of Python's `logging`: `aiormq`, `sqlalchemy.engine`.
"""

import re
from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from chandlery.model.faults import ConfigurationFault
from chandlery.model.text.clean_text import quoted
from chandlery.model.text.names import nearest_names

DEBUG: Final = 10
INFO: Final = 20
WARNING: Final = 30
ERROR: Final = 40
CRITICAL: Final = 50
LEVELS: Final[Mapping[str, int]] = {
    "debug": DEBUG,
    "info": INFO,
    "warning": WARNING,
    "error": ERROR,
    "critical": CRITICAL,
}
EVERY_MODULE: Final = "*"
OURS: Final = "chandlery"

_CHOICE: Final = "debug, info, warning, error or critical"
_SERVICES: Final = "chandlery.services"
"""The entry points of services, whose packages are ours as well."""
_NAME: Final = re.compile(r"\w+(\.\w+)*")

Levels = Mapping[str, int]
"""The lowest level, by name."""


def read_levels(text: str, *, source: str) -> dict[str, int]:
    """`name=level`, with commas or on lines of their own; `#` begins a comment.

    Raises ConfigurationFault, which names `source` and what is wrong there.
    """
    return dict(_level(part, source) for part in _parts(text))


def level_of(name: str, levels: Levels) -> int | None:
    """What is said of this logger, or of a package that it is in; None if nothing is."""
    while name:
        if name in levels:
            return levels[name]
        name = name.rpartition(".")[0]
    return None


def is_ours(name: str) -> bool:
    """Whether a module of Chandlery writes under this name, and not a library."""
    return name.startswith(OURS)


def _parts(text: str) -> Iterator[str]:
    for line in text.splitlines():
        for part in line.partition("#")[0].split(","):
            if plain := part.strip():
                yield plain


def _level(part: str, source: str) -> tuple[str, int]:
    name, sign, level = (word.strip() for word in part.partition("="))
    if not sign:
        raise ConfigurationFault(f"{source}: {quoted(part)} names no level; write {part[:80]}=debug")
    if level.lower() not in LEVELS:
        raise ConfigurationFault(f"{source}: {quoted(part)} has an unknown level; write {_CHOICE}")
    if name != EVERY_MODULE and not _NAME.fullmatch(name):
        raise ConfigurationFault(
            f"{source}: {quoted(part)} begins with no name of a module; write for example chandlery.osb=debug"
        )
    if is_ours(name) and not _is_there(name):
        near = nearest_names(name, _modules(), most=1)
        hint = f"; did you mean {near[0]}?" if near else "; write for example chandlery.osb=debug"
        raise ConfigurationFault(f"{source}: {quoted(part)} names a module that does not exist{hint}")
    return name, LEVELS[level.lower()]


def _is_there(name: str) -> bool:
    top, *rest = name.split(".")
    return any(Path(place, *rest).is_dir() or Path(place, *rest).with_suffix(".py").is_file() for place in _places(top))


def _places(package: str) -> list[str]:
    found = find_spec(package)
    return list(found.submodule_search_locations or ()) if found is not None else []


def _modules() -> Iterator[str]:
    """All names that a module or package of Chandlery has."""
    for package in (OURS, *sorted({each.module.partition(".")[0] for each in entry_points(group=_SERVICES)})):
        for place in _places(package):
            for path in Path(place).rglob("*.py"):
                inner = path.relative_to(place).with_suffix("").parts
                yield ".".join((package, *(part for part in inner if part != "__init__")))
