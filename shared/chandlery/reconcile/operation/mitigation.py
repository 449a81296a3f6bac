"""Orphan mitigation as data: after which answers may something exist at the broker that nobody knows of?

Source: OSB v2.17, "Orphan Mitigation". Updates never lead to it. A connection that breaks after the request was
written counts as a timeout; one that never came about does not.
"""

from dataclasses import dataclass

from chandlery.model.objects.annotations import Mitigation, RequestedActions
from chandlery.model.objects.wire import WireModel
from chandlery.reconcile.answers import Answer, Verb, Verdict
from chandlery.reconcile.policies.broker_policy import BrokerPolicy

CREATED = 201
ACCEPTED = 202

_MITIGATED: dict[Verb, frozenset[Verdict]] = {
    Verb.PROVISION: frozenset({Verdict.UNEXPECTED, Verdict.BROKEN, Verdict.TIMED_OUT}),
    Verb.BIND: frozenset({Verdict.UNEXPECTED, Verdict.BROKEN, Verdict.TIMED_OUT}),
    Verb.POLL_INSTANCE: frozenset({Verdict.OPERATION_FAILED}),
    Verb.POLL_BINDING: frozenset({Verdict.OPERATION_FAILED}),
}
_MALFORMED_STATUSES = frozenset({CREATED, ACCEPTED})


def needs_mitigation(answer: Answer) -> bool:
    """Whether a DELETE has to follow. For last_operation the caller knows that the operation was a creation."""
    if answer.verdict == Verdict.MALFORMED:
        # 200 with an unreadable body is a failure without mitigation; 201 and 202 are not (2.17).
        return answer.verb in (Verb.PROVISION, Verb.BIND) and answer.status in _MALFORMED_STATUSES
    return answer.verdict in _MITIGATED.get(answer.verb, frozenset())


@dataclass(frozen=True)
class AwaitMitigationDecision:
    """Something may be left of a failed creation, and a person has to say what becomes of it."""


@dataclass(frozen=True)
class WaiveMitigation:
    """Something may be left of a failed creation, and a person wants it left there."""


class Cause(WireModel):
    """How the creation failed that is cleaned up after: what a condition says of it."""

    reason: str
    message: str


def chosen_mitigation(requested: RequestedActions, policy: BrokerPolicy) -> Mitigation:
    """What becomes of what a failed creation may have left: the object's own word counts, else its broker's policy."""
    return requested.mitigation or (Mitigation.AUTOMATIC if policy.mitigates else Mitigation.MANUAL)
