"""Whether a commit may become a release: sentences that say what is in the way. Pure; `release.py` has the facts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from machine.console import MachineFault
from releasing import changelog, release_list
from releasing.versions import is_release, tag

_MOST_FILES = 5


@dataclass(frozen=True, kw_only=True)
class ReleaseFacts:
    """What is known of the checkout."""

    version: str
    differences: Sequence[str]
    """Of the places where the version stands."""
    changed_files: Sequence[str]
    """That no commit has, with what Git says of each."""
    changelog: str
    """The whole file."""
    releases: str
    """The page with the list of releases."""
    commit: str
    tagged_commit: str
    """The one that has the tag of this version; empty where nothing has."""


def problems(facts: ReleaseFacts, *, rehearses: bool) -> Iterator[str]:
    """What is in the way of a release; a rehearsal may be of any version and needs no section of the changelog."""
    if facts.changed_files:
        shown = ", ".join(each.split(maxsplit=1)[-1] for each in facts.changed_files[:_MOST_FILES])
        more = len(facts.changed_files) - _MOST_FILES
        rest = f" and {more} more" if more > 0 else ""
        yield (
            f"the tree has changes that no commit has ({shown}{rest}): commit or stash them, so that everybody can "
            "build the same"
        )
    yield from facts.differences
    if rehearses:
        return
    version = facts.version
    if not is_release(version):
        yield f"{version} is no release: set one with `make version VERSION=…`, or try it out with REHEARSAL=1"
        return
    yield from _of_texts(facts)
    if facts.tagged_commit and facts.tagged_commit != facts.commit:
        yield (
            f"the tag {tag(version)} is on commit {facts.tagged_commit[:12]}, and this is {facts.commit[:12]}: a "
            "version is released once; set the next one with `make version VERSION=…`"
        )


def _of_texts(facts: ReleaseFacts) -> Iterator[str]:
    try:
        changelog.section(facts.changelog, facts.version)
    except MachineFault as fault:
        yield str(fault)
        return
    latest = changelog.latest_release(facts.changelog)
    if latest != facts.version:
        yield f"the latest release in CHANGELOG.md is {latest}, and pyproject.toml says {facts.version}"
    if changelog.has_unreleased(facts.changelog):
        yield f"CHANGELOG.md has changes below [Unreleased]; put what {facts.version} brings into its section"
    said = changelog.date_of(facts.changelog, facts.version)
    listed = release_list.date_of(facts.releases, facts.version)
    if said != listed:
        told = f"the date {listed}" if listed else "no row for it"
        yield f"CHANGELOG.md dates {facts.version} {said or 'nowhere'}, and docs/releases.md has {told}"
