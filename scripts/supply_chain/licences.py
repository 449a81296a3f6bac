"""Decides by its licence whether a package may be part of Chandlery, which is under the Apache License 2.0. Pure.

What is not allowed here is refused, a licence that nobody knows too: so one like AGPL-3.0, SSPL-1.0 or BUSL-1.1, which
asks something of whoever runs the software, does not come in unnoticed.
"""

import re
from typing import Final

ALLOWED: Final = frozenset(
    {
        "0BSD",
        "Apache-2.0",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "CNRI-Python",
        "ISC",
        "MIT",
        "MIT-0",
        "MPL-2.0",  # of files, which are shipped as they are
        "PSF-2.0",
        "Unlicense",
    }
)
DENIED: Final = ("AGPL", "SSPL", "BUSL", "GPL-2.0", "GPL-3.0", "LGPL", "CC-BY-NC", "Commons-Clause", "Elastic")
"""Told of by name in the page, for those who look for them; they are refused as all others that are not allowed."""

_SPDX: Final = {
    "3-clause bsd license": "BSD-3-Clause",
    "apache": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "bsd license": "BSD-3-Clause",
    "isc license (iscl)": "ISC",
    "mit license": "MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "python software foundation license": "PSF-2.0",
}
"""What packages say that name their licence as PyPI's classifiers do, or by hand -> its SPDX identifier.

`BSD License` alone leaves open how many clauses; the stricter of the two is noted."""
_WORDS: Final = re.compile(r"\(|\)|[^\s()]+")
_CHOICES: Final = {"OR", "AND"}


def spdx(told: str) -> str:
    """The licence as an SPDX expression, as far as it can be told; of several classifiers (`;`) all count."""
    return " AND ".join(_SPDX.get(part.strip().lower(), part.strip()) for part in told.split(";"))


def is_allowed(expression: str) -> bool:
    """Whether somebody may choose licences of the expression that are all allowed."""
    tokens = _WORDS.findall(expression)
    try:
        verdict, rest = _either(tokens)
    except (IndexError, ValueError):
        return False
    return verdict and not rest


def _either(tokens: list[str]) -> tuple[bool, list[str]]:
    verdict, rest = _both(tokens)
    while rest and rest[0] == "OR":
        other, rest = _both(rest[1:])
        verdict = verdict or other
    return verdict, rest


def _both(tokens: list[str]) -> tuple[bool, list[str]]:
    verdict, rest = _one(tokens)
    while rest and rest[0] == "AND":
        other, rest = _one(rest[1:])
        verdict = verdict and other
    return verdict, rest


def _one(tokens: list[str]) -> tuple[bool, list[str]]:
    first, *rest = tokens
    if first == "(":
        verdict, rest = _either(rest)
        if rest[0] != ")":
            raise ValueError(rest[0])
        return verdict, rest[1:]
    if first in _CHOICES or first == ")":
        raise ValueError(first)
    return first in ALLOWED, rest
