"""How dear a JSON text is to work with, told before anything is made of it.

Bytes say little of that: three million of them are one password, or a million lists, which take half a gigabyte and
many seconds on their way through validation, patches and watches. So values are counted, and bounded.
"""

import re
from typing import Final

MOST_VALUES: Final = 10_000
"""In one object: objects, lists, texts, numbers and so on, at any depth; keys do not count."""
MOST_OWNED_VALUES: Final = 3 * MOST_VALUES
"""In what is known of who owns the fields of one object."""
MOST_SENT_VALUES: Final = 6 * MOST_VALUES
"""In one body: an object with all that is known of its owners, or the steps of a patch."""

_TEXT = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?'
_VALUES = re.compile(_TEXT + rb"|(?P<next>,|[\[{](?!\s*+[\]}]))", re.DOTALL)


def has_more_values(text: bytes, most: int) -> bool:
    """Whether the JSON text has more values than so many; of what is no JSON, whether it looks like that."""
    # Those within texts are counted here as well, so it is only an upper bound; but it takes no time.
    if text.count(b",") + text.count(b"[") + text.count(b"{") < most:
        return False
    values = 1
    for match in _VALUES.finditer(text):
        values += match["next"] is not None
        if values > most:
            return True
    return False
