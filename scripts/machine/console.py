"""How the scripts speak to the person who ran them: progress on stderr, results on stdout, faults in one sentence."""

import subprocess
import sys
from collections.abc import Callable
from typing import Final

MISSING_SOFTWARE: Final = 3


class MachineFault(Exception):
    """A script cannot go on; the text is the whole message and `exit_code` becomes the status of the command."""

    def __init__(self, text: str, *, exit_code: int = 1) -> None:
        super().__init__(text)
        self.exit_code = exit_code


class MissingSoftwareFault(MachineFault):
    """Something has to be installed by a person, and the text says what."""

    def __init__(self, text: str) -> None:
        super().__init__(text, exit_code=MISSING_SOFTWARE)


def say(text: str) -> None:
    """Report one step of progress."""
    print(f"· {text}", file=sys.stderr, flush=True)


def run_command(main: Callable[[], int]) -> None:
    """Run a script's `main` and leave the process with its status; a fault is printed without a traceback."""
    try:
        status = main()
    except MachineFault as fault:
        print(f"error: {fault}", file=sys.stderr)
        status = fault.exit_code
    except PermissionError as error:
        print(f"error: {error.filename} belongs to another user ({error.strerror})", file=sys.stderr)
        status = 1
    except subprocess.TimeoutExpired as error:
        words = error.cmd if isinstance(error.cmd, str) else " ".join(map(str, error.cmd[:2]))
        print(f"error: {words} … took longer than {error.timeout:.0f} seconds", file=sys.stderr)
        status = 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        status = 130
    sys.exit(status)
