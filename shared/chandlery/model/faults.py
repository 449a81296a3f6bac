"""Our errors. A class's docstring is its default sentence; every fault can be shown to a user as it stands."""

from dataclasses import dataclass


class Fault(Exception):
    """Something went wrong."""

    def __init__(self, message: str | None = None) -> None:
        self.message = message or (self.__doc__ or "").strip()
        super().__init__(self.message)


@dataclass(frozen=True)
class FieldProblem:
    """One field that cannot be accepted: its JSON path, Kubernetes' cause word, and a sentence with the way out."""

    field: str
    reason: str
    message: str


class NotFound(Fault):
    """The object does not exist."""


class NamespaceNotFound(NotFound):
    """The namespace of an object does not exist."""

    def __init__(self, namespace: str, message: str) -> None:
        """It is the namespace that was not found, not what was to be put there."""
        self.namespace = namespace
        super().__init__(message)


class AlreadyExists(Fault):
    """An object of that name exists already."""


class Conflict(Fault):
    """The object has been modified; read the latest version and apply your change to it."""


class Invalid(Fault):
    """The object is not valid."""

    def __init__(self, message: str | None = None, *, problems: tuple[FieldProblem, ...] = (), name: str = "") -> None:
        """`name` is what the object would be called, where it got no further than its name."""
        self.problems = problems
        self.name = name
        super().__init__(message or "; ".join(f"{problem.field}: {problem.message}" for problem in problems) or None)


class Forbidden(Fault):
    """The request is understood and not allowed."""

    def __init__(self, message: str | None = None, *, problems: tuple[FieldProblem, ...] = ()) -> None:
        """`problems` are the fields that ask for what is not allowed, where it is fields that do."""
        self.problems = problems
        super().__init__(message or "; ".join(f"{problem.field}: {problem.message}" for problem in problems) or None)


class BadRequest(Fault):
    """The request cannot be understood."""


class Expired(Fault):
    """The resource version is too old; list again and watch from there."""


class LeaseLost(Fault):
    """The lease on this resource ran out while it was worked on; whoever holds it now decides."""


class Unavailable(Fault):
    """A server that is needed cannot be reached."""


class Refused(Unavailable):
    """A server that is needed refuses to work with us, and waiting does not help: a person has to see to it."""

    def __init__(self, message: str | None = None, *, is_setting: bool = False) -> None:
        """`is_setting` tells that a setting of ours is likely to be wrong."""
        self.is_setting = is_setting
        super().__init__(message)


class ConfigurationFault(Fault):
    """A setting is missing or wrong."""


class ParametersFault(Fault):
    """The parameters cannot be put together."""

    def __init__(
        self, message: str | None = None, *, source: str | None = None, waiting_for: str | None = None
    ) -> None:
        """`source` is the name of the part that cannot be used; `waiting_for` the wake-up key of what would help."""
        self.source = source
        self.waiting_for = waiting_for
        super().__init__(message)


class SealBroken(Fault):
    """Stored data cannot be decrypted with the configured keys."""
