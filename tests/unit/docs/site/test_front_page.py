"""The README is one screen with a picture of a real run; what a forge asks contributors is well formed."""

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import yaml

from machine.places import REPOSITORY
from walkthrough.pictured import COMMANDS, WAITS, Typed, picture

README = (REPOSITORY / "README.md").read_text()
PICTURE = REPOSITORY / "docs" / "terminal.svg"
SVG = "{http://www.w3.org/2000/svg}"
FORMS = sorted((REPOSITORY / ".github" / "ISSUE_TEMPLATE").glob("*_*.yml"))


def test_readme_is_one_screen() -> None:
    assert len(README.splitlines()) <= 60


def test_readme_shows_the_picture_and_says_what_is_on_it_to_who_cannot_see_it() -> None:
    found = re.search(r'<img src="(docs/[\w.]+)" alt="([^"]{40,})">', README)
    assert found is not None
    assert REPOSITORY / found[1] == PICTURE


def test_readme_names_the_targets_that_there_are() -> None:
    targets = re.findall(r"\bmake ([a-z-]+)", README)
    makefile = (REPOSITORY / "Makefile").read_text()
    assert {"demo", "test"} <= set(targets)
    assert [each for each in targets if f"\n{each}:" not in makefile] == []


def test_picture_has_every_command_and_loads_nothing() -> None:
    text = PICTURE.read_text()
    shown = "\n".join("".join(line.itertext()) for line in ET.fromstring(text).iter(f"{SVG}text"))
    assert [each for each in COMMANDS if f"$ {each}\n" not in shown + "\n"] == [], "run: make terminal-picture"
    assert shown.count("Ready") == 2
    assert re.findall(r"(?:href|src)=|url\(|<script|<image", text) == []


def test_every_object_that_is_created_is_waited_for() -> None:
    assert [each for each in COMMANDS if "create" in each] == list(WAITS)


def test_picture_is_as_large_as_what_is_typed_and_quotes_what_svg_would_read() -> None:
    one, two = (picture([Typed("cat <a>", "x & y\n" * lines)]) for lines in (1, 9))
    assert "cat &lt;a&gt;" in one
    assert one.count("x &amp; y") == 1
    heights = [int(ET.fromstring(each).attrib["height"]) for each in (one, two)]
    assert heights[1] - heights[0] == 8 * 19


@pytest.mark.parametrize("form", FORMS, ids=lambda path: path.stem)
def test_issue_form_is_one_that_a_forge_takes(form: Path) -> None:
    read = yaml.safe_load(form.read_text())
    assert {"name", "description", "body"} <= read.keys()
    fields = [each for each in read["body"] if each["type"] != "markdown"]
    assert all(each["id"] and each["attributes"]["label"] for each in fields)
    assert len({each["id"] for each in fields}) == len(fields) > 2
    assert any(each.get("validations", {}).get("required") for each in fields)
