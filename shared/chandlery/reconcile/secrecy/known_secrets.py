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
from dataclasses import dataclass
from itertools import islice
from urllib.parse import quote, quote_plus

from chandlery.model.objects.wire import JsonObject
from chandlery.model.text.clean_text import CUT, clean_text


def forms_of(value: str, *, shortest: int) -> Iterator[str]:
    """Each of at least so many characters; some come twice."""
    if len(value) < shortest:
        return
    raw = value.encode(errors="surrogatepass")
    in_url = quote(value, safe="", errors="replace")
    forms = {
        value,
        # Of several lines a broker's word has made one.
        clean_text(value, longest=len(value)),
        *(line.strip() for line in value.splitlines()),
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        # Quoted in a quoted document, and as Python and JavaScript quote.
        json.dumps(json.dumps(value)[1:-1])[1:-1],
        repr(value)[1:-1],
        html.escape(value),
        html.escape(value).replace("&quot;", "&#34;").replace("&#x27;", "&#39;"),
        in_url,
        re.sub(r"%..", lambda found: found[0].lower(), in_url),
        quote_plus(value, errors="replace"),
        base64.b64encode(raw).decode().rstrip("="),
        base64.urlsafe_b64encode(raw).decode().rstrip("="),
        raw.hex(),
    }
    yield from (form for form in forms if len(form) >= shortest)


STRUCK = "<redacted>"
WITHHELD = "the broker's message is withheld, because there are too many secret values to search it for"
FORGOTTEN = "the broker's message is withheld, because it may quote credentials that are not kept any more"
SHORTEST = 4
"""Characters of a value that is looked for."""
_MOST_VALUES = 500
_LONGEST = 2_000
"""Of a longer value only so many characters are looked for; the rest of it cannot stand in a description."""
_MOST_CHARACTERS = 32_768
"""Of all values together."""
_MOST_FORMS = 2_000
_LONGEST_DOCUMENT = 20_000
"""Characters of all texts of a document that is looked through."""
_FEW, _SHORT = 32, 2_000
_NUMBER = re.compile(r"(?<![\d.])\d+(?:\.\d+)*")


class KnownSecrets:
    """The values that nobody may see, for the answers to one request."""

    def __init__(self, values: Iterable[object], *, are_all: bool = True) -> None:
        """Texts, numbers, and JSON documents all of whose texts and numbers are secret.

        Unless these `are_all`, nothing of what is said can be shown.
        """
        self._values = tuple(values)
        self._are_all = are_all
        self._forms: _Forms | None = None
        self._is_ready = False

    def __repr__(self) -> str:
        return "KnownSecrets()"

    def and_those_of(self, *values: object) -> "KnownSecrets":
        """These and more."""
        return KnownSecrets((*self._values, *values), are_all=self._are_all) if values else self

    @property
    def are_few(self) -> bool:
        """Whether it takes no time worth mentioning to look for them."""
        leaves = list(islice(_leaves(self._values), _FEW + 1))
        return len(leaves) <= _FEW and sum(len(leaf) for leaf in leaves if isinstance(leaf, str)) <= _SHORT

    def get_ready(self) -> None:
        """Find out what to look for, once: where they are not few, beside the event loop."""
        if not self._is_ready:
            self._forms, self._is_ready = _all_forms(self._values), True

    def strike(self, text: str) -> str:
        """The text with `<redacted>` in the place of each value."""
        if not self._are_all:
            return FORGOTTEN if text else text
        self.get_ready()
        return WITHHELD if self._forms is None else _struck(text, self._forms)

    def stand_in(self, text: str) -> bool:
        """Whether one of the values stands in the text."""
        return self.strike(text) != text

    def struck_from(self, document: JsonObject) -> JsonObject:
        """A JSON document with the values struck out of its texts, at any depth; empty if it is too large for that."""
        self.get_ready()
        if self._forms is None or not self._are_all:
            return {}
        texts = list(islice((leaf for leaf in _leaves((document,)) if isinstance(leaf, str)), _LONGEST_DOCUMENT + 1))
        if len(texts) + sum(map(len, texts)) > _LONGEST_DOCUMENT:
            return {}
        # Each is looked for once in all of it, and in each text only those that are there.
        everything = "\0".join(texts)
        forms = _Forms(tuple(form for form in self._forms.texts if form in everything), self._forms.numbers)
        return {key: _struck_from(value, forms) for key, value in document.items()}


@dataclass(frozen=True, repr=False)
class _Forms:
    """What to look for. The longest text first: what is left of a value is not taken for another one."""

    texts: tuple[str, ...]
    numbers: frozenset[str]


NO_SECRETS = KnownSecrets(())


def _leaves(values: Iterable[object]) -> Iterator[str | int | float]:
    for value in values:
        if isinstance(value, dict):
            yield from _leaves(value.values())
        elif isinstance(value, list | tuple):
            yield from _leaves(value)
        elif isinstance(value, str | int | float) and not isinstance(value, bool):
            yield value


def _all_forms(values: Iterable[object]) -> _Forms | None:
    """None if there are too many, or too much of them."""
    leaves = list(islice(_leaves(values), _MOST_VALUES + 1))
    words = dict.fromkeys(leaf.strip()[:_LONGEST] for leaf in leaves if isinstance(leaf, str))
    if len(leaves) > _MOST_VALUES or sum(map(len, words)) > _MOST_CHARACTERS:
        return None
    texts = {form for word in words for form in forms_of(word, shortest=SHORTEST)}
    numbers = (str(leaf).lstrip("-") for leaf in leaves if not isinstance(leaf, str))
    if len(texts) > _MOST_FORMS:
        return None
    return _Forms(
        tuple(sorted(texts, key=len, reverse=True)), frozenset(each for each in numbers if len(each) >= SHORTEST)
    )


def _struck(text: str, forms: _Forms) -> str:
    for form in forms.texts:
        if form in text:
            text = text.replace(form, STRUCK)
    if forms.numbers:
        text = _NUMBER.sub(lambda found: STRUCK if found[0] in forms.numbers else found[0], text)
    return _without_beginning(text, forms.texts)


def _struck_from(value: object, forms: _Forms) -> object:
    if isinstance(value, str):
        return _struck(value, forms)
    if isinstance(value, dict):
        return {key: _struck_from(each, forms) for key, each in value.items()}
    return [_struck_from(each, forms) for each in value] if isinstance(value, list) else value


def _without_beginning(text: str, forms: Iterable[str]) -> str:
    """Without the beginning of a value at the end of a text that was cut."""
    if not text.endswith(CUT):
        return text
    body = text.removesuffix(CUT)
    for form in forms:
        body = _without_beginning_of(form, body)
    return body + CUT


def _without_beginning_of(form: str, body: str) -> str:
    at = body.find(form[:SHORTEST], max(0, len(body) - len(form)))
    while at >= 0:
        if form.startswith(body[at:]):
            return body[:at] + STRUCK
        at = body.find(form[:SHORTEST], at + 1)
    return body
