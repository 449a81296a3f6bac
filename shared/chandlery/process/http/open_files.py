"""How many files and sockets the process may have open: looked at on start, before connections are promised.

`process` lifts the limit for every service; the gateway asks how many connections it can hold.
"""

import resource
from typing import Final

import structlog

from chandlery.model.faults import ConfigurationFault

_WANTED: Final = 65_536
"""More is never needed, and some systems say "unlimited"."""
_FEWEST_CONNECTIONS: Final = 50

log = structlog.get_logger(__name__)


def lift_open_file_limit() -> int:
    """Raise the soft limit towards the hard one; returns what it is now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = lifted(soft, hard)
    if wanted == soft:
        return soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError):
        # Some systems name a hard limit that they do not allow.
        return soft
    return wanted


def lifted(soft: int, hard: int) -> int:
    """The soft limit to ask for."""
    highest = _WANTED if hard == resource.RLIM_INFINITY else min(_WANTED, hard)
    return soft if soft == resource.RLIM_INFINITY else max(soft, highest)


def affordable_connections(wanted: int, *, reserved: int, limit: int) -> int:
    """How many of the wanted connections the limit of open files allows, besides what is reserved for all else.

    Says so in the log if these are fewer. Raises ConfigurationFault if it is hardly worth while to start.
    """
    allowed = wanted if limit == resource.RLIM_INFINITY else min(wanted, limit - reserved)
    if allowed < min(wanted, _FEWEST_CONNECTIONS):
        raise ConfigurationFault(
            f"the process may open {limit} files, which leaves {max(allowed, 0)} connections: "
            f"allow it at least {reserved + wanted} (`ulimit -n {reserved + wanted}`, or LimitNOFILE= of the unit)"
        )
    if allowed < wanted:
        log.warning(
            f"the process may open {limit} files, so it takes {allowed} connections instead of {wanted}: "
            f"allow it {reserved + wanted} (`ulimit -n`), or lower CHANDLERY_MAX_CONNECTIONS",
            action="check_open_files",
        )
    return allowed
