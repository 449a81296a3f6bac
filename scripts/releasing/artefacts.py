"""What a release consists of, built from a copy of one commit. Nothing of it depends on the day or the machine.

Each function writes one kind of artefact into a folder; `build_all` writes them all.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import helm_python

from machine.console import MachineFault, say
from releasing.archives import write_archive
from releasing.git_checkout import STAMP
from releasing.versions import chart_version

SUMS: Final = "SHA256SUMS"
_CHART: Final = "deploy/chart/chandlery"
_SECONDS: Final = 300


@dataclass(frozen=True, kw_only=True)
class ReleaseSource:
    """A copy of a commit, and what is known of it."""

    folder: Path
    version: str
    notes: str
    """The section of the changelog."""
    at: int
    """The time of the commit, in seconds since 1970."""


def build_all(source: ReleaseSource, target: Path) -> None:
    """Everything, and the sums of all of it. Raises MachineFault."""
    stem = f"chandlery-{source.version}"
    say("wheel and sdist")
    packages(source, target)
    say("chart")
    chart(source, target)
    say("image context, requirements, bill of materials, notes")
    write_archive(target / f"{stem}-image-context.tar.gz", source.folder, _image_context(source.folder), at=source.at)
    shutil.copyfile(source.folder / "requirements/image.txt", target / f"{stem}-requirements.txt")
    bill_of_materials(source, target / f"{stem}.cdx.json")
    (target / f"{stem}-notes.md").write_text(f"# Chandlery {source.version}\n\n{source.notes}", encoding="utf-8")
    (target / SUMS).write_text(sums(target), encoding="utf-8")


def packages(source: ReleaseSource, target: Path) -> None:
    """Wheel and sdist, by the build backend that the development environment has by its lock."""
    _run(source, "-m", "hatchling", "build", "--directory", str(target), what="the build of wheel and sdist")


def chart(source: ReleaseSource, target: Path) -> None:
    """The chart as `helm package` makes it, by Helm's own engine; its files have the time of the commit."""
    folder = source.folder / _CHART
    # Helm would follow them, and say so.
    for link in [path for path in folder.rglob("*") if path.is_symlink()]:
        shared = link.resolve()
        link.unlink()
        shutil.copytree(shared, link)
    try:
        written = Path(helm_python.package(folder, destination=target))
    except helm_python.HelmError as error:
        raise MachineFault(f"Helm cannot package the chart: {error}") from error
    expected = f"chandlery-{chart_version(source.version)}.tgz"
    if written.name != expected:
        raise MachineFault(f"Helm has packaged {written.name}, and {expected} was expected: look at Chart.yaml")


def bill_of_materials(source: ReleaseSource, target: Path) -> None:
    """CycloneDX, as `make sbom` writes it."""
    _run(source, str(source.folder / "scripts/sbom.py"), str(target), what="the bill of materials")


def sums(folder: Path) -> str:
    """In the form of `sha256sum`, which `sha256sum --check` reads."""
    files = sorted(path for path in folder.iterdir() if path.name != SUMS)
    return "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files)


def _image_context(folder: Path) -> Iterator[str]:
    """What `.dockerignore` lets through, and the Dockerfiles; `docker build -f deploy/Dockerfile - < …` takes it."""
    lines = (folder / ".dockerignore").read_text(encoding="utf-8").splitlines()
    if "*" not in lines:
        raise MachineFault(".dockerignore has to begin with `*`: what is let through is named one by one")
    named = [folder / line[1:].rstrip("/") for line in lines if line.startswith("!")]
    for path in (*named, folder / STAMP, *(folder / "deploy").glob("*Dockerfile")):
        files = [path] if path.is_file() else path.rglob("*")
        yield from (str(each.relative_to(folder)) for each in files if each.is_file() or each.is_symlink())


def _run(source: ReleaseSource, *words: str, what: str) -> None:
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(source.at), "PYTHONHASHSEED": "0"}
    done = subprocess.run(
        [sys.executable, *words],
        cwd=source.folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        raise MachineFault(f"{what} failed: {said[0]}")
