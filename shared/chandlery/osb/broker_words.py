"""What a service broker says for people, made fit to be shown: bounded, on one line, nothing that steers a terminal."""

import re
from http import HTTPStatus

LONGEST = 1_000
"""Characters kept of a broker's description."""

_BREAKS = re.compile(r"[\t\n\v\f\r\x85\u2028\u2029]+")
# C0, DEL and C1 controls, and the marks that turn the direction of text.
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]+")


def cleaned(words: object) -> str | None:
    """The words without control characters, at most 1,000 characters; None for what is no text or is empty."""
    if not isinstance(words, str):
        return None
    # Cut first, so that a megabyte of text costs no more than a line.
    text = _CONTROLS.sub("", _BREAKS.sub(" ", words[: 2 * LONGEST])).strip()
    if len(text) > LONGEST:
        text = text[: LONGEST - 1] + "…"
    return text or None


def phrase(status: int) -> str:
    """What to say of a status that came without a description."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "the broker gave no description"
