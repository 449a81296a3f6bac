"""Reads the locks in `requirements/`: which package in which version, with which hashes, and who wants it. Pure."""

import re
from dataclasses import dataclass
from typing import Final

from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

_PIN: Final = re.compile(r"(?P<name>[A-Za-z0-9][\w.-]*)==(?P<version>[^\s;\\]+)")
_HASH: Final = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_WANTS: Final = re.compile(r"# +(?:via +)?(?!via$)(?P<who>[A-Za-z0-9][\w.-]*)(?: \(pyproject\.toml.*\))?")
ROOT: Final = "chandlery"


@dataclass(frozen=True)
class Pinned:
    """One package of a lock."""

    name: NormalizedName
    version: Version
    hashes: tuple[str, ...]
    wanted_by: tuple[str, ...]
    """Packages of the lock, or `chandlery` itself."""


def read_lock(text: str) -> list[Pinned]:
    """All packages of a lock as `uv pip compile --generate-hashes` writes it, by name."""
    pinned = []
    for block in _blocks(text):
        found = _PIN.match(block[0])
        if found is None:
            continue
        wants = (_WANTS.fullmatch(line.strip()) for line in block[1:])
        pinned.append(
            Pinned(
                name=canonicalize_name(found["name"]),
                version=Version(found["version"]),
                hashes=tuple(_HASH.findall("\n".join(block))),
                wanted_by=tuple(canonicalize_name(each["who"]) for each in wants if each),
            )
        )
    return sorted(pinned, key=lambda each: each.name)


def _blocks(text: str) -> list[list[str]]:
    """A package's line with those that belong to it: they are indented."""
    blocks: list[list[str]] = []
    for line in text.splitlines():
        if line[:1] in ("", "#"):
            continue
        if line[0] != " ":
            blocks.append([line])
        elif blocks:
            blocks[-1].append(line)
    return blocks
