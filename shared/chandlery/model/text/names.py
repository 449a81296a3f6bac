"""Names: what is legal, how an OSB id becomes a Kubernetes name, how a long value becomes a label."""

import hashlib
import re
from collections.abc import Iterable
from difflib import SequenceMatcher
from typing import Final

from chandlery.model.text.clean_text import CUT, QUOTE_LONGEST

FINALIZER = "kubernetes-incubator/service-catalog"
"""Kept verbatim from the reference: `svcat --abandon` removes exactly this one."""

LABEL_PREFIX = "servicecatalog.k8s.io/"

_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN_MAX = 253
_LABEL_MAX = 63
_NAME_MAX = 63
_KEPT_OF_LONG_NAME = 30


def subdomain_problem(name: str) -> str | None:
    """Why the name is no DNS-1123 subdomain (Kubernetes' rule for object names), or None."""
    if len(name) > _SUBDOMAIN_MAX:
        return f"must be no more than {_SUBDOMAIN_MAX} characters"
    if _SUBDOMAIN.fullmatch(name):
        return None
    return (
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
        "and must start and end with an alphanumeric character (e.g. 'example.com', "
        f"regex used for validation is '{_SUBDOMAIN.pattern}')"
    )


def label_problem(name: str) -> str | None:
    """Why the name is no DNS-1123 label (Kubernetes' rule for namespaces), or None."""
    if len(name) > _LABEL_MAX:
        return f"must be no more than {_LABEL_MAX} characters"
    if _LABEL.fullmatch(name):
        return None
    return (
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "
        "and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', "
        f"regex used for validation is '{_LABEL.pattern}')"
    )


def path_segment_problem(name: str) -> str | None:
    """Why the name cannot be one segment of a URL's path (Kubernetes' rule for names of roles), or None.

    Kubernetes lets through what no terminal should be sent, and any length; here it has to fit into an index, too.
    """
    if len(name) > _SUBDOMAIN_MAX:
        return f"must be no more than {_SUBDOMAIN_MAX} characters"
    if name in (".", ".."):
        return f"may not be '{name}'"
    if found := next((char for char in "/%" if char in name), None):
        return f"may not contain '{found}'"
    return None if name.isprintable() else "may contain visible characters and spaces only"


def name_from_external_id(external_id: str) -> str:
    """The Kubernetes name of a class or plan, reversible where it fits into 63 characters.

    `z` is the escape character, so that UUIDs stay as they are. Source: the reference's walk-through names.
    """
    escaped = "".join(_escaped(external_id, position) for position in range(len(external_id)))
    if len(escaped) <= _NAME_MAX:
        return escaped
    # MD5 is no protection here, only the reference's way to keep long names apart.
    digest = hashlib.md5(external_id.encode(), usedforsecurity=False).hexdigest()
    return f"{escaped[:_KEPT_OF_LONG_NAME].removesuffix('.')}-{digest}"


def _escaped(text: str, position: int) -> str:
    char = text[position]
    if char in "abcdefghijklmnopqrstuvwxy0123456789":
        return char
    inner = 0 < position < len(text) - 1
    before = text[position - 1] if inner else ""
    if char == "." and inner and before not in ".-":
        return char
    if char == "-" and inner and before != ".":
        return char
    return f"z{ord(char):x}z"


def label_value(raw: str) -> str:
    """Hex SHA-224: always a legal label value, however long the raw string is. svcat 0.3 selects by it."""
    return hashlib.sha224(raw.encode()).hexdigest()


_ALIKE: Final = 0.6
"""What difflib takes for a close match."""
_MOST_COMPARED: Final = 1_000
_MOST_COMPARED_IN_FULL: Final = 12
_LONGEST_COMPARED: Final = 64


def nearest_names(name: str, known: Iterable[str], *, most: int = 3) -> list[str]:
    """The names most like this one, the nearest first; none if none is like it. Capital letters make no difference."""
    matcher = SequenceMatcher(autojunk=False)
    matcher.set_seq2(name[:_LONGEST_COMPARED].casefold())
    ranked = list[tuple[float, str]]()
    for _, candidate in _promising(matcher, known):
        matcher.set_seq1(candidate[:_LONGEST_COMPARED].casefold())
        ratio = matcher.ratio()
        if ratio >= _ALIKE:
            ranked.append((-ratio, candidate))
    return [candidate for _, candidate in sorted(ranked)[:most]]


def _promising(matcher: "SequenceMatcher[str]", known: Iterable[str]) -> list[tuple[float, str]]:
    # Most names have nothing in common, which is cheap to tell. In full only a few are compared: somebody may have a
    # thousand names that are all alike, and others wait meanwhile.
    alike = list[tuple[float, str]]()
    for candidate in sorted(set(known))[:_MOST_COMPARED]:
        matcher.set_seq1(candidate[:_LONGEST_COMPARED].casefold())
        if matcher.real_quick_ratio() >= _ALIKE and (at_best := matcher.quick_ratio()) >= _ALIKE:
            alike.append((-at_best, candidate))
    return sorted(alike)[:_MOST_COMPARED_IN_FULL]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of a sentence about a name that does not exist: `; did you mean "small"?`, or nothing."""
    found = [f'"{each}"' for each in nearest_names(name, known)]
    return f"; did you mean {' or '.join(found)}?" if found else ""


def listed(names: Iterable[str], *, most: int = 5) -> str:
    """Names in a row, and how many more there are: `"a", "b" and 3 more`."""
    ordered = sorted(set(names))
    shown = ", ".join(f'"{_cut(each)}"' for each in ordered[:most])
    return f"{shown} and {len(ordered) - most} more" if len(ordered) > most else shown


def _cut(name: str) -> str:
    return name if len(name) <= QUOTE_LONGEST else name[:QUOTE_LONGEST] + CUT
