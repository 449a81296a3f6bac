"""How a value may look where somebody quotes it. Pure. `known_secrets` looks for all of these in a broker's words."""

import base64
import html
import json
import re
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

from chandlery.model.text.clean_text import clean_text


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
