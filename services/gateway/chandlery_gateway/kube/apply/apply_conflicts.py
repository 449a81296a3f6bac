"""What keeps a server-side apply from going ahead, in the words of kube-apiserver, which kubectl and tools parse."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from chandlery.model.faults import Fault
from chandlery.model.json.json_text import read_json, write_json
from chandlery_gateway.kube.apply.field_sets import FieldPath
from chandlery_gateway.kube.apply.managed_fields import UPDATE, Entry

CAUSE: Final = "FieldManagerConflict"
_MOST_TOLD: Final = 100
"""Of the fields one by one: an answer must not be larger than what it answers."""


@dataclass(frozen=True, slots=True)
class FieldConflict:
    """A field that was to change, and who owns it."""

    entry: Entry
    path: FieldPath

    @property
    def owner(self) -> str:
        """The manager, and by what kind of write it has come to own the field."""
        owner = _quoted(self.entry.manager)
        if self.entry.subresource:
            owner += f" with subresource {_quoted(self.entry.subresource)}"
        return f"{owner} using {self.entry.api_version}" if self.entry.operation == UPDATE else owner

    @property
    def field(self) -> str:
        """The path of the field: `.spec.parameters.size`, `.status.conditions[type="Ready"].reason`."""
        return "".join(_step(key) for key in self.path)


class ApplyConflict(Fault):
    """Other managers own fields that the configuration changes; apply with force to take them."""

    def __init__(self, conflicts: tuple[FieldConflict, ...]) -> None:
        self.conflicts = conflicts
        count = f"{len(conflicts)} conflict{'s' if len(conflicts) > 1 else ''}"
        super().__init__(f"Apply failed with {count}: {_told(conflicts)}")

    @property
    def causes(self) -> list[dict[str, str]]:
        """One cause a field, for the details of the `Status`; of very many the first."""
        return [
            {"reason": CAUSE, "message": f"conflict with {conflict.owner}", "field": conflict.field}
            for conflict in self.conflicts[:_MOST_TOLD]
        ]


def _told(conflicts: tuple[FieldConflict, ...]) -> str:
    if len(conflicts) == 1:
        return f"conflict with {conflicts[0].owner}: {conflicts[0].field}"
    more = len(conflicts) - _MOST_TOLD
    return "\n".join((*_lines(conflicts[:_MOST_TOLD]), *((f"and {more} more",) if more > 0 else ())))


def _lines(conflicts: tuple[FieldConflict, ...]) -> Iterator[str]:
    said = ""
    for conflict in conflicts:
        if conflict.owner != said:
            said = conflict.owner
            yield f"conflicts with {said}:"
        yield f"- {conflict.field}"


def _step(key: str) -> str:
    match key[:2]:
        case "f:":
            return f".{key[2:]}"
        case "k:":
            keys: dict[str, Any] = read_json(key[2:])
            return f"[{','.join(f'{name}={_quoted(value)}' for name, value in sorted(keys.items()))}]"
        case "v:":
            return f"[={key[2:]}]"
    return f"[{key[2:]}]"


def _quoted(value: Any) -> str:
    return write_json(value).decode()
