"""How a process is told to end: the first signal asks for it, the second one for it now. Used by `process.py`."""

import asyncio
import signal
from collections.abc import Collection, Mapping
from typing import Final

import structlog

log = structlog.get_logger(__name__)

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
_MOST_NAMES: Final = 5


class Ending:
    """What SIGTERM and SIGINT (Ctrl-C) have asked for so far."""

    def __init__(self, name: str, *, seconds: float) -> None:
        """`seconds` is how long work under way may go on."""
        self.stop = asyncio.Event()
        self.hurry = asyncio.Event()
        self.under_way: Mapping[str, str] = {}
        """What is waited for, in words, by uid."""
        self._name = name
        self._seconds = seconds

    def listen(self) -> None:
        """Take the signals from now on."""
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self.ask)

    def ask(self) -> None:
        """One more signal has come."""
        if not self.stop.is_set():
            log.info(stopping_words(self._name, self.under_way.values(), self._seconds), action="begin_stop")
            self.stop.set()
            return
        if not self.hurry.is_set():
            log.warning(f"{self._name} ends now and releases unfinished work", action="end_now")
            self.hurry.set()
            # A third one is not ours any more: it ends the process like any other.
            loop = asyncio.get_running_loop()
            for number in _SIGNALS:
                loop.remove_signal_handler(number)
                signal.signal(number, signal.SIG_DFL)


def stopping_words(name: str, under_way: Collection[str], seconds: float) -> str:
    """What a stop waits for, and for how long at most."""
    second = "a second Ctrl-C or SIGTERM"
    if not under_way:
        return f"{name} is stopping: open requests are answered for up to {seconds:g} s; {second} ends it now"
    shown = sorted(under_way)[:_MOST_NAMES]
    more = f" and {len(under_way) - len(shown)} more" if len(under_way) > len(shown) else ""
    whose = f"{', '.join(shown)}{more}"
    return f"{name} is stopping: it waits up to {seconds:g} s for {whose}; {second} releases the work and ends now"
