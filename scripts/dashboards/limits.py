"""From where on a value is yellow and red, where several panels show the same: on all dashboards alike."""

from typing import Final

from dashboards.parts import Steps

ANY: Final = Steps(1, 1)
"""Of what there should be none."""
OLD_WORK: Final = Steps(30, 600)
"""Seconds that an object is due and nobody works on it."""
OLD_MESSAGE: Final = Steps(10, 60)
"""Seconds in the outbox."""
FAILED_CALLS: Final = Steps(0.05, 0.25)
"""Part of the calls to a service broker."""
SLOW_CALLS: Final = Steps(5, 10)
"""Seconds that nine in ten calls to a service broker take."""
UNANSWERED: Final = Steps(10, 20)
"""Seconds that a call to a service broker has been under way."""
SLOW_READY: Final = Steps(300, 900)
"""Seconds until an object is Ready."""
WATCHES_BEHIND: Final = Steps(5, 30)
"""Seconds."""
LATE_LOOP: Final = Steps(0.05, 0.1)
"""Seconds that the event loop is late; nothing of ours holds it above 50 ms."""
SLOW_REQUESTS: Final = Steps(0.5, 2)
"""Seconds that 99 in a hundred requests to the API take."""
SLOW_TRANSACTIONS: Final = Steps(0.25, 1)
"""Seconds that 99 in a hundred transactions take."""
FULL_POOL: Final = Steps(0.8, 1)
"""Part of a process' connections to the database."""
YES: Final = Steps(0.9, 0.5)
"""Of what is 1 if all is well, and else 0."""
