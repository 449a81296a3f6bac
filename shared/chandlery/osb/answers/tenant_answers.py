"""What whoever registered a broker in a namespace is told of an answer. Pure.

A user who may register a broker chooses whom this platform connects to, from inside its network. If failures differed,
each try would tell whether a host exists, a port is open, what listens there, and what it says. So there are two kinds
of answers: those that a service broker gives, which are shown as they are, and everything else, which all look alike:
refused, timed out, no TLS, a bad certificate, a page of HTML, an error of something that is no broker.

An error counts as a broker's if its body is a JSON object with OSB's `description`, or one of OSB's error codes.
"""

from typing import Final

from chandlery.reconcile.answers import Answer, Verb, Verdict

UNIFORM: Final = "the broker cannot be reached, or what answers at spec.url is no service broker"
OSB_CODES: Final = frozenset({"AsyncRequired", "ConcurrencyError", "RequiresApp", "MaintenanceInfoConflict"})
"""OSB v2.17, "Service Broker Errors"."""
_DONE: Final = frozenset({Verdict.SUCCEEDED, Verdict.ACCEPTED, Verdict.IN_PROGRESS, Verdict.OPERATION_FAILED})
_ERRORS: Final = frozenset({Verdict.REJECTED, Verdict.BROKEN, Verdict.GONE})
_DELETIONS: Final = frozenset({Verb.DEPROVISION, Verb.UNBIND, Verb.POLL_INSTANCE, Verb.POLL_BINDING})


def is_brokers_answer(answer: Answer) -> bool:
    """Whether this is how a service broker answers."""
    if answer.verdict in _DONE:
        return answer.verb != Verb.GET_CATALOG or isinstance(answer.body.get("services"), list)
    if answer.verdict == Verdict.UNCHANGED:
        return True
    if answer.verdict == Verdict.GONE and answer.verb in _DELETIONS:
        # Whatever it says besides: the end of a deletion must be seen.
        return True
    if answer.verdict not in _ERRORS or answer.status is None:
        return False
    return isinstance(answer.body.get("description"), str) or answer.body.get("error") in OSB_CODES


def for_tenants(answer: Answer) -> Answer:
    """The answer as it is, or as all look alike: like one that nobody knows what came of."""
    if is_brokers_answer(answer):
        return answer
    return Answer(verb=answer.verb, verdict=Verdict.TIMED_OUT, description=UNIFORM, secrets=answer.secrets)
