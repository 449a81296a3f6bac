"""Builds a release from the commit that is checked out, into `dist/<version>/`: packages, chart, image context.

    release.py [--rehearsal] [--sign COMMAND] [--signature-suffix .sig]

Run by `make release`. The same commit gives the same files, byte for byte. What is in the way of a release is said in
one sentence each, and nothing is built. Nothing is tagged or published: docs/releases.md has the commands.
"""

import argparse
import os
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from machine.console import MachineFault, run_command, say
from machine.places import REPOSITORY
from releasing import changelog
from releasing.artefacts import SUMS, ReleaseSource, build_all
from releasing.git_checkout import changed_files, commit, commit_seconds, export, tagged_commit
from releasing.release_checks import ReleaseFacts, problems
from releasing.signing import read_command, sign_all
from releasing.version_places import differences, version_of
from releasing.versions import tag

_DIST: Final = REPOSITORY / "dist"


def main(arguments: list[str] | None = None) -> int:
    """Look, build, sign; the exit status."""
    given = _parser().parse_args(arguments)
    command = read_command(given.sign) if given.sign else []
    facts = _facts()
    in_the_way = list(problems(facts, rehearses=given.rehearsal))
    for sentence in in_the_way:
        print(f"error: {sentence}", file=sys.stderr)
    if in_the_way:
        return 1
    target = _DIST / facts.version
    _build(facts, target, command, suffix=given.signature_suffix)
    for path in sorted(target.iterdir()):
        print(path.relative_to(REPOSITORY))
    if not command:
        say("nothing is signed: SIGN= names no command (docs/releases.md)")
    if given.rehearsal:
        say(f"this was a rehearsal: {facts.version} is not to be published")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Builds a release of Chandlery into dist/.")
    parser.add_argument(
        "--rehearsal", action="store_true", help="of any version, with what is unreleased in the changelog as its notes"
    )
    parser.add_argument("--sign", default="", help="command that signs {file} and writes {signature}")
    parser.add_argument("--signature-suffix", default=".sig", help="default: %(default)s")
    return parser


def _facts() -> ReleaseFacts:
    version = version_of(REPOSITORY)
    return ReleaseFacts(
        version=version,
        differences=differences(REPOSITORY),
        changed_files=changed_files(),
        changelog=(REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8"),
        releases=(REPOSITORY / "docs/releases.md").read_text(encoding="utf-8"),
        commit=commit(),
        tagged_commit=tagged_commit(tag(version)),
    )


def _build(facts: ReleaseFacts, target: Path, command: list[str], *, suffix: str) -> None:
    at = int(os.environ.get("SOURCE_DATE_EPOCH") or commit_seconds())
    _DIST.mkdir(exist_ok=True)
    # Beside its place, where it comes only as a whole.
    with TemporaryDirectory(prefix=".building-", dir=_DIST) as folder:
        source, made = Path(folder, "source"), Path(folder, "made")
        source.mkdir()
        made.mkdir()
        export(source, at=at)
        build_all(ReleaseSource(folder=source, version=facts.version, notes=_notes(facts), at=at), made)
        if command:
            signed = sorted(path for path in made.iterdir() if path.name != SUMS)
            sign_all([*signed, made / SUMS], command, suffix=suffix)
        shutil.rmtree(target, ignore_errors=True)
        made.rename(target)


def _notes(facts: ReleaseFacts) -> str:
    try:
        return changelog.section(facts.changelog, facts.version)
    except MachineFault:
        # Of a rehearsal; nothing else gets here.
        return changelog.section(facts.changelog, changelog.UNRELEASED)


if __name__ == "__main__":
    run_command(main)
