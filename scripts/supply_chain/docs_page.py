"""What the page `/docs` is made of, from the sums that stand beside it: no lock of Python knows of that."""

import re
from dataclasses import dataclass
from typing import Final

from machine.places import REPOSITORY

README: Final = REPOSITORY / "services/gateway/chandlery_gateway/docs_page/README.md"
NAME: Final = "swagger-ui-dist"
LICENCE: Final = "Apache-2.0"
_VERSION: Final = re.compile(r"\[Swagger UI\]\(\S+\) (\d+\.\d+\.\d+)")
_SUM: Final = re.compile(r"\| `([^`]+)` \| `([0-9a-f]{64})` \|")


@dataclass(frozen=True)
class ShippedScripts:
    """The npm package whose files are in ours, byte for byte."""

    version: str
    sums: dict[str, str]
    """File -> SHA-256."""


def shipped_scripts() -> ShippedScripts:
    """As the README beside them says, and a test compares."""
    text = README.read_text(encoding="utf-8")
    [version] = _VERSION.findall(text)
    return ShippedScripts(version, dict(_SUM.findall(text)))
