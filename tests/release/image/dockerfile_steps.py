"""A Dockerfile as its stages and instructions, for those that ours have; anything else is an error."""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_VARIABLE: Final = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_NEEDS_NOTHING: Final = frozenset({"EXPOSE"})


@dataclass
class Stage:
    """One `FROM` and what follows it."""

    base: str
    name: str
    steps: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class Configuration:
    """What an image says of the process that is started from it."""

    environment: dict[str, str]
    arguments: dict[str, str] = field(default_factory=dict)
    folder: str = "/"
    user: str = "0:0"
    entry: list[str] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)

    def filled_in(self, text: str) -> str:
        """With variables of ENV and ARG in their places; what is not known is empty, as it is for docker."""
        known = {**self.arguments, **self.environment}
        return _VARIABLE.sub(lambda found: known.get(found[1] or found[2], ""), text)

    def take(self, word: str, rest: str) -> None:
        """An instruction that changes no file; AssertionError for one that is not known here."""
        match word:
            case "ENV":
                self.environment |= {name: self.filled_in(value) for name, value in _pairs(rest)}
            case "LABEL":
                self.labels |= {name: self.filled_in(value) for name, value in _pairs(rest)}
            case "ARG":
                name, _, value = rest.partition("=")
                self.arguments[name] = self.arguments.get(name, "") or self.filled_in(value)
            case "WORKDIR":
                self.folder = rest
            case "USER":
                self.user = rest
            case "ENTRYPOINT":
                self.entry = json.loads(rest)
            case "CMD":
                json.loads(rest)
            case _:
                assert word in _NEEDS_NOTHING, f"{word} is not carried out here"


def stages_of(path: Path) -> tuple[dict[str, str], list[Stage]]:
    """The defaults of `ARG` before the first stage, and the stages in order."""
    defaults: dict[str, str] = {}
    stages: list[Stage] = []
    lines = [line for line in path.read_text().splitlines() if not line.lstrip().startswith("#")]
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        word, _, rest = line.strip().partition(" ")
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            stages.append(Stage(base.strip(), name.strip() or f"stage {len(stages)}"))
        elif word and stages:
            stages[-1].steps.append((word, rest.strip()))
        elif word:
            assert word == "ARG", line
            name, _, value = rest.partition("=")
            defaults[name] = value
    return defaults, stages


def _pairs(text: str) -> list[tuple[str, str]]:
    found = re.findall(r'([\w.]+)=(?:"([^"]*)"|(\S+))', text)
    return [(name, quoted or bare) for name, quoted, bare in found]
