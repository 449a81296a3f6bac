"""Puts the pages into a folder for the site generator: links and lists as it reads them, pictures, source they show."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from docs_site.diagrams import with_pictures
from docs_site.list_indents import with_four_columns
from docs_site.page_links import is_image, with_links_of_site
from docs_site.site_pages import DOCS, site_pages, source_place
from machine.console import MachineFault
from machine.places import REPOSITORY

_PAGES: Final = "pages"
_CONFIGURATION: Final = "zensical.toml"
_RECORDS_MARK: Final = "# Each record: filled in by the build."
_NOT_SEARCHED: Final = "---\nsearch:\n  exclude: true\n---\n"
_LANGUAGES: Final = {".py": "python", ".yaml": "yaml", ".yml": "yaml", ".toml": "toml", ".json": "json"}


class Staging:
    """A folder with the configuration and the pages of the site."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pages = site_pages()
        self._shown: set[Path] = set()

    def fill(self) -> Path:
        """Make it anew; answers the configuration. Raises MachineFault if a page points at what does not exist."""
        shutil.rmtree(self._folder / _PAGES, ignore_errors=True)
        for page, place in self._pages.items():
            self._write(place, self._staged(page, place))
        for path in sorted(self._shown):
            self._write(source_place(path), _NOT_SEARCHED + _listing(path))
        assets = DOCS / "assets"
        if assets.is_dir():
            shutil.copytree(assets, self._folder / _PAGES / "assets")
        configuration = self._folder / _CONFIGURATION
        configuration.write_text(with_records((DOCS / _CONFIGURATION).read_text(), self._pages))
        return configuration

    def _staged(self, page: Path, place: str) -> str:
        text = with_links_of_site(page.read_text(), page=page, place=place, pages=self._pages, find=self._find)
        depth = place.count("/")
        pictured = with_pictures(text, find=lambda file: "../" * depth + self._find(file), docs=DOCS)
        return with_four_columns(pictured)

    def _find(self, path: Path) -> str:
        if not path.exists():
            raise MachineFault(f"{path.relative_to(REPOSITORY)} does not exist, and a page points at it")
        if not is_image(path):
            self._shown.add(path)
            return source_place(path)
        place = path.relative_to(DOCS).as_posix()
        target = self._folder / _PAGES / place
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        return place

    def _write(self, place: str, text: str) -> None:
        target = self._folder / _PAGES / place
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)


def with_records(configuration: str, pages: Mapping[Path, str]) -> str:
    """The configuration with each decision in the navigation, by number."""
    records = sorted((place, page) for page, place in pages.items() if place.startswith("adr/0"))
    titles = [(page.read_text().splitlines()[0].removeprefix("# ").replace('"', "'"), place) for place, page in records]
    lines = "\n".join(f'    {{ "{title}" = "{place}" }},' for title, place in titles)
    if _RECORDS_MARK not in configuration:
        raise MachineFault(f"docs/{_CONFIGURATION} has lost its line “{_RECORDS_MARK}”")
    return configuration.replace(f"    {_RECORDS_MARK}", lines)


def _listing(path: Path) -> str:
    name = path.relative_to(REPOSITORY).as_posix()
    if path.is_dir():
        inside = sorted(each.relative_to(path).as_posix() for each in path.rglob("*") if _is_source(each))
        return f"# {name}/\n\n" + "".join(f"- `{each}`\n" for each in inside)
    # Longer than any fence that stands in it.
    return f"# {name}\n\n``````{_LANGUAGES.get(path.suffix, 'text')}\n{path.read_text().rstrip()}\n``````\n"


def _is_source(path: Path) -> bool:
    return path.is_file() and "__pycache__" not in path.parts
