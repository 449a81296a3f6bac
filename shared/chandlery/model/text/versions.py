"""Semantic versions: what OSB's maintenance_info speaks of (OSB v2.17, "Maintenance Info Object")."""

import re

_NUMBER = r"(?:0|[1-9]\d*)"
_IDENTIFIER = rf"(?:{_NUMBER}|\d*[A-Za-z-][0-9A-Za-z-]*)"
_BUILD = r"[0-9A-Za-z-]+"
_SEMANTIC_VERSION = re.compile(
    rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-{_IDENTIFIER}(?:\.{_IDENTIFIER})*)?(?:\+{_BUILD}(?:\.{_BUILD})*)?", re.ASCII
)
_LONGEST = 256
_VISIBLE = re.compile(r"[!-~]+")


def is_semantic_version(text: str) -> bool:
    """Whether the text is a version as semver.org 2.0.0 has it, of a length that people can read."""
    return len(text) <= _LONGEST and _SEMANTIC_VERSION.fullmatch(text) is not None


def is_version(text: str) -> bool:
    """Whether the text can stand for a version at all: visible ASCII characters, of a length that people can read."""
    return len(text) <= _LONGEST and _VISIBLE.fullmatch(text) is not None
