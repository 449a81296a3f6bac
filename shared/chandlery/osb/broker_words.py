"""What a service broker says for people, made fit to be shown: bounded, on one line, nothing that steers a terminal."""

from http import HTTPStatus

from chandlery.model.clean_text import clean_text

LONGEST = 1_000
"""Characters kept of a broker's description."""


def cleaned(words: object) -> str | None:
    """The words without control characters, at most 1,000 characters; None for what is no text or is empty."""
    if not isinstance(words, str):
        return None
    return clean_text(words, longest=LONGEST) or None


def phrase(status: int) -> str:
    """What to say of a status that came without a description."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "the broker gave no description"
