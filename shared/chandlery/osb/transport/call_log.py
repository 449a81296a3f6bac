"""One log line for each call to a service broker. The client writes it; whose call it is, its caller has bound.

The words of the broker come here with all known secrets struck out of them.
"""

import structlog

from chandlery.osb.endpoint import BrokerEndpoint
from chandlery.reconcile.answers import Answer, Verdict

log = structlog.get_logger()

_FAILED = frozenset({Verdict.BROKEN, Verdict.TIMED_OUT, Verdict.UNREACHABLE, Verdict.MALFORMED, Verdict.UNEXPECTED})
_WENT_WELL = frozenset({Verdict.SUCCEEDED, Verdict.ACCEPTED, Verdict.IN_PROGRESS, Verdict.UNCHANGED, Verdict.GONE})


def say_called(endpoint: BrokerEndpoint, answer: Answer, *, request_id: str, seconds: float) -> None:
    """Tell of one call and what came of it: a warning where the broker, or the way to it, has failed."""
    ms, whose = round(seconds * 1000), structlog.contextvars.get_contextvars()
    name = "/".join(filter(None, (whose.get("namespace"), whose.get("name"))))
    came = answer.status if answer.status is not None else "no answer"
    facts = {
        "action": "call_broker",
        "operation": str(answer.verb),
        "status": answer.status or 0,
        "verdict": str(answer.verdict),
        "ms": ms,
        "request_identity": request_id,
        "url": endpoint.place,
    }
    why = "" if answer.verdict in _WENT_WELL else answer.error or answer.description or ""
    if why:
        facts["reason"] = why
    say = log.warning if answer.verdict in _FAILED else log.info
    say(f"{answer.verb} for {whose.get('kind', 'nobody')} {name}: {came} in {ms} ms", **facts)
