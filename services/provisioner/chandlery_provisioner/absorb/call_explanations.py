"""How a failed call about an instance is told, with a word on the errors that the protocol gives a meaning. Pure.

Source: OSB v2.17, "Service Broker Errors". The code alone counts: brokers word their descriptions as they like.
"""

from typing import Final

from chandlery.reconcile.answers import Answer
from chandlery.reconcile.call_failure import call_failure
from chandlery.reconcile.status_draft import joined

CONCURRENCY: Final = "ConcurrencyError"
MAINTENANCE_CONFLICT: Final = "MaintenanceInfoConflict"
_UNPROCESSABLE = 422

_MEANINGS: Final = {
    CONCURRENCY: "The service broker is still busy with another operation on the instance",
    "AsyncRequired": "The service broker can only work asynchronously, and overlooks that every request allows it to",
    MAINTENANCE_CONFLICT: "The version of the service is not the one that the broker offers now, so its catalog is "
    "fetched again",
}


def explained(what: str, answer: Answer) -> str:
    """What failed, what the broker had to say, and what that means."""
    message = call_failure(what, answer)
    meaning = _MEANINGS.get(answer.error or "") if answer.status == _UNPROCESSABLE else None
    return joined(message, meaning) if meaning else message


def is_out_of_date(answer: Answer) -> bool:
    """Whether the broker says that we know an old catalog."""
    return answer.status == _UNPROCESSABLE and answer.error == MAINTENANCE_CONFLICT
