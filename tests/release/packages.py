"""Wheel and sdist as the build backend makes them, and environments that have nothing but what is put into them."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from machine.installing import install_into
from tests.e2e.stacks.programs import REPOSITORY, clean_environment

LOCKS: Final = REPOSITORY / "requirements"
_SECONDS: Final = 120


@dataclass(frozen=True)
class Packages:
    """What goes to an index."""

    wheel: Path
    sdist: Path


@dataclass(frozen=True)
class Environment:
    """A virtual environment away from the checkout."""

    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    @property
    def chandlery(self) -> str:
        """The command, for `Program` and `subprocess`."""
        return str(self.folder / "bin" / "chandlery")

    def run(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run `chandlery` with these words in the environment's own folder, never in the checkout."""
        return subprocess.run(
            [self.chandlery, *words],
            cwd=self.folder,
            env=environment_without_checkout(**variables),
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )


def environment_without_checkout(**variables: str) -> dict[str, str]:
    """Environment variables of a program that finds nothing in the checkout, and nothing of its virtual environment."""
    environment = clean_environment(**variables)
    for name in ("PYTHONPATH", "VIRTUAL_ENV", "PYTHONHOME"):
        environment.pop(name, None)
    hidden = {str(Path(sys.executable).parent)}
    kept = [place for place in environment["PATH"].split(os.pathsep) if place not in hidden]
    return {**environment, "PATH": os.pathsep.join(kept)}


def build_packages(source: Path, target: Path) -> Packages:
    """Both from the source in `source`; the same build backend that `make setup` has installed by its lock."""
    run_hatchling(source, target)
    [wheel], [sdist] = target.glob("*.whl"), target.glob("*.tar.gz")
    return Packages(wheel, sdist)


def run_hatchling(source: Path, target: Path, *words: str, **variables: str) -> None:
    """Hatchling's own command line: `words` choose among its targets, all of them without any."""
    command = [sys.executable, "-m", "hatchling", "build", "--directory", str(target), *words]
    done = subprocess.run(
        command,
        cwd=source,
        env=clean_environment(**variables),
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def make_environment(folder: Path, *packages: Path, lock: str = "image.txt") -> Environment:
    """A virtual environment with the packages and what a lock in `requirements/` holds by hash, and nothing else."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True, timeout=_SECONDS)
    environment = Environment(folder)
    install_into(environment.python, "--no-deps", "--require-hashes", "-r", str(LOCKS / lock))
    if packages:
        install_into(environment.python, "--no-deps", "--no-index", *map(str, packages))
    return environment
