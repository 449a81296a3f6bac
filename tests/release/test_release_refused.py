"""`make release` and `make version` refuse what would be no release, in one sentence each, and leave nothing behind."""

from pathlib import Path
from typing import Final

import pytest

from machine.console import MachineFault
from releasing.signing import read_command, sign_all
from tests.release.made_once import made_once
from tests.release.scratch_checkout import ScratchCheckout, about_to_release, coming_release, next_minor

_VERSION: Final = coming_release()
_LATER: Final = next_minor(_VERSION)
_DAY: Final = "2027-02-28"


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> ScratchCheckout:
    """One that is about to release, for tests that change nothing in it."""

    def make(folder: Path) -> None:
        about_to_release(folder / "here", _VERSION, _DAY)

    return ScratchCheckout(made_once(tmp_path_factory, "ready", make) / "here")


@pytest.fixture
def checkout(ready: ScratchCheckout, tmp_path: Path) -> ScratchCheckout:
    """A clone of it, for one test that does."""
    clone = ScratchCheckout(tmp_path / "clone")
    ready.git("clone", "--quiet", "--local", str(ready.folder), str(clone.folder))
    return clone


def test_release_of_a_tree_with_changes_is_refused(checkout: ScratchCheckout) -> None:
    checkout.edit("README.md", "# Chandlery", "# Chandlers")
    (checkout.folder / "notes.txt").write_text("mine")
    said = _refusal(checkout)
    assert said == [
        (
            "error: the tree has changes that no commit has (README.md, notes.txt): commit or stash them, so that "
            "everybody can build the same"
        )
    ]


def test_release_without_its_section_of_the_changelog_is_refused(checkout: ScratchCheckout) -> None:
    checkout.edit("CHANGELOG.md", f"## [{_VERSION}] - ", "## [9.9.9] - ")
    checkout.commit("another version")
    said = _refusal(checkout)
    assert said == [f"error: CHANGELOG.md has no section [{_VERSION}]: `make version VERSION={_VERSION}` makes it"]


def test_release_with_another_version_in_the_chart_is_refused(checkout: ScratchCheckout) -> None:
    checkout.edit("deploy/chart/chandlery/Chart.yaml", f'appVersion: "{_VERSION}"', 'appVersion: "0.1.9"')
    checkout.commit("another version")
    [sentence] = _refusal(checkout)
    assert sentence == (
        f"error: deploy/chart/chandlery/Chart.yaml has version 0.1.9, and pyproject.toml makes it {_VERSION}"
    )
    told = checkout.run("version.py")
    assert (told.returncode, told.stdout) == (1, f"{_VERSION}\n")
    assert f"`make version VERSION={_VERSION}` mends that" in told.stderr


def test_release_of_a_version_in_the_making_is_refused_but_can_be_rehearsed(checkout: ScratchCheckout) -> None:
    checkout.edit("CHANGELOG.md", "## [Unreleased]\n", "## [Unreleased]\n\n### Fixed\n\n- Something.\n")
    assert checkout.run("version.py", f"{_LATER}.dev0").returncode == 0
    checkout.commit("goes on")
    said = _refusal(checkout)
    assert said == [
        f"error: {_LATER}.dev0 is no release: set one with `make version VERSION=…`, or try it out with REHEARSAL=1"
    ]
    done = checkout.run("release.py", "--rehearsal")
    assert done.returncode == 0, done.stderr
    assert f"this was a rehearsal: {_LATER}.dev0 is not to be published" in done.stderr
    built = checkout.folder / f"dist/{_LATER}.dev0"
    notes = (built / f"chandlery-{_LATER}.dev0-notes.md").read_text()
    assert notes == f"# Chandlery {_LATER}.dev0\n\n### Fixed\n\n- Something.\n"
    assert (built / f"chandlery-{_LATER}-dev.0.tgz").exists()


def test_release_that_another_commit_is_tagged_with_is_refused(checkout: ScratchCheckout) -> None:
    checkout.git("tag", "--annotate", f"v{_VERSION}", "--message", "released")
    tagged = checkout.git("rev-parse", "HEAD")
    later = checkout.commit("more")
    said = _refusal(checkout)
    assert said == [
        (
            f"error: the tag v{_VERSION} is on commit {tagged[:12]}, and this is {later[:12]}: a version is released "
            "once; set the next one with `make version VERSION=…`"
        )
    ]


@pytest.mark.parametrize(
    ("version", "sentence"),
    [
        ("0.2", "error: '0.2' is no version of Chandlery: 0.2.0 is a release, 0.2.0rc1 a candidate"),
        (f"v{_LATER}", f"error: 'v{_LATER}' is no version of Chandlery"),
        ("0.0.9", f"error: 0.0.9 is not later than {_VERSION}, which CHANGELOG.md has as the latest release"),
        (_LATER, "error: CHANGELOG.md says nothing below [Unreleased]: a release without changes is none"),
    ],
)
def test_version_that_cannot_be_the_next_one_changes_nothing(
    ready: ScratchCheckout, version: str, sentence: str
) -> None:
    done = ready.run("version.py", version)
    assert done.returncode == 1
    assert done.stderr.startswith(sentence)
    assert ready.git("status", "--porcelain") == ""


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("gpg --detach-sign {file}", "SIGN has no {signature}: it is a command such as 'gpg --batch"),
        ("gpg '", "SIGN cannot be read: No closing quotation"),
        ("no-such-signer {file} {signature}", "no-such-signer of SIGN is not installed"),
    ],
    ids=["without a signature", "without an end", "not installed"],
)
def test_command_that_cannot_sign_is_refused_before_anything_is_built(
    ready: ScratchCheckout, command: str, sentence: str
) -> None:
    done = ready.run("release.py", "--sign", command)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {sentence}")
    assert not _leftovers(ready)


def test_release_is_not_there_when_it_cannot_be_signed(checkout: ScratchCheckout) -> None:
    done = checkout.run("release.py", "--sign", "false {file} {signature}")
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"error: false of SIGN failed for chandlery-{_VERSION}-image-context.tar.gz with status 1")
    assert not _leftovers(checkout)


def test_signer_that_writes_nothing_has_not_signed(tmp_path: Path) -> None:
    artefact = tmp_path / "chandlery.whl"
    artefact.write_bytes(b"a wheel")
    with pytest.raises(MachineFault, match=r"^true of SIGN ended well for chandlery\.whl, and wrote no signature$"):
        sign_all([artefact], read_command("true {file} {signature}"), suffix=".asc")
    [signature] = sign_all([artefact], read_command("cp {file} {signature}"), suffix=".asc")
    assert signature == tmp_path / "chandlery.whl.asc"


def _refusal(checkout: ScratchCheckout) -> list[str]:
    done = checkout.run("release.py")
    assert (done.returncode, done.stdout) == (1, "")
    assert not _leftovers(checkout)
    return done.stderr.splitlines()


def _leftovers(checkout: ScratchCheckout) -> list[Path]:
    dist = checkout.folder / "dist"
    return list(dist.iterdir()) if dist.exists() else []
