"""Strikes secret values out of what service brokers say. Pure.

Brokers quote what they were sent: parameters that came from Secrets, the platform's own password; and credentials that
they gave. `osb.client` has every word of an answer go through here before anybody sees it, so before it is stored,
told or logged. Looked for is each value as it is, and as it looks in JSON, URLs, HTML, base64 and hex.

Not struck: values of less than four characters, which would tear holes into any text; parts of a value, but for one
that is cut off at the end; and encodings that are not named here.
"""

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

from chandlery.model.clean_text import CUT, clean_text
from chandlery.model.wire import JsonObject

STRUCK = "<redacted>"
WITHHELD = "the broker's words are withheld: there are too many secret values to look for in them"
SHORTEST = 4
"""Characters of a value that is looked for."""
_MOST_VALUES = 2_000
_LONGEST = 4_000
"""Of a longer value only so many characters are looked for; the rest of it cannot stand in a description."""


class KnownSecrets:
    """The values that nobody may see, for the answers to one request."""

    def __init__(self, values: Iterable[object]) -> None:
        """Texts, numbers, and JSON documents all of whose texts and numbers are secret."""
        self._values = tuple(values)
        self._forms: list[re.Pattern[str] | str] | None = None

    def __repr__(self) -> str:
        return "KnownSecrets()"

    def and_those_of(self, *values: object) -> "KnownSecrets":
        """These and more."""
        return KnownSecrets((*self._values, *values)) if values else self

    def strike(self, text: str) -> str:
        """The text with `<redacted>` in the place of each value."""
        forms = self._all_forms()
        if forms is None:
            return WITHHELD
        for form in forms:
            if isinstance(form, re.Pattern):
                text = form.sub(STRUCK, text)
            elif form in text:
                text = text.replace(form, STRUCK)
        return _without_beginning(text, forms)

    def stand_in(self, text: str) -> bool:
        """Whether one of the values stands in the text."""
        return self.strike(text) != text

    def struck_from(self, document: JsonObject) -> JsonObject:
        """A JSON document with the values struck out of its texts, at any depth."""
        return {key: self._struck(value) for key, value in document.items()}

    def _struck(self, value: object) -> object:
        if isinstance(value, str):
            return self.strike(value)
        if isinstance(value, dict):
            return self.struck_from(value)
        return [self._struck(each) for each in value] if isinstance(value, list) else value

    def _all_forms(self) -> "list[re.Pattern[str] | str] | None":
        if self._forms is None:
            leaves = dict.fromkeys(_leaves(self._values))
            if len(leaves) > _MOST_VALUES:
                return None
            texts = {form for leaf in leaves if isinstance(leaf, str) for form in _forms_of(leaf)}
            numbers = (str(leaf) for leaf in leaves if not isinstance(leaf, str))
            patterns = (re.compile(rf"(?<![\d.]){re.escape(n)}(?![\d.]*\d)") for n in numbers if len(n) >= SHORTEST)
            # The longest first: what is left of a value is not taken for another one.
            self._forms = [*sorted(texts, key=len, reverse=True), *patterns]
        return self._forms


NO_SECRETS = KnownSecrets(())


def _leaves(values: Iterable[object]) -> Iterator[str | int | float]:
    for value in values:
        if isinstance(value, dict):
            yield from _leaves(value.values())
        elif isinstance(value, list | tuple):
            yield from _leaves(value)
        elif isinstance(value, str | int | float) and not isinstance(value, bool):
            yield value


def _forms_of(value: str) -> Iterator[str]:
    value = value.strip()[:_LONGEST]
    if len(value) < SHORTEST:
        return
    raw = value.encode(errors="surrogatepass")
    in_url = quote(value, safe="", errors="replace")
    forms = {
        value,
        # Of several lines a broker's word has made one.
        clean_text(value, longest=_LONGEST),
        *(line.strip() for line in value.splitlines()),
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        html.escape(value),
        in_url,
        re.sub(r"%..", lambda found: found[0].lower(), in_url),
        quote_plus(value, errors="replace"),
        base64.b64encode(raw).decode().rstrip("="),
        base64.urlsafe_b64encode(raw).decode().rstrip("="),
        raw.hex(),
    }
    yield from (form for form in forms if len(form) >= SHORTEST)


def _without_beginning(text: str, forms: "Iterable[re.Pattern[str] | str]") -> str:
    """Without the beginning of a value at the end of a text that was cut."""
    if not text.endswith(CUT):
        return text
    body = text.removesuffix(CUT)
    for form in forms:
        if isinstance(form, str):
            body = _without_beginning_of(form, body)
    return body + CUT


def _without_beginning_of(form: str, body: str) -> str:
    at = body.find(form[:SHORTEST], max(0, len(body) - len(form)))
    while at >= 0:
        if form.startswith(body[at:]):
            return body[:at] + STRUCK
        at = body.find(form[:SHORTEST], at + 1)
    return body
