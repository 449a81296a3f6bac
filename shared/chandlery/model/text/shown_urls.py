"""Whether a URL that a service broker gives is fit to be shown to people, who will open it. Pure.

A page that shows it makes a link of it: `javascript:` would be run, a password would stand on the screen. Used for what
a status shows of an instance, and for the addresses in a catalog's metadata.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import BeforeValidator

from chandlery.model.objects.wire import JsonObject
from chandlery.model.text.clean_text import clean_text

LONGEST: Final = 2_000
"""Characters; more does not fit the address line of every browser."""
_IMAGE = re.compile(r"data:image/(png|gif|jpeg|webp);base64,[A-Za-z0-9+/]*={0,2}")
_SCHEMES = ("http", "https")
_PAGES = ("documentationUrl", "supportUrl")
_IMAGES = ("imageUrl",)


def url_problem(url: object) -> str | None:
    """What is wrong with it, without repeating any of it; None for one that can be shown."""
    if not isinstance(url, str):
        return "is not a string"
    if len(url) > LONGEST:
        return f"is longer than {LONGEST:,} characters"
    # Browsers take a backslash for a slash, and pass over line breaks in the middle of a scheme.
    if not url.isprintable() or " " in url or "\\" in url or clean_text(url, longest=LONGEST) != url:
        return "has characters that no URL may have"
    try:
        parts = urlsplit(url)
        has_place = parts.scheme in _SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:
        has_place = False
    if not has_place:
        return "is not an http or https URL"
    return "has a user name or password in it" if "@" in parts.netloc else None


def _none_unless_shown(url: object) -> object:
    return None if url_problem(url) else url


ShownUrl = Annotated[str | None, BeforeValidator(_none_unless_shown)]
"""A URL in a status: one that cannot be shown is read as none, also where an earlier release has stored it."""


def image_problem(url: object) -> str | None:
    """The same for a picture, which may stand in the URL itself."""
    return None if isinstance(url, str) and _IMAGE.fullmatch(url) else url_problem(url)


def without_bad_urls(metadata: JsonObject | None) -> JsonObject | None:
    """The metadata of a class or plan without the addresses that cannot be shown."""
    if metadata is None:
        return None
    bad = {key for key, _ in bad_urls(metadata)}
    return {key: value for key, value in metadata.items() if key not in bad} if bad else metadata


def bad_urls(metadata: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Which addresses of a catalog's metadata cannot be shown, and why."""
    for keys, problem_of in ((_PAGES, url_problem), (_IMAGES, image_problem)):
        for key in keys:
            given = metadata.get(key)
            if given not in (None, "") and (problem := problem_of(given)):
                yield key, problem
