"""`Retry-After`: a broker's wish to be left alone for a while (OSB v2.17, "Polling"; RFC 9110, section 10.2.3)."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST_SECONDS = 7 * 24 * 3600.0
"""No wait is longer than the longest operation."""


def seconds_until(header: str | None, now: datetime) -> float | None:
    """Seconds from now, for a number of seconds or an HTTP date; None where it is absent, past or unreadable."""
    if header is None:
        return None
    text = header.strip()
    seconds = float(text) if text.isascii() and text.isdigit() else _until_date(text, now)
    return min(seconds, LONGEST_SECONDS) if seconds is not None and seconds > 0 else None


def _until_date(text: str, now: datetime) -> float | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - now).total_seconds()
