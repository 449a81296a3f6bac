"""Builds the site of the documentation into `dist/docs`, or another folder; once set up, without a network.

    build_docs.py [--site FOLDER]

Run by `make docs`. A warning, such as of a link that leads nowhere, ends it with status 1.
"""

import argparse
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from docs_site.staging import Staging
from machine.console import MachineFault, run_command, say
from machine.installing import install_into, succeeds
from machine.places import CACHE, REPOSITORY, locked

_FOLDER: Final = CACHE / "docs"
_LOCK: Final = REPOSITORY / "requirements" / "docs.txt"
_BUILD_SECONDS: Final = 120
_COLOURS: Final = re.compile(r"\x1b\[[0-9;]*m")


def main(arguments: list[str] | None = None) -> int:
    """Build it; the exit status."""
    parser = argparse.ArgumentParser(description="Builds the site of the documentation.")
    parser.add_argument("--site", type=Path, default=REPOSITORY / "dist" / "docs", help="the folder to put it into")
    site = parser.parse_args(arguments).site.resolve()
    with locked(_FOLDER / "lock"):
        generator = site_generator()
        configuration = Staging(_FOLDER).fill()
        status = build_site(generator, configuration)
        if status == 0:
            shutil.rmtree(site, ignore_errors=True)
            site.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(_FOLDER / "site", site)
    if status == 0:
        say(f"the site is in {site}: open index.html in a browser, no server is needed")
    return status


def site_generator() -> Path:
    """The site generator, in an environment of its own that has what the lock holds and nothing else."""
    environment, stamp = _FOLDER / "environment", _FOLDER / "environment.lock"
    program = environment / "bin" / "zensical"
    if stamp.exists() and stamp.read_text() == _LOCK.read_text() and succeeds([str(program), "--version"]):
        return program
    say("installing the site generator by its lock, once")
    shutil.rmtree(environment, ignore_errors=True)
    if subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=False).returncode != 0:
        raise MachineFault(f"no virtual environment can be made in {environment}; the message above says why")
    install_into(environment / "bin" / "python", "--no-deps", "--require-hashes", "-r", str(_LOCK))
    shutil.copyfile(_LOCK, stamp)
    return program


def build_site(generator: Path, configuration: Path) -> int:
    """Build it beside its configuration; 1 and the warnings on stderr if there are any."""
    shutil.rmtree(configuration.parent / "site", ignore_errors=True)
    command = [str(generator), "build", "--strict", "--clean", "--config-file", str(configuration)]
    done = subprocess.run(
        command,
        cwd=configuration.parent,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_BUILD_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        # It colours them whatever it is asked.
        sys.stderr.write(_COLOURS.sub("", done.stdout))
    return done.returncode


if __name__ == "__main__":
    run_command(main)
