"""Tells the version, or sets it wherever it stands; for a release the changelog and the list of releases, too.

    version.py                 # print it; exit 1 where a file has another one
    version.py 0.2.0.dev0      # what is being worked on after 0.1.0
    version.py 0.2.0           # the release: what is unreleased in CHANGELOG.md becomes its section

Run by `make version`. Nothing is committed, tagged or published: `git diff` shows what was written.
"""

import argparse
from datetime import UTC, date, datetime
from typing import Final

from machine.console import MachineFault, run_command, say
from machine.places import REPOSITORY
from releasing.changelog import latest_release, released
from releasing.release_list import with_release
from releasing.version_places import differences, version_of, write_version
from releasing.versions import checked, is_later, is_release

_CHANGELOG: Final = REPOSITORY / "CHANGELOG.md"
_LIST: Final = REPOSITORY / "docs/releases.md"


def main(arguments: list[str] | None = None) -> int:
    """Print or write; the exit status."""
    parser = argparse.ArgumentParser(description="Tells or sets the version of Chandlery.")
    parser.add_argument("version", nargs="?", default="", help="the version to set, such as 0.2.0 or 0.3.0.dev0")
    parser.add_argument(
        "--date",
        type=date.fromisoformat,
        default=datetime.now(UTC).date(),
        help="of a release, as 2026-11-30  [default: today]",
    )
    given = parser.parse_args(arguments)
    if not given.version:
        return _tell()
    _set(checked(given.version), given.date)
    return 0


def _tell() -> int:
    print(version_of(REPOSITORY))
    wrong = differences(REPOSITORY)
    for sentence in wrong:
        say(f"{sentence}; `make version VERSION={version_of(REPOSITORY)}` mends that")
    return int(bool(wrong))


def _set(version: str, day: date) -> None:
    text = _CHANGELOG.read_text(encoding="utf-8")
    before = latest_release(text)
    if version != before and not is_later(version, before):
        raise MachineFault(f"{version} is not later than {before}, which CHANGELOG.md has as the latest release")
    # Decided before anything is written.
    is_new = is_release(version) and version != before
    changed = released(text, version, day) if is_new else text
    listed = with_release(_LIST.read_text(encoding="utf-8"), version, day) if is_new else ""
    written = write_version(REPOSITORY, version)
    if is_new:
        _CHANGELOG.write_text(changed, encoding="utf-8")
        _LIST.write_text(listed, encoding="utf-8")
        written += [str(path.relative_to(REPOSITORY)) for path in (_CHANGELOG, _LIST)]
    say(f"version {version} stands in {', '.join(written)}; look at it with `git diff`")


if __name__ == "__main__":
    run_command(main)
