"""The walk in docs/architecture.md is the one that a create takes: its files, their order, and how many there are."""

import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "architecture.md"
HEADING = "## One create request, walked once"
NEARLY = 20
"""The page says a round figure, for what is slow at the moment adds a few: a wait is announced, a lease extended."""


@cache
def walked() -> dict[str, int]:
    """How often each file is entered, in the order of the first time."""
    command = [sys.executable, str(ROOT / "scripts" / "walk.py"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    entries: dict[str, int] = json.loads(done.stdout)
    return entries


@cache
def section() -> str:
    return PAGE.read_text(encoding="utf-8").partition(HEADING)[2].partition("\n## ")[0]


def files_named_in(text: str) -> list[str]:
    return list(dict.fromkeys(re.findall(r"`(?:[a-z_]+/)*([a-z_]+\.py)`", text)))


def test_page_names_files_in_the_order_in_which_a_create_enters_them() -> None:
    order = {Path(name).name: number for number, name in enumerate(walked())}
    named = files_named_in(section())
    assert len(named) > 15
    assert [name for name in named if name not in order] == []
    # The last step is that of the watch, which has run all the while.
    in_turn = files_named_in(section().partition("\n9. ")[0])
    assert in_turn == sorted(in_turn, key=lambda name: order[name])


def test_page_has_the_round_figure_of_the_walk() -> None:
    found = re.search(r"about (\d+) files", section())
    assert found is not None
    assert abs(len(walked()) - int(found[1])) <= NEARLY


def test_way_of_a_create_does_not_come_back_to_class_and_plan_again_and_again() -> None:
    (entered,) = (count for name, count in walked().items() if name.endswith("class_and_plan.py"))
    assert entered <= 2
