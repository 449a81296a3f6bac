"""What the documents point at exists: links, anchors, paths, settings. Decisions are numbered and listed."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

from chandlery.settings.settings import PREFIX, Settings
from docs import generate_settings

ROOT = Path(__file__).parents[3]
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "deploy").rglob("*.md"),
        *(ROOT / "examples").rglob("*.md"),
    ]
)
RECORDS = sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))
SOURCES = ("services", "shared", "deploy", "tests", "docs", "examples", "scripts", "requirements", ".ci")
FENCED = re.compile(r"^ *(```|~~~).*?^ *\1", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
PATH = re.compile(rf"({'|'.join(re.escape(source) for source in SOURCES)})/[\w./-]*")
FILE_NAME = re.compile(r"[\w./-]+\.(py|md|toml|yaml|txt)")
EXTERNAL = ("http://", "https://")
MADE_BY_USERS = frozenset({"chandlery.yaml", "gateway.toml"})
"""Files that a page tells its readers to make."""


def prose(page: Path) -> str:
    return FENCED.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ +(.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def dead_links(page: Path) -> Iterator[str]:
    for target in LINK.findall(prose(page)):
        if target.startswith(EXTERNAL):
            continue
        path, _, anchor = unquote(target).partition("#")
        found = (page.parent / path).resolve() if path else page
        if not found.exists() or (anchor and anchor not in anchors(found)):
            yield target


def file_names() -> set[str]:
    """Each file of the project by every end of its path: `reconcile_loop.py`, `engine/reconcile_loop.py`, and so on."""
    names = {path.name for path in ROOT.iterdir() if path.is_file()}
    for source in SOURCES:
        for path in (ROOT / source).rglob("*"):
            parts = path.relative_to(ROOT).parts
            names.update("/".join(parts[start:]) for start in range(len(parts)))
    return names


def unknown_paths(page: Path, known: set[str]) -> Iterator[str]:
    for text in CODE.findall(prose(page)):
        is_unknown_path = PATH.fullmatch(text) and not (ROOT / text).exists()
        is_unknown_name = FILE_NAME.fullmatch(text) and text not in known | MADE_BY_USERS
        if is_unknown_path or (is_unknown_name and not (page.parent / text).exists()):
            yield text


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_page_has_no_dead_link(page: Path) -> None:
    assert list(dead_links(page)) == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_page_names_only_files_that_exist(page: Path) -> None:
    assert list(unknown_paths(page, file_names())) == []


def test_every_document_can_be_reached_from_the_readme() -> None:
    reached, waiting = set[Path](), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        reached.add(page)
        targets = [target.partition("#")[0] for target in LINK.findall(prose(page)) if not target.startswith(EXTERNAL)]
        found = {(page.parent / unquote(target)).resolve() for target in targets if target.endswith(".md")}
        waiting += [each for each in found - reached if each.exists()]
    assert set(PAGES) - reached == set()


def test_settings_page_is_what_the_settings_class_says() -> None:
    assert generate_settings.main(["--check"]) == 0, "run: python docs/generate_settings.py"


def test_settings_check_notices_a_stale_page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stale = tmp_path / "settings.md"
    stale.write_text(generate_settings.page() + "\n")
    monkeypatch.setattr(generate_settings, "PAGE", stale)
    assert generate_settings.main(["--check"]) == 1
    assert generate_settings.main([]) == 0
    assert generate_settings.main(["--check"]) == 0


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_page_names_only_settings_that_exist(page: Path) -> None:
    mentioned = set(re.findall(r"\bCHANDLERY_[A-Z_]*[A-Z]\b", prose(page)))
    settings = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    of_tests = ("CHANDLERY_TEST_",)
    assert {name for name in mentioned - settings if not name.startswith(of_tests)} == set()


def test_decisions_have_unique_numbers_without_gaps() -> None:
    assert [record.name[:4] for record in RECORDS] == [f"{number:04}" for number in range(1, len(RECORDS) + 1)]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.name)
def test_decision_is_complete_and_listed_under_its_title(record: Path) -> None:
    text = record.read_text(encoding="utf-8")
    template = (ROOT / "docs" / "adr" / "template.md").read_text(encoding="utf-8")
    sections = re.findall(r"^## .+$", text, re.MULTILINE)
    assert [title for title in re.findall(r"^## .+$", template, re.MULTILINE) if title not in sections] == []
    number, title = record.name[:4], text.splitlines()[0].removeprefix(f"# {record.name[:4]}. ")
    index = (ROOT / "docs" / "adr" / "README.md").read_text(encoding="utf-8")
    assert f"| [{number}]({record.name}) | {title} |" in index
