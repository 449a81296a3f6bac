"""What to say of a body that is no JSON: what it is called, and how it begins. `answers_reading.py` asks. Pure.

A page of HTML is the rule: a login form of some proxy, or a web server at an address that is not the broker's.
"""

import re

from chandlery.model.text.clean_text import clean_text
from chandlery.osb.transport.http_call import HttpReply

_LOOKED_AT = 4096
_SHOWN = 120
_TYPE_SHOWN = 60
_UNSEEN = re.compile(r"(?is)<(script|style)\b.*?(</\1\s*>|\Z)|<!--.*?(-->|\Z)|<[^>]*(>|\Z)")
_BLANKS = re.compile(r"\s+")


def told_of(reply: HttpReply, complaint: str, *, may_be_quoted: bool) -> str:
    """The complaint with the body's type and its first words; those only where it cannot hold credentials."""
    kind = clean_text((reply.content_type or "").partition(";")[0], longest=_TYPE_SHOWN)
    named = f"it is {kind}" if kind else "it has no content type"
    words = first_words(reply.body or b"") if may_be_quoted else ""
    return f'{complaint}: {named} and begins with "{words}"' if words else f"{complaint}: {named}"


def first_words(body: bytes) -> str:
    """The first words that people would see, without tags; cleaned and cut."""
    text = body[:_LOOKED_AT].decode(errors="replace")
    if text.lstrip().startswith("<"):
        text = _UNSEEN.sub(" ", text)
    return clean_text(_BLANKS.sub(" ", text), longest=_SHOWN)
