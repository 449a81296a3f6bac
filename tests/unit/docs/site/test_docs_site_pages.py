"""What becomes of a page on its way into the site: its place, its links, its lists, its diagrams."""

import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from docs_site.diagrams import FOLDER, THEMES, diagrams_of, picture_name, with_pictures
from docs_site.list_indents import with_four_columns
from docs_site.page_links import with_links_of_site
from docs_site.site_pages import DOCS, site_pages, source_place
from docs_site.staging import with_records
from machine.places import REPOSITORY

PAGES = site_pages()


def _places(navigation: list[Any]) -> Iterator[str]:
    for entry in navigation:
        for each in entry.values() if isinstance(entry, dict) else [entry]:
            yield from _places(each) if isinstance(each, list) else [each]


def test_every_page_stands_in_the_navigation_once() -> None:
    configuration = tomllib.loads(with_records((DOCS / "zensical.toml").read_text(), PAGES))
    assert Counter(_places(configuration["project"]["nav"])) == Counter(PAGES.values())


def test_every_page_stands_in_the_list_of_pages_with_its_question() -> None:
    index = (DOCS / "index.md").read_text()
    missing = [path.name for path in DOCS.glob("*.md") if f"]({path.name}) | " not in index]
    assert missing == ["index.md"]


def test_every_diagram_is_drawn_in_both_palettes_and_no_other() -> None:
    drawn = {path.name for path in (DOCS / FOLDER).iterdir()}
    texts = [diagram for page in PAGES for diagram in diagrams_of(page.read_text())]
    assert drawn == {picture_name(text, theme) for text in texts for theme in THEMES}, "run: make diagrams"
    assert texts


def test_another_text_of_a_diagram_is_another_picture() -> None:
    assert picture_name("a --> b\n", "dark") != picture_name("a --> c\n", "dark") != picture_name("a --> c\n", "light")


def test_pictures_stand_in_the_place_of_a_diagram() -> None:
    page = with_pictures("before\n```mermaid\na --> b\n```\nafter\n", find=lambda path: path.name, docs=DOCS)
    light, dark = (picture_name("a --> b\n", theme) for theme in ("light", "dark"))
    assert page == f"before\n![Diagram]({light}#only-light)\n![Diagram]({dark}#only-dark)\nafter\n"


@pytest.mark.parametrize(
    ("page", "link", "expected"),
    [
        pytest.param("docs/api.md", "settings.md#x", "settings.md#x", id="to a page beside it"),
        pytest.param("docs/api.md", "../README.md", "index.md", id="out of the folder"),
        pytest.param("docs/adr/0001-one-distribution.md", "../api.md", "../api.md", id="upwards"),
        pytest.param("README.md", "docs/adr/README.md", "adr/index.md", id="to the index of the decisions"),
        pytest.param("README.md", "services/gateway", "source/services/gateway.md", id="to a folder of the source"),
        pytest.param("docs/api.md", "../Makefile", "source/Makefile.md", id="to a file of the source"),
        pytest.param("docs/api.md", "#here", "#here", id="within the page"),
        pytest.param("docs/api.md", "https://kubernetes.io/", "https://kubernetes.io/", id="to others"),
        pytest.param("deploy/chart/chandlery/README.md", "../../../docs/api.md", "../../api.md", id="into the docs"),
    ],
)
def test_link_leads_to_the_place_of_its_target(page: str, link: str, expected: str) -> None:
    path = REPOSITORY / page
    text = with_links_of_site(f"[it]({link})", page=path, place=PAGES[path], pages=PAGES, find=source_place)
    assert text == f"[it]({expected})"


def test_what_stands_in_a_fence_is_no_link() -> None:
    page = DOCS / "api.md"
    text = "````text\n[it](../Makefile)\n```\n[it](../Makefile)\n````\n"
    assert with_links_of_site(text, page=page, place="api.md", pages=PAGES, find=_nothing) == text


def _nothing(path: Path) -> str:
    raise AssertionError(path)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        pytest.param("1. a\n\n   b\n", "1.  a\n\n    b\n", id="a paragraph of an item"),
        pytest.param("1. a\n\n       code\n", "1.  a\n\n        code\n", id="indented code of an item"),
        pytest.param("- a\n  b\n- c\n", "-   a\n    b\n-   c\n", id="an item of two lines"),
        pytest.param("- a\n  - b\n- c\n", "-   a\n    -   b\n-   c\n", id="a list in a list"),
        pytest.param("a\n- b\n", "a\n\n-   b\n", id="a list right after a paragraph"),
        pytest.param(
            "1. a\n\n   b\n2. c\n", "1.  a\n\n    b\n\n2.  c\n", id="an item right after a paragraph of the one before"
        ),
        pytest.param(
            "- a\n\n  ```sh\n  - x\n  ```\n", "-   a\n\n    ```sh\n    - x\n    ```\n", id="a fence in an item"
        ),
        pytest.param("```sh\n- x\n  y\n```\n", "```sh\n- x\n  y\n```\n", id="a fence"),
        pytest.param("    - code\n", "    - code\n", id="indented code"),
        pytest.param("- a\n\nb\n", "-   a\n\nb\n", id="a paragraph after a list"),
    ],
)
def test_lists_are_indented_by_four_columns_for_each_level(written: str, read: str) -> None:
    assert with_four_columns(written) == read
