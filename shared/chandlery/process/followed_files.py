"""Small files that are read again when they change: certificates, keys, tokens, policies, levels of the log."""

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import structlog

from chandlery.model.faults import ConfigurationFault

EVERY_SECONDS: Final = 5.0

log = structlog.get_logger(__name__)


class FollowedFiles:
    """Small files that belong together."""

    def __init__(self, what: str, paths: Sequence[Path]) -> None:
        """`what` names them for the log. To be made before they are read for the first time."""
        self._what = what
        self._paths = paths
        self._seen = _sums(paths)

    async def follow(self, reload: Callable[[], None]) -> None:
        """Call `reload` after each change, for ever; what it refuses with ConfigurationFault goes to the log."""
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            # Beside the loop: a volume may hang.
            now = await asyncio.to_thread(_sums, self._paths)
            if now != self._seen:
                self._seen = now
                self._reload(reload)

    def _reload(self, reload: Callable[[], None]) -> None:
        try:
            reload()
        except ConfigurationFault as fault:
            message = f"{fault.message}; the previous version of {self._what} stays in use"
            log.error(message, action="reload_files")  # noqa: TRY400 - a mistake of somebody, not of ours
        except Exception as error:  # noqa: BLE001 - the next change is to be seen all the same
            # Without the trace, which would show what the file holds.
            why = type(error).__name__
            log.error(f"{self._what} could not be read again: {why}", action="reload_files")  # noqa: TRY400
        else:
            log.info(f"{self._what} has changed and is now in use", action="reload_files")


def _sums(paths: Sequence[Path]) -> list[bytes | None]:
    return [_sum(path) for path in paths]


def _sum(path: Path) -> bytes | None:
    try:
        return hashlib.sha256(path.read_bytes()).digest()
    except OSError:
        # Perhaps it is just being replaced; whoever reads it says what is wrong.
        return None
