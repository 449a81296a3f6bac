"""What can go wrong on the way to a service broker. Transport faults never leave this package: they become answers."""

from chandlery.model.faults import Fault, FieldProblem

SHOWN_PROBLEMS = 10


class InvalidCatalog(Fault):
    """The catalog breaks the Open Service Broker API's rules."""

    def __init__(self, problems: tuple[FieldProblem, ...]) -> None:
        self.problems = problems
        shown = "; ".join(f"{problem.field}: {problem.message}" for problem in problems[:SHOWN_PROBLEMS])
        more = len(problems) - SHOWN_PROBLEMS
        super().__init__(f"the catalog is not valid: {shown}" + (f"; and {more} more problems" if more > 0 else ""))


class UnreadableRequest(Fault):
    """A stored request cannot be read by this version."""


class UnreadableText(Fault):
    """The text is not a JSON object."""


class TooManyValues(Fault):
    """The text would take more memory, or hold the process for longer, than one answer may."""


class NotInVersion(Fault):
    """The version of OSB that the broker is called by has no such request."""


class NothingSent(Fault):
    """The broker has not seen the request."""


class Misconfigured(NothingSent):
    """The broker cannot be called as it is declared. Trying again does not help."""


class Unreached(NothingSent):
    """No connection came about. Trying again is harmless."""


class ConnectionLost(Fault):
    """The connection broke before the answer was complete."""


class ClosedUnanswered(ConnectionLost):
    """The connection broke before a byte of the answer came."""


class StaleConnection(ClosedUnanswered):
    """The same, and the connection had served another request before: most likely closed while idle."""


class AnswerLost(Fault):
    """The broker may have seen the request, but there is no complete answer."""


class AnswerLate(AnswerLost):
    """The same, because the time for it was over."""
