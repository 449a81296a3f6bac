"""Where the version stands. `pyproject.toml` is the one place; what cannot read it is written from it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from machine.console import MachineFault
from releasing.versions import chart_version

_PYPROJECT: Final = re.compile(r'(?m)^(version = ")([^"]+)(")$')
_CHART: Final = re.compile(r"(?m)^(version: )(\S+)()$")
_APP: Final = re.compile(r'(?m)^(appVersion: ")([^"]+)(")$')
_IMAGE: Final = re.compile(r"(\bchandlery(?:-[a-z-]+)?:)(\d[\w.]*)()")
"""`chandlery:0.1.0`, `chandlery-demo-broker:0.1.0`: images of ours, in Dockerfiles and compose files."""
_BAKE: Final = re.compile(r'("VERSION": \{"default": ")([^"]+)(")')
_GUIDE: Final = re.compile(r"(?m)^(release=)(\S+)()$")


@dataclass(frozen=True)
class Place:
    """One file with one kind of mention; the pattern has what stands before, the version, and what stands behind."""

    path: Path
    pattern: re.Pattern[str]
    is_chart: bool = False
    """Whether it is the chart's own version, which Helm wants in another form."""

    def found(self) -> list[str]:
        """The versions that stand there."""
        return [match[2] for match in self.pattern.finditer(self.path.read_text(encoding="utf-8"))]

    def expected(self, version: str) -> str:
        """What has to stand there."""
        return chart_version(version) if self.is_chart else version

    def write(self, version: str) -> None:
        """Put it there, wherever one stands."""
        text = self.path.read_text(encoding="utf-8")
        wanted = self.expected(version)
        self.path.write_text(self.pattern.sub(lambda match: f"{match[1]}{wanted}{match[3]}", text), encoding="utf-8")


def places(root: Path) -> Iterator[Place]:
    """All of them; the first is the source of the others."""
    yield Place(root / "pyproject.toml", _PYPROJECT)
    chart = root / "deploy/chart/chandlery/Chart.yaml"
    yield Place(chart, _CHART, is_chart=True)
    yield Place(chart, _APP)
    deploy = root / "deploy"
    for path in sorted({*deploy.rglob("*Dockerfile"), *deploy.rglob("compose*.yaml")}):
        if _IMAGE.search(path.read_text(encoding="utf-8")):
            yield Place(path, _IMAGE)
    for path, pattern in ((deploy / "docker-bake.json", _BAKE), (root / "docs/production.md", _GUIDE)):
        if path.exists():
            yield Place(path, pattern)


def version_of(root: Path) -> str:
    """What pyproject.toml says. Raises MachineFault if it says it not once."""
    found = next(places(root)).found()
    if len(found) != 1:
        raise MachineFault(f'pyproject.toml has {len(found)} lines `version = "…"`; one is its version')
    return found[0]


def differences(root: Path) -> list[str]:
    """A sentence for each place that has another version than pyproject.toml."""
    version = version_of(root)
    return [
        f"{place.path.relative_to(root)} has version {found or 'none'}, and pyproject.toml makes it {expected}"
        for place in places(root)
        for expected in [place.expected(version)]
        for found in [", ".join(sorted(set(place.found())))]
        if found != expected
    ]


def write_version(root: Path, version: str) -> list[str]:
    """Put it into every place; the files, from the root."""
    every = list(places(root))
    for place in every:
        place.write(version)
    return sorted({str(place.path.relative_to(root)) for place in every})
