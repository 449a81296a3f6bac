"""Every logger has the name of its module, by which levels are set and lines are found."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_every_logger_has_the_name_of_its_module() -> None:
    found, other = 0, []
    for top in ("shared", "services"):
        for path in (ROOT / top).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("get_logger"):
                    found += 1
                    if ast.unparse(node) != "structlog.get_logger(__name__)":
                        other.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert other == []
    assert found > 40
