"""Lists as Python-Markdown reads them: four columns for each level, where CommonMark goes by the text of the item."""

import re
from collections.abc import Iterator
from typing import Final

_FENCE: Final = re.compile(r"(`{3,}|~{3,})")
_ITEM: Final = re.compile(r"([-*+]|\d{1,9}[.)])( +)")
_COLUMNS: Final = 4


class _Lists:
    """Where in nested lists a line is: the column of the text of each item that is open."""

    def __init__(self) -> None:
        self._columns: list[int] = []
        self._is_loose = False

    def close_down_to(self, indent: int) -> None:
        while self._columns and indent < self._columns[-1]:
            self._columns.pop()

    def inner(self, line: str) -> str:
        """A line of the innermost item, or of none."""
        return " " * (_COLUMNS * len(self._columns)) + line[self._column :]

    def is_code(self, indent: int) -> bool:
        return indent - self._column >= _COLUMNS

    def blank(self) -> str:
        self._is_loose = True
        return ""

    def item(self, indent: int, marker: re.Match[str], *, after: str) -> Iterator[str]:
        """A line that begins an item, and a blank one before it where it would be read as a part of what is before."""
        if after.strip() and (self._is_loose or not (self._columns or after.startswith(" ") or _ITEM.match(after))):
            yield ""
        yield " " * (_COLUMNS * len(self._columns)) + marker[1].ljust(_COLUMNS) + marker.string[marker.end() :]
        self._columns.append(indent + marker.end())
        self._is_loose = False

    @property
    def _column(self) -> int:
        return self._columns[-1] if self._columns else 0


def with_four_columns(text: str) -> str:
    """The same page for Python-Markdown. Blocks in fences move with their item and stay as they are."""
    lists, lines, fence = _Lists(), [""], ""
    for line in text.split("\n"):
        bare = line.lstrip(" ")
        if fence or not bare:
            lines.append(lists.inner(line) if bare else lists.blank())
            fence = "" if bare.rstrip() == fence else fence
            continue
        indent, starts, opens = len(line) - len(bare), _ITEM.match(bare), _FENCE.match(bare)
        # Without a blank line before it, a line belongs to the paragraph, however far to the left it stands.
        if starts or opens or not lines[-1]:
            lists.close_down_to(indent)
        fence = opens[1] if opens else ""
        if starts and not lists.is_code(indent):
            lines.extend(lists.item(indent, starts, after=lines[-1]))
        else:
            lines.append(lists.inner(line))
    return "\n".join(lines[1:])
