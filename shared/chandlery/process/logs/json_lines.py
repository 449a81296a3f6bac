"""Renders a line for machines: JSON with the fields of `ecs_fields.py`, in one pass over what the caller has said.

Whatever somebody else has said and a line repeats is bounded here, and has nothing that steers a terminal.
"""

import os
import socket
from collections.abc import MutableMapping
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import version
from typing import Any, Final

from chandlery.model.json.json_text import write_json
from chandlery.model.text.clean_text import LOG_LONGEST, TRACE_LONGEST, clean_text
from chandlery.process.logs.ecs_fields import ECS_VERSION, HIDDEN, NAMES, OWN
from chandlery.process.logs.log_levels import OURS

_WHOLE: Final = frozenset({OURS, "up"})
_NANOSECONDS: Final = 1_000_000
_MOST_BITS: Final = 64
_DURATION: Final = NAMES["ms"]
_TRACE: Final = NAMES["exception"]
_TIME, _LEVEL, _MESSAGE, _SERVICE = (NAMES[key] for key in ("at", "level", "event", "service"))


class JsonLines:
    """Renders lines of one process; what is the same on all of them is rendered once."""

    def __init__(self, service: str) -> None:
        """`service` is on every line that no service of this process has written."""
        self._service = service
        always = {
            NAMES["version"]: version("chandlery"),
            NAMES["host"]: socket.gethostname(),
            NAMES["pid"]: os.getpid(),
            NAMES["ecs"]: ECS_VERSION,
        }
        self._end = f",{write_json(always).decode()[1:]}"

    def __call__(self, _logger: Any, _method: str, entry: MutableMapping[str, Any]) -> str:
        """The line, without its end."""
        line: dict[str, Any] = {
            _TIME: utc_now(),
            _LEVEL: entry.pop("level"),
            _MESSAGE: cleaned(entry.pop("event", "")),
            _SERVICE: _service_name(entry.pop("service", self._service)),
        }
        for key, value in entry.items():
            # What is not known has no field.
            if value is None or value == "":
                continue
            name = NAMES.get(key)
            if name is None:
                line[f"{OWN}{key}"] = "<hidden>" if key in HIDDEN else shown(value)
            elif type(value) is str and len(value) < LOG_LONGEST and value.isprintable():
                # Nearly all of them.
                line[name] = value
            elif name is _DURATION:
                line[name] = round(value * _NANOSECONDS)
            else:
                line[name] = cleaned_block(value) if name is _TRACE else shown(value)
        return f"{write_json(line).decode()[:-1]}{self._end}"


@lru_cache
def _service_name(service: str) -> str:
    """As traces name the service; a process with all of them has the name of the whole."""
    return OURS if service in _WHOLE or "+" in service else f"{OURS}-{service}"


def utc_now() -> str:
    """The moment, as ISO 8601 has it."""
    return f"{datetime.now(UTC).isoformat(timespec='milliseconds')[:-6]}Z"


def shown(value: Any) -> Any:
    """What may stand in a line: a number, a clean text, or a list of them."""
    if isinstance(value, str):
        return cleaned(value)
    if isinstance(value, float) or (isinstance(value, int) and value.bit_length() <= _MOST_BITS):
        return value
    if isinstance(value, int):
        # To write it down takes quadratic time.
        return f"a number of {value.bit_length()} bits"
    if isinstance(value, list | tuple | set | frozenset):
        return [cleaned(str(each)) for each in value]
    # Its own form, and not its fields: a type that hides something does so there.
    return cleaned(repr(value))


def cleaned(text: str) -> str:
    """On one line, and bounded."""
    return clean_text(text, longest=LOG_LONGEST)


def cleaned_block(text: str) -> str:
    """Bounded, with its lines."""
    return clean_text(text, longest=TRACE_LONGEST, keeps_lines=True, keeps_end=TRACE_LONGEST // 2)
