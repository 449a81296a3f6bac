"""Ages as kubectl prints them: `70s`, `2m5s`, `3h`, `5d4h`. Source: apimachinery's `duration.HumanDuration`."""

from datetime import datetime, timedelta

_MINUTE = 60
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR
_YEAR = 365 * _DAY


def age(since: str | None, *, now: datetime) -> str:
    """The AGE cell of an object created at this RFC 3339 time; `<unknown>` without one."""
    if not since:
        return "<unknown>"
    return human_duration(now - datetime.fromisoformat(since))


def human_duration(length: timedelta) -> str:
    """The duration in at most two units, coarser the longer it is; two seconds of clock skew count as none."""
    seconds = int(length.total_seconds())
    if seconds < 0:
        return "0s" if seconds >= -1 else "<invalid>"
    if seconds < 2 * _MINUTE:
        return f"{seconds}s"
    if seconds < 10 * _MINUTE:
        return _two_units(seconds, (_MINUTE, "m"), (1, "s"))
    if seconds < 3 * _HOUR:
        return f"{seconds // _MINUTE}m"
    if seconds < 8 * _HOUR:
        return _two_units(seconds, (_HOUR, "h"), (_MINUTE, "m"))
    if seconds < 2 * _DAY:
        return f"{seconds // _HOUR}h"
    if seconds < 8 * _DAY:
        return _two_units(seconds, (_DAY, "d"), (_HOUR, "h"))
    if seconds < 2 * _YEAR:
        return f"{seconds // _DAY}d"
    if seconds < 8 * _YEAR:
        return _two_units(seconds, (_YEAR, "y"), (_DAY, "d"))
    return f"{seconds // _YEAR}y"


def _two_units(seconds: int, large: tuple[int, str], small: tuple[int, str]) -> str:
    whole, rest = divmod(seconds, large[0])
    part = rest // small[0]
    return f"{whole}{large[1]}{part}{small[1]}" if part else f"{whole}{large[1]}"
