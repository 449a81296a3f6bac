"""Whether a certificate is valid, and for how long yet. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from chandlery.process.commands.doctor.check import Result, fail, ok, unused, warn, worst

SOON: Final = timedelta(days=30)
"""Who renews certificates by hand needs some time for it."""


def validity(what: str, begin: datetime | None, end: datetime, *, now: datetime, remedy: str) -> Result:
    """Of one certificate; `what` names it. Without a beginning it has begun."""
    if end < now:
        return fail(f"{what} has expired on {_shown(end)}", remedy)
    if begin is not None and begin > now:
        return fail(f"{what} is not valid before {_shown(begin)}", f"{remedy}, or set this machine's clock right")
    if end - now < SOON:
        return warn(f"{what} expires on {_shown(end)}, in {_days(end - now)}", remedy)
    return ok(f"{what} is valid until {end:%Y-%m-%d}")


def authorities(what: str, ends: Sequence[datetime], *, now: datetime, remedy: str) -> Result:
    """Of several certificates in one file, of which one that is valid will do: some are on their way out."""
    return validity(what, None, max(ends), now=now, remedy=remedy)


def all_of(results: Sequence[Result], *, otherwise: str) -> Result:
    """Several files as one result; `otherwise` says that there is none."""
    return worst(*results) if results else unused(otherwise)


def _days(left: timedelta) -> str:
    if left < timedelta(days=2):
        return f"{int(left / timedelta(hours=1))} hours"
    return f"{left.days} days"


def _shown(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
