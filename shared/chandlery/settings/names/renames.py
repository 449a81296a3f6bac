"""Settings that have another name now: the old one works for one more release, with a warning that names the new one.

Comes in: what is set in the environment and in the file, by name.
Goes out: problems (both names are given), warnings, and what was given under the names of today.
Called by: `settings.py`, which reads by these names; the commands, which log the warnings; `chandlery doctor`;
`docs/generate_settings.py`.

Whoever renames a setting adds a line to `RENAMED`, with the release that no longer takes the old name: the one after
the next. A test fails when that release has come, so that the line goes.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

PREFIX: Final = "CHANDLERY_"
ValueT = TypeVar("ValueT")


@dataclass(frozen=True)
class RenamedSetting:
    """Names as fields of `Settings` are called; releases as in `docs/releases.md`."""

    old: str
    new: str
    since: str
    """The release that has the new name first."""
    until: str
    """The first release that refuses the old one."""

    @property
    def old_variable(self) -> str:
        return f"{PREFIX}{self.old.upper()}"

    @property
    def new_variable(self) -> str:
        return f"{PREFIX}{self.new.upper()}"


RENAMED: Sequence[RenamedSetting] = ()
"""None so far."""


def old_names(new: str | None = None) -> Sequence[str]:
    """All of them, or those of one setting of today."""
    return [each.old for each in RENAMED if new in (None, each.new)]


def under_new_names(given: Mapping[str, ValueT], *, prefix: str = "") -> dict[str, ValueT]:
    """What was given, by the names of today; `prefix` is what stands before each, in the case of `given`."""
    new = {f"{prefix}{each.old}": f"{prefix}{each.new}" for each in RENAMED}
    return {new.get(name, name): value for name, value in given.items()}


def given_twice(variables: Collection[str], keys: Collection[str], *, file: str) -> Iterator[str]:
    """A sentence for each setting that has a value under both names: nobody knows which of them is meant."""
    for each in RENAMED:
        old, new = _places(each, variables, keys, file=file)
        if old and new:
            yield (
                f"{old[0]} and {new[0]} are both set: {each.old_variable} is the old name of {each.new_variable}; "
                f"remove {old[0]}"
            )


def old_names_used(variables: Collection[str], keys: Collection[str], *, file: str) -> Iterator[str]:
    """A sentence for each setting that is given by its old name alone."""
    for each in RENAMED:
        old, new = _places(each, variables, keys, file=file)
        if old and not new:
            is_key = old[0] != each.old_variable
            yield (
                f"{old[0]} is called {each.new if is_key else each.new_variable} since release {each.since}; "
                f"the old name works until release {each.until}, which refuses it"
            )


def _places(
    renamed: RenamedSetting, variables: Collection[str], keys: Collection[str], *, file: str
) -> tuple[Sequence[str], Sequence[str]]:
    """Where the old name is given, and where the new one: as people call these places."""
    upper = {name.upper() for name in variables}

    def places(field: str) -> Sequence[str]:
        variable = f"{PREFIX}{field.upper()}"
        of_variable = [variable] if variable in upper else []
        return [*of_variable, *([f"{field} in {file}"] if field in keys else [])]

    return places(renamed.old), places(renamed.new)
