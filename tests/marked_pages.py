"""Pages of the documentation of which a part is written by a run, between two marks that stay."""

from pathlib import Path
from typing import Final

_DOCS: Final = Path(__file__).resolve().parents[1] / "docs"
PERFORMANCE: Final = _DOCS / "performance.md"
RELIABILITY: Final = _DOCS / "reliability.md"


def replace_between(page: Path, begin: str, end: str, text: str) -> None:
    """Put the text between the marks, each on a line of its own, in the place of what is there."""
    before, _, rest = page.read_text().partition(begin)
    after = rest.partition(end)[2]
    page.write_text(f"{before}{begin}\n{text}\n{end}{after}")
