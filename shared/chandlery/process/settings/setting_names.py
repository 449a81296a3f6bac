"""Which names are settings, and what to say of those that are none. Pure; `settings.py` asks before it reads any value.

A name that is passed over in silence is a setting that does not count, and nobody notices.
"""

import re
from collections.abc import Collection, Iterator, Mapping

from chandlery.model.text.nearest_names import nearest_names

PREFIX = "CHANDLERY_"
CONFIG_FILE = "config_file"
_OF_TESTS = f"{PREFIX}TEST_"
_OF_COMPOSE = f"{PREFIX}PUBLISHED_PORT"
_LINK_NAME = re.compile(r"\w+_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)")
_LINK_VALUE = re.compile(r"(tcp|udp|sctp)://.*")


def unknown_variables(environment: Mapping[str, str], fields: Collection[str]) -> Iterator[str]:
    """A sentence for each `CHANDLERY_*` variable that is no setting. Values are not told."""
    known = [f"{PREFIX}{field.upper()}" for field in fields]
    for name in sorted(environment):
        shown = name.upper()
        if not shown.startswith(PREFIX) or shown in known or is_of_others(shown, environment[name]):
            continue
        # Without the prefix: that alone makes all of them look alike.
        yield f"{name} is no setting{_meant(shown.removeprefix(PREFIX), fields, is_variable=True)}"


def unknown_keys(given: Collection[str], fields: Collection[str], *, file: str) -> Iterator[str]:
    """A sentence for each key of the file that is no setting."""
    for key in given:
        if key == CONFIG_FILE:
            yield f"{key} in {file} has no effect: no file names another one"
        elif key not in fields:
            plain = key.lower().removeprefix(PREFIX.lower())
            hint = f"; write {plain}" if plain in fields else _meant(plain, fields)
            yield f"{key} in {file} is no setting{hint}"


def is_of_others(name: str, value: str) -> bool:
    """Whether the variable has our prefix by chance: Kubernetes names those of a Service after it, Compose its own."""
    if name.startswith(_OF_TESTS) or name == _OF_COMPOSE:
        return True
    return _LINK_NAME.fullmatch(name) is not None or is_link(name, value)


def is_link(name: str, value: str) -> bool:
    """Whether it is the address of a Service, `CHANDLERY_PORT` for one called `chandlery`, and no port of ours."""
    return name.endswith("_PORT") and _LINK_VALUE.fullmatch(value) is not None


def _meant(name: str, fields: Collection[str], *, is_variable: bool = False) -> str:
    near = nearest_names(name, fields, most=1)
    if not near:
        return ""
    return f"; did you mean {f'{PREFIX}{near[0].upper()}' if is_variable else near[0]}?"
