"""The entry point of `chandlery`: a process that is to be ready soon imports its modules with the collector at rest."""

import gc
from importlib import import_module

from chandlery.process.commands.left_out import leave_out


def main() -> None:
    """Run the command line. Services let the collector go on as soon as all is imported; other commands are brief."""
    gc.disable()
    leave_out()
    import_module("chandlery.process.commands.cli").main()
