"""Names: what is legal, how an OSB id becomes a Kubernetes name, how a long value becomes a label."""

import hashlib
import re

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
