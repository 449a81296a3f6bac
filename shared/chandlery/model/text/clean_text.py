"""Makes a text of somebody else fit to be shown: bounded, on one line, with nothing that steers a terminal or hides.

The one mechanism for all of them: what brokers say and offer, conditions, recorded events, log lines. Pure.
Rules: ECMA-48 (control functions and escape sequences), UAX #9 (marks that turn the direction of text), UTS #39.
"""

import re
from typing import Any, Final

CONDITION_LONGEST: Final = 4_096
"""Characters of a condition's message. Kubernetes allows 32,768; this is a screen full of them."""
EVENT_LONGEST: Final = 1_024
"""Characters of a recorded event's message, as Kubernetes' own recorder keeps."""
ANSWER_LONGEST: Final = 16_384
"""Characters of the message of a Status, which may tell of many fields."""
TRACE_LONGEST: Final = 65_536
"""Characters of a traceback in a log line."""
LOG_LONGEST: Final = 4_096
"""Characters of one text in a log line."""
QUOTE_LONGEST: Final = 200
"""Characters of an input that a message repeats."""
CUT: Final = "…"

_MORE = 4
"""So many times the allowed length is looked at: a megabyte of text costs no more than a page."""
_SEQUENCES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # such as colours
    # Such as titles and links. They end before another begins, or a row of beginnings would take quadratic time.
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x90\x98\x9c-\x9f]*(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]*[0-Z\\^-~]"
)
_BREAKS = re.compile(r"[\t\n\v\f\r\x1c-\x1f\x85\u2028\u2029]+")
_LINE_ENDS = re.compile(r"\r\n|[\r\v\f\x85\u2028\u2029]")
_HALVES = re.compile(r"[\ud800-\udfff]")
_INVISIBLE = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"  # controls, but for tab and the ends of lines
    r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # direction
    r"\xad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u2060-\u2065\u206a-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb"
    r"\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]+"  # no width
)
# Persian, Indic scripts and joined emoji need these two; between letters of ours they only hide something.
_JOINERS = re.compile(r"(?<![^\x00-\u024f])[\u200c\u200d]+|[\u200c\u200d](?![^\x00-\u024f\u200c\u200d])")


def clean_text(text: str, *, longest: int, keeps_lines: bool = False, keeps_end: int = 0) -> str:
    """The text without escape sequences, controls, marks of direction and characters without width.

    At most `longest` characters; what is cut leaves a `…`, at the end or before the last `keeps_end` characters.
    `keeps_lines` leaves ends of lines and tabs, for what is shown as a block; else each becomes a blank.
    """
    if len(text) <= longest and text.isprintable():
        return text.strip()
    if keeps_end and len(text) > longest:
        # Each part is bounded before it is looked at.
        end = _visible(text[-_MORE * keeps_end :], keeps_lines)[-keeps_end:]
        return _cut(_visible(text[: _MORE * longest], keeps_lines), longest - len(end)) + end
    seen = text[: _MORE * longest]
    visible = _visible(seen, keeps_lines)
    is_whole = len(seen) == len(text) and len(visible) <= longest
    return visible if is_whole else _cut(visible, longest)


def clean_message(text: str) -> str:
    """A condition's message. Its end, where the way out stands, is kept."""
    return clean_text(text, longest=CONDITION_LONGEST, keeps_end=CONDITION_LONGEST // 4)


def clean_event(text: str) -> str:
    """A recorded event's message. Its end, where the way out stands, is kept."""
    return clean_text(text, longest=EVENT_LONGEST, keeps_end=EVENT_LONGEST // 4)


def clean_status(text: str) -> str:
    """What a request is answered: it may have lines, and repeat several things that the request said."""
    return clean_text(text, longest=ANSWER_LONGEST, keeps_lines=True, keeps_end=ANSWER_LONGEST // 4)


def clean_document(value: Any) -> Any:
    """A JSON value with all its texts and keys clean, ends of lines and tabs left; nothing is cut."""
    if isinstance(value, str):
        return value if value.isprintable() else clean_text(value, longest=len(value), keeps_lines=True)
    if isinstance(value, dict):
        return {clean_document(key): clean_document(each) for key, each in value.items()}
    return [clean_document(each) for each in value] if isinstance(value, list) else value


def quoted(text: str) -> str:
    """An input as a message repeats it: in quotes, cleaned, and short."""
    return repr(clean_text(text, longest=QUOTE_LONGEST))


def _visible(text: str, keeps_lines: bool) -> str:
    text = _SEQUENCES.sub("", text)
    text = _LINE_ENDS.sub("\n", text) if keeps_lines else _BREAKS.sub(" ", text)
    # Half a surrogate pair is valid JSON and no text that a database or a terminal takes.
    text = _HALVES.sub("�", text)
    return _JOINERS.sub("", _INVISIBLE.sub("", text)).strip()


def _cut(text: str, longest: int) -> str:
    return text[: longest - len(CUT)] + CUT
