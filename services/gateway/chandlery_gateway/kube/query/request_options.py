"""What a write's query says besides the object: dry run, field validation, field manager and force.

Each verb has its own set of options in Kubernetes (`CreateOptions` and so on), which faults name.
"""

from dataclasses import dataclass
from typing import Final, Protocol

from chandlery.model.faults import FieldProblem, Invalid
from chandlery_gateway.kube.apply.managed_fields import LONGEST_MANAGER
from chandlery_gateway.kube.body.decoding import FieldValidation

_YES: Final = frozenset({"true", "1", "t", "T", "TRUE", "True"})
_UNKNOWN: Final = "unknown"


class Query(Protocol):
    """The parameters of a URL, of which each may be given several times."""

    def getlist(self, key: str, /) -> list[str]:
        """All values of a parameter."""
        ...


class InvalidOptions(Invalid):
    """The options of the request are not valid."""

    def __init__(self, options: str, *problems: FieldProblem) -> None:
        """`options` is what Kubernetes calls those of this verb."""
        self.subject = f'{options}.meta.k8s.io ""'
        super().__init__(problems=problems)


@dataclass(frozen=True, kw_only=True)
class WriteOptions:
    """How a create, update, patch or apply is meant."""

    dry_run: bool = False
    field_validation: FieldValidation = FieldValidation.WARN
    field_manager: str = ""
    force: bool = False


def read_write_options(query: Query, options: str, *, is_apply: bool = False) -> WriteOptions:
    """The options of a write.

    Raises:
        InvalidOptions: a word that is none of those expected, or force and field manager where they must not be, or be.
    """
    force = query.getlist("force")
    manager = _one(query, "fieldManager")
    if force and not is_apply:
        raise InvalidOptions(
            options, FieldProblem("force", "FieldValueForbidden", "may not be specified for non-apply patch")
        )
    if is_apply and not manager:
        raise InvalidOptions(options, FieldProblem("fieldManager", "FieldValueRequired", "is required for apply patch"))
    if len(manager.encode()) > LONGEST_MANAGER:
        problem = f"may be {LONGEST_MANAGER} bytes long"
        raise InvalidOptions(options, FieldProblem("fieldManager", "FieldValueTooLong", problem))
    if not manager.isprintable():
        problem = "should only contain printable characters"
        raise InvalidOptions(options, FieldProblem("fieldManager", "FieldValueInvalid", problem))
    return WriteOptions(
        dry_run=is_dry_run(query.getlist("dryRun"), options),
        field_validation=_field_validation(_one(query, "fieldValidation"), options),
        field_manager=manager,
        force=bool(force) and force[-1] in _YES,
    )


def is_dry_run(values: list[str], options: str) -> bool:
    """Whether nothing is to be stored; raises InvalidOptions for any word but All."""
    if any(value != "All" for value in values):
        raise InvalidOptions(options, FieldProblem("dryRun", "FieldValueNotSupported", 'supported values: "All"'))
    return bool(values)


def author_name(manager: str, user_agent: str) -> str:
    """The field manager, or else the program that sends the request: what stands before the first slash."""
    if manager:
        return manager
    program = "".join(char for char in user_agent.partition("/")[0] if char.isprintable())
    return program.encode()[:LONGEST_MANAGER].decode(errors="ignore") or _UNKNOWN


def _one(query: Query, name: str) -> str:
    values = query.getlist(name)
    return values[-1] if values else ""


def _field_validation(text: str, options: str) -> FieldValidation:
    if not text:
        return FieldValidation.WARN
    if text not in tuple(FieldValidation):
        known = ", ".join(f'"{word}"' for word in FieldValidation)
        raise InvalidOptions(
            options, FieldProblem("fieldValidation", "FieldValueNotSupported", f"supported values: {known}")
        )
    return FieldValidation(text)
