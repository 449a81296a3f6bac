"""`since=24h` of a field selector: no field, but how far back a list of what has happened goes. Pure."""

from datetime import datetime, timedelta
from typing import Final

from chandlery.model.faults import BadRequest
from chandlery.model.text.durations import parse_duration

SINCE: Final = "since"


def moment_of(value: str, now: datetime) -> datetime:
    """The moment so long before now. Raises BadRequest for what is no duration, for none, and for one to come."""
    refused = BadRequest(f"field label {SINCE}: must be a duration of more than 0, such as 15m or 24h")
    try:
        length = parse_duration(value)
        moment = now - length
    except (ValueError, OverflowError):
        raise refused from None
    if length <= timedelta(0):
        raise refused
    return moment


def given_twice(label: str) -> BadRequest:
    """What is told of a label of which only one value can be meant."""
    return BadRequest(f"field label {label}: may be given once")
