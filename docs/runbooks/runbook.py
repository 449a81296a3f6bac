# ruff: noqa: INP001 - part of a script
"""What a runbook says: the form of the sections that `generate_troubleshooting.py` writes, one for each alert."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Runbook:
    """What somebody reads who was woken. Markdown, but for `type`, which are lines for a shell."""

    means: str
    """What has happened, and who is hurt by it."""
    look: tuple[str, ...]
    """Where to look, in this order, and what each finding means."""
    type: tuple[str, ...]
    """Commands, each with a comment that says what for."""
    over: str
    """How to know that it is over: ends the sentence "It is over when …"."""
