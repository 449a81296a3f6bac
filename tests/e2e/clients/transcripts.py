"""Transcripts: prose, commands and the exact answers to them, in one plain text file per subject.

    Anything at the left margin is for people.
      $ kubectl get namespace default -o name
      namespace/default
      $ kubectl create namespace default
      ! Error from server (AlreadyExists): namespaces "default" already exists
      [1]

A command may go on in lines that begin with `> `. Then come its standard output, its standard error after `! `, and
its exit code in brackets unless that is 0. Where versions of kubectl differ, `@1.20` begins the answer to that one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

_INDENT: Final = "  "
_COMMAND, _MORE, _ERROR, _VERSION = "$ ", "> ", "! ", "@"


@dataclass(frozen=True)
class Answer:
    """What one command left behind, as lines of a transcript without their indent."""

    lines: tuple[str, ...]

    @classmethod
    def of(cls, out: str, err: str, code: int) -> Self:
        """From the two streams and the exit code."""
        errors = [f"{_ERROR}{line}".rstrip() for line in err.rstrip().splitlines()]
        return cls((*out.rstrip().splitlines(), *errors, *([f"[{code}]"] if code else [])))

    @property
    def code(self) -> int:
        """The exit code."""
        last = self.lines[-1] if self.lines else ""
        return int(last[1:-1]) if last.startswith("[") and last.endswith("]") and last[1:-1].isdigit() else 0


@dataclass(frozen=True)
class Step:
    """A command and its answers by version of kubectl; the key is empty where all versions agree."""

    prose: tuple[str, ...]
    command: tuple[str, ...]
    answers: Mapping[str, Answer]

    @property
    def script(self) -> str:
        """For a shell."""
        return "\n".join(self.command)


def parsed(text: str) -> list[Step]:
    """The steps of a transcript. Prose after the last command is lost."""
    steps: list[Step] = []
    prose: list[str] = []
    lines = text.splitlines()
    at = 0
    while at < len(lines):
        if not lines[at].startswith(_INDENT + _COMMAND):
            prose.append(lines[at])
            at += 1
            continue
        command = [lines[at].removeprefix(_INDENT + _COMMAND)]
        at += 1
        while at < len(lines) and lines[at].startswith(_INDENT + _MORE.rstrip()):
            command.append(lines[at].removeprefix(_INDENT + _MORE.rstrip()).removeprefix(" "))
            at += 1
        answer: list[str] = []
        while at < len(lines) and _belongs_to_answer(lines[at:]):
            answer.append(lines[at].removeprefix(_INDENT))
            at += 1
        steps.append(Step(tuple(prose), tuple(command), _by_version(answer)))
        prose = []
    return steps


def written(steps: list[Step]) -> str:
    """The text of a transcript; what `parsed` reads."""
    lines: list[str] = []
    for step in steps:
        first, *more = step.command
        lines += step.prose
        lines.append(f"{_INDENT}{_COMMAND}{first}")
        lines += [f"{_INDENT}{_MORE}{line}".rstrip() for line in more]
        for version, answer in step.answers.items():
            lines += [f"{_INDENT}{_VERSION}{version}"] if version else []
            lines += [f"{_INDENT}{line}".rstrip() for line in answer.lines]
    return "\n".join(lines) + "\n"


def recorded(step: Step, answers: Mapping[str, Answer]) -> Step:
    """The step with these answers, once for all where they agree."""
    distinct = set(answers.values())
    return Step(step.prose, step.command, {"": distinct.pop()} if len(distinct) == 1 else dict(answers))


def _belongs_to_answer(lines: list[str]) -> bool:
    """The first of them, which may be empty if the answer goes on."""
    line = next(filter(None, lines), "")
    return line.startswith(_INDENT) and not line.startswith(_INDENT + _COMMAND)


def _by_version(lines: list[str]) -> dict[str, Answer]:
    found: dict[str, list[str]] = {"": []}
    version = ""
    for line in lines:
        if line.startswith(_VERSION):
            version = line.removeprefix(_VERSION)
            found.pop("", None)
            found[version] = []
        else:
            found[version].append(line)
    return {each: Answer(tuple(answer)) for each, answer in found.items()}
