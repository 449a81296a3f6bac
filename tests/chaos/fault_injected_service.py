"""Starts a service like `chandlery <name>` does, with its steps wrapped so that faults can be injected.

Its planned faults come by the environment; see `fault_injection`. The fork server calls `run` in a
process that it has forked.
"""

import os
import sys
from collections.abc import Sequence

from chandlery.process.commands.cli import main
from tests.chaos.fault_injection import NAME, FaultInjector
from tests.chaos.fault_steps import disturb_publishing, wrap_steps


def run(arguments: Sequence[str]) -> None:
    """Returns or exits as `chandlery` does."""
    injector = FaultInjector.of_environment()
    wrap_steps(injector)
    disturb_publishing(injector, os.environ.get("CHAOS_SEED", os.environ[NAME]))
    sys.argv = ["chandlery", *arguments]
    main()


if __name__ == "__main__":
    run(sys.argv[1:])
