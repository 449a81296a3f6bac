"""Durations as Kubernetes manifests write them: Go's syntax, such as `15m`, `1h30m` or `1.5s`."""

import re
from datetime import timedelta
from fractions import Fraction

_UNIT_NANOSECONDS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "μs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_PART = r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)"
_PARTS = re.compile(_PART, re.ASCII)
_DURATION = re.compile(rf"([-+]?)(0|(?:{_PART})+)", re.ASCII)
_LONGEST_TEXT = 64
_LONGEST_NANOSECONDS = 2**63 - 1


def parse_duration(text: str) -> timedelta:
    """The duration that Go's `time.ParseDuration` reads from the text; what is finer than a microsecond is cut off.

    Raises:
        ValueError: not a duration, or longer than Go can hold (about 292 years); the message is for the user.
    """
    match = _DURATION.fullmatch(text) if len(text) <= _LONGEST_TEXT else None
    if match is None:
        raise ValueError("must be a duration such as 30s, 15m or 1h30m (units: h, m, s, ms, us, ns)")
    nanoseconds = sum(
        (Fraction(number) * _UNIT_NANOSECONDS[unit] for number, unit in _PARTS.findall(match[2])), Fraction()
    )
    if nanoseconds > _LONGEST_NANOSECONDS:
        raise ValueError("must be a shorter duration: the longest is about 292 years")
    length = timedelta(microseconds=int(nanoseconds // 1000))
    return -length if match[1] == "-" else length
