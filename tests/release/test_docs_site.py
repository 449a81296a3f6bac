"""The site of the documentation: built from the checkout, whole, searched in a browser, loaded from nowhere else."""

import re
import shutil
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from markdown_it import MarkdownIt

from browser.chromium import browsing
from browser.tab import Tab
from build_docs import build_site, main, site_generator
from docs_site.diagrams import diagrams_of
from docs_site.site_pages import site_pages
from docs_site.staging import Staging
from tests.release.made_once import made_once

_COUNTED = frozenset({"h1", "h2", "h3", "h4", "pre", "table", "tr", "li", "blockquote"})
_LOADING = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "srcset"}
_NOT_LOADED = frozenset({"canonical", "next", "prev"})


class _Page(HTMLParser):
    """Anchors, links, what is loaded, and how many of each element the article has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.elements = Counter[str]()
        self._in_article = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        self._in_article |= tag == "article"
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag in _LOADING and given.get("rel") not in _NOT_LOADED and (address := given.get(_LOADING[tag])):
            self.loaded.append(address)
        if self._in_article and tag in _COUNTED:
            self.elements[tag] += 1

    def handle_endtag(self, tag: str) -> None:
        self._in_article &= tag != "article"


def _pages(site: Path) -> dict[Path, _Page]:
    return {path: _Page(path.read_text()) for path in sorted(site.rglob("*.html"))}


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    def build(folder: Path) -> None:
        assert main(["--site", str(folder / "site")]) == 0

    return made_once(tmp_path_factory, "docs-site", build) / "site"


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, _Page]:
    return _pages(site)


def _html_of(site: Path, place: str) -> Path:
    return site / Path(place).with_suffix(".html")


def test_site_has_every_page_of_the_checkout(site: Path) -> None:
    assert [place for place in site_pages().values() if not _html_of(site, place).is_file()] == []


def test_every_link_leads_to_a_page_and_an_anchor_that_exist(site: Path, pages: dict[Path, _Page]) -> None:
    def dead() -> Iterator[tuple[str, str]]:
        for path, page in pages.items():
            # The page for addresses that nobody knows is served at any address, and so its links begin at the top.
            for link in page.links if path.name != "404.html" else ():
                parts = urlsplit(link)
                if parts.scheme:
                    continue
                target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
                target = target / "index.html" if target.is_dir() else target
                anchor = unquote(parts.fragment)
                if not target.is_file() or (target in pages and anchor and anchor not in pages[target].anchors):
                    yield path.relative_to(site).as_posix(), link

    assert list(dead()) == []
    assert sum(len(page.links) for page in pages.values()) > 1000


def test_every_address_of_others_is_well_formed(pages: dict[Path, _Page]) -> None:
    outward = {link for page in pages.values() for link in page.links if urlsplit(link).scheme}
    faults = [
        link
        for link in outward
        if urlsplit(link).scheme not in {"https", "http", "mailto"} or not re.fullmatch(r"[!-~]+", link)
    ]
    assert faults == []
    assert len(outward) > 10


def test_nothing_is_loaded_from_others(pages: dict[Path, _Page]) -> None:
    loaded = {address for page in pages.values() for address in page.loaded}
    assert [
        address for address in loaded if urlsplit(address).scheme not in {"", "data"} or address.startswith("//")
    ] == []
    assert len(loaded) > 10


def test_pages_have_the_lists_tables_and_code_that_a_forge_shows(site: Path) -> None:
    forge = MarkdownIt("commonmark").enable("table")
    differing = {}
    for page, place in site_pages().items():
        text = page.read_text()
        seen = _Page(f"<article>{forge.render(text)}</article>").elements
        # A picture stands in the place of each.
        seen["pre"] -= len(diagrams_of(text))
        built = _Page(_html_of(site, place).read_text()).elements
        if +seen != +built:
            differing[place] = {tag: (seen[tag], built[tag]) for tag in _COUNTED if seen[tag] != built[tag]}
    assert differing == {}


def test_build_refuses_a_page_that_points_at_an_anchor_which_is_not_there(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    configuration = Staging(tmp_path).fill()
    page = tmp_path / "pages" / "doctor.md"
    page.write_text(page.read_text() + "\n[There](settings.md#no-such-heading)\n")
    assert build_site(site_generator(), configuration) != 0
    assert "no-such-heading" in capfd.readouterr().err
    shutil.rmtree(tmp_path / "site", ignore_errors=True)


async def _search(tab: Tab, words: str) -> list[str]:
    """The headings that it finds, best first."""
    await tab.evaluate("document.querySelector('.md-search__button').click()")
    root = "[...document.querySelectorAll('body > *')].map((each) => each.shadowRoot).find(Boolean)"
    await tab.until(f"{root}?.querySelector('input') === {root}?.activeElement && !!{root}?.activeElement")
    await tab.type(words)
    found = await tab.until(
        f"(() => {{ const all = [...{root}.querySelectorAll('a')]; return all.map((a) => a.href) }})()"
    )
    assert isinstance(found, list)
    return [str(each) for each in found]


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_browser_shows_a_page_and_finds_another_without_a_server(scheme: str, site: Path, tmp_path: Path) -> None:
    async with browsing() as tab:
        await tab.prefer(scheme)
        await tab.open((site / "index.html").as_uri())
        picture = await tab.picture()
        colour = await tab.evaluate("getComputedStyle(document.body).backgroundColor")
        found = await _search(tab, "rotate encryption keys")
        asked, complaints = tab.requests, tab.complaints
    lightness = sum(map(int, re.findall(r"\d+", colour)[:3]))
    assert lightness > 600 if scheme == "light" else lightness < 200
    assert any(urlsplit(each).path.endswith("/encryption.html") for each in found)
    assert [each for each in asked if not each.startswith(("file:", "data:", "about:", "blob:"))] == []
    assert complaints == []
    # To be looked at.
    (tmp_path / f"{scheme}.png").write_bytes(picture)
    assert picture.startswith(b"\x89PNG")
