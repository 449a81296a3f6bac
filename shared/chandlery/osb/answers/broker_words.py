"""What a service broker says for people, made fit to be shown: bounded, on one line, nothing that steers a terminal."""

from itertools import islice
from typing import Final

from chandlery.model.objects.wire import JsonObject
from chandlery.model.text.clean_text import clean_text
from chandlery.osb.answers.json_bodies import first_words

LONGEST = 1_000
"""Characters kept of a broker's description."""
_KEYS: Final = (
    "description",
    "message",
    "error_description",
    "errormessage",
    "error_message",
    "detail",
    "details",
    "reason",
    "msg",
    "error",
    "errors",
    "title",
)
"""The most telling first; compared without regard to case."""
_MOST_KEYS, _MOST_ENTRIES, _DEEPEST = 100, 3, 4


def cleaned(words: object) -> str | None:
    """The words without control characters, at most 1,000 characters; None for what is no text or is empty."""
    if not isinstance(words, str):
        return None
    return clean_text(words, longest=LONGEST) or None


def reason_in(body: JsonObject | None, text: bytes | None) -> str | None:
    """Why a service broker fails, in its words, wherever it puts them; None if it does not say.

    OSB v2.17, "Service Broker Errors", has `description`; many frameworks have keys of their own, or plain text.
    """
    return _plain(text) if body is None else _reason(body, depth=1)


def _reason(body: JsonObject, *, depth: int) -> str | None:
    given = {str(key).casefold(): value for key, value in islice(body.items(), _MOST_KEYS)}
    if isinstance(body.get("error"), str):
        # OSB's code, which is shown as such.
        del given["error"]
    return next((words for key in _KEYS if (words := _words(given.get(key), depth=depth))), None)


def _words(value: object, *, depth: int) -> str | None:
    if isinstance(value, dict) and depth < _DEEPEST:
        return _reason(value, depth=depth + 1)
    if isinstance(value, list) and depth < _DEEPEST:
        found = (_words(each, depth=depth + 1) for each in value[:_MOST_ENTRIES])
        return cleaned("; ".join(filter(None, found)))
    return cleaned(value)


def _plain(text: bytes | None) -> str | None:
    if not text or text.lstrip()[:1] in (b"{", b"[", b'"'):
        # What was to be JSON may hold anything, credentials too.
        return None
    if text.lstrip()[:1] == b"<":
        words = first_words(text)
        return f'a page that begins with "{words}"' if words else None
    return cleaned(text[: 4 * LONGEST].decode("utf-8", "replace"))
