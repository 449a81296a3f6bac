"""What `chandlery doctor` asks, and what comes of it. Services bring checks of their own (`Service.doctor_checks`)."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from chandlery.model.faults import ConfigurationFault, Fault


class State(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARN = "warn"
    """It works, and somebody should see to it."""
    FAIL = "fail"
    """Something does not work, or will not for long."""
    SKIPPED = "skipped"
    """It could not be looked at: what it needs has failed, or was left out."""
    UNUSED = "unused"
    """There is nothing to look at: this installation does not use it."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a check has found. No text of it may hold a secret."""

    state: State
    message: str
    """What was found."""
    remedy: str = ""
    """The setting or the command that helps, where it is not green."""
    blocks: str = ""
    """Why nothing that needs this check can be looked at; empty if it can."""
    is_late: bool = False
    """Whether there was no answer in time; whatever was asked may still be at it."""


Look = Callable[[], "Result | Awaitable[Result]"]
"""May raise a Fault, which is what was found then. One that returns no awaitable has a thread of its own."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One question about the installation."""

    id: str
    section: str
    question: str
    look: Look
    needs: tuple[str, ...] = ()
    """The ids of checks that come before this one, and without which it cannot be answered."""
    blocks: str = ""
    """What those that need it are told, if it raises or has no answer in time."""


SETTINGS: Final = "settings"
MACHINE: Final = "machine"
CERTIFICATES: Final = "certificates"
ACCESS: Final = "access"
DATABASE: Final = "database"
KEYS: Final = "keys"
RABBITMQ: Final = "rabbitmq"
WORK: Final = "work"
SECTIONS: Final = (SETTINGS, MACHINE, CERTIFICATES, ACCESS, DATABASE, KEYS, RABBITMQ, WORK)
"""In the order in which they are told."""


def ok(message: str) -> Result:
    """All is well."""
    return Result(state=State.OK, message=message)


class Maker(Protocol):
    """Makes the checks of one section."""

    def __call__(self, name: str, question: str, *, look: Look, needs: tuple[str, ...] = (), blocks: str = "") -> Check:
        """See Check, whose id the name is."""


def checks_of(section: str) -> Maker:
    """What makes the checks of this section."""

    def make(name: str, question: str, *, look: Look, needs: tuple[str, ...] = (), blocks: str = "") -> Check:
        return Check(id=name, section=section, question=question, look=look, needs=needs, blocks=blocks)

    return make


def counted(count: int, noun: str) -> str:
    """`1 key`, `2 keys`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def in_a_row(names: Sequence[str]) -> str:
    """`a, b and c`."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def some_of(names: Sequence[str], *, most: int = 3) -> str:
    """The first of them, and how many more there are."""
    return f"{', '.join(names[:most])}{f' and {len(names) - most} more' if len(names) > most else ''}"


def warn(message: str, remedy: str) -> Result:
    """It works, and somebody should see to it."""
    return Result(state=State.WARN, message=message, remedy=remedy)


def fail(message: str, remedy: str, *, blocks: str = "") -> Result:
    """It does not work."""
    return Result(state=State.FAIL, message=message, remedy=remedy, blocks=blocks)


def unused(message: str) -> Result:
    """There is nothing to look at."""
    return Result(state=State.UNUSED, message=message)


def skipped(why: str) -> Result:
    """It cannot be looked at, and neither can what needs it."""
    return Result(state=State.SKIPPED, message=why, blocks=why)


def failed_with(fault: Fault, *, otherwise: str = "", blocks: str = "") -> Result:
    """A fault as what was found: most of them end with the way out; `otherwise` is that of those that do not."""
    message, _, remedy = fault.message.rpartition("; ")
    if not message:
        message, remedy = fault.message, otherwise or _usual_remedy(fault)
    return fail(message.rstrip("."), remedy, blocks=blocks)


def _usual_remedy(fault: Fault) -> str:
    if not isinstance(fault, ConfigurationFault):
        return "look at the log of what was asked, and try again"
    if fault.message.startswith("not set: "):
        return "set what is missing (docs/settings.md)"
    if "cannot be read: " in fault.message:
        return "correct its name, or let this user read it"
    return "set it right (docs/settings.md)"


def worst(*results: Result, joined_with: str = "; ") -> Result:
    """Several findings as one: the worst state, and what is not green, or all of it if everything is."""
    order = (State.FAIL, State.WARN, State.OK, State.SKIPPED, State.UNUSED)
    state = min((each.state for each in results), key=order.index)
    told = [each for each in results if each.state in (State.FAIL, State.WARN)] or list(results)
    told.sort(key=lambda each: order.index(each.state))
    return Result(
        state=state,
        message=joined_with.join(each.message for each in told if each.message),
        remedy=joined_with.join(dict.fromkeys(each.remedy for each in told if each.remedy)),
        blocks=next((each.blocks for each in results if each.blocks), ""),
    )
