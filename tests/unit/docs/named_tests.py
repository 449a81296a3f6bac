"""Pages that say with which test something is shown name it as `folder/test_module.py::test_name`, in backticks."""

import ast
import re
from functools import cache
from pathlib import Path
from typing import Final

TESTS: Final = Path(__file__).parents[2]
REFERENCE: Final = re.compile(r"`([\w/]+/test_\w+\.py)::(test_\w+)`")


@cache
def names_in(path: str) -> set[str]:
    """The names of the tests of a module; none if it is not there."""
    file = TESTS / path
    if not file.is_file():
        return set()
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {each.name for each in ast.parse(file.read_text()).body if isinstance(each, functions)}


def not_understood(cell: str) -> str:
    """What is in the cell beside references, with a break between two."""
    return REFERENCE.sub("", cell).replace("<br>", "").strip()


def unknown_tests(cell: str) -> list[str]:
    """The tests that the cell names and that do not exist."""
    return [f"{path}::{name}" for path, name in REFERENCE.findall(cell) if name not in names_in(path)]
