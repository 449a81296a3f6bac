"""How Python's garbage collector is kept from holding the event loop: it stops everything while it looks.

A look at all objects takes as long as there are objects. So what is there for good is taken out of its sight, and it
looks at the rest more rarely: after a million objects more than there were, and not after 70,000, which one large
request makes. What is not in a cycle, which is nearly everything, goes at once without it.
"""

import gc
from typing import Final

_THRESHOLDS: Final = (2_000, 10, 50)


def let_collector_go_on() -> None:
    """Called when all is imported, which `start` does with the collector at rest."""
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
    gc.enable()


def keep_from_collector() -> None:
    """Called when a process is ready: what is there by now stays to its end."""
    gc.collect()
    gc.freeze()
