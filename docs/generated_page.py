# ruff: noqa: INP001 - for scripts
"""What the scripts that write a page of the reference have in common: write it, or say that it is stale."""

import argparse
import sys
from pathlib import Path


def write_or_check(page: Path, text: str, arguments: list[str] | None, *, script: str) -> int:
    """Write a page, or with `--check` compare it; the exit status, 1 for a page that is stale.

    Args:
        page: the file.
        text: what has to be in it.
        arguments: of the command line; None for those of the process.
        script: whose, by the name that it has in `docs/`.
    """
    parser = argparse.ArgumentParser(description=f"Writes docs/{page.name}.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the page is stale")
    if not parser.parse_args(arguments).check:
        page.write_text(text, encoding="utf-8")
        return 0
    if page.is_file() and page.read_text(encoding="utf-8") == text:
        return 0
    sys.stderr.write(f"docs/{page.name} is stale; write it with: python docs/{script}\n")
    return 1


def table(titles: list[str], rows: list[list[str]]) -> str:
    """A table of Markdown; bars in cells are escaped."""
    lines = [titles, ["---"] * len(titles), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |\n" for line in lines)
