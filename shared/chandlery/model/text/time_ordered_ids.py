"""Ids that sort by the time they were made: UUIDs of version 7 (RFC 9562, section 5.7), to the microsecond."""

import os
import time
from datetime import datetime
from hashlib import blake2b
from typing import Final

_VERSION: Final = 0x7 << 76
_VARIANT: Final = 0b10 << 62
_RANDOM_BYTES: Final = 8
_RANDOM_BITS: Final = (1 << 62) - 1


def time_ordered_id(nanoseconds: int | None = None) -> str:
    """A new id; of this moment, given in nanoseconds since the epoch, or of now."""
    return _text(nanoseconds or time.time_ns(), int.from_bytes(os.urandom(_RANDOM_BYTES)) & _RANDOM_BITS)


def time_ordered_id_of(moment: datetime, *of: str) -> str:
    """The id of this moment for what the texts tell: always the same one."""
    digest = blake2b("\0".join(of).encode(), digest_size=_RANDOM_BYTES).digest()
    return _text(_nanoseconds(moment), int.from_bytes(digest) & _RANDOM_BITS)


def first_id_of(moment: datetime) -> str:
    """No id that was made at the moment or later sorts before this. Before 1970 none was made."""
    return _text(max(0, _nanoseconds(moment)), 0)


def _nanoseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000_000) * 1_000


def _text(nanoseconds: int, random: int) -> str:
    milliseconds, rest = divmod(nanoseconds, 1_000_000)
    # The twelve bits beside the version go on with the fraction of the millisecond (section 6.2, method 3).
    fraction = rest * 4096 // 1_000_000
    digits = f"{milliseconds << 80 | _VERSION | fraction << 64 | _VARIANT | random:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
