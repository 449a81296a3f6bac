"""Known vulnerabilities of locked packages, found in an export of OSV without the network."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from packaging.utils import canonicalize_name
from packaging.version import Version

import vulnerabilities
from machine.console import MachineFault
from supply_chain.osv import NoOsvRecord, advisories

HASH = "0" * 64
LOCK = f"some-package==1.5.0 \\\n    --hash=sha256:{HASH}\n    # via chandlery (pyproject.toml)\n"
NAME = canonicalize_name("some-package")


def record(ident: str = "PYSEC-1", *events: dict[str, str], **fields: Any) -> dict[str, Any]:
    """One about `Some_Package`, which PyPI takes for `some-package`."""
    kind = fields.pop("kind", "ECOSYSTEM")
    package = {"ecosystem": fields.pop("ecosystem", "PyPI"), "name": fields.pop("name", "Some_Package")}
    affected: dict[str, Any] = {"package": package, "versions": fields.pop("versions", [])}
    if events:
        affected["ranges"] = [{"type": kind, "events": list(events)}]
    return {"id": ident, "modified": "2026-11-01T00:00:00Z", "summary": "a hole", "affected": [affected], **fields}


def between(*texts: str) -> list[dict[str, str]]:
    """`introduced 1`, `fixed 2` … as events."""
    return [dict([text.split(" ", 1)]) for text in texts]


@pytest.mark.parametrize(
    ("events", "version", "found"),
    [
        (between("introduced 0", "fixed 1.6"), "1.5.0", True),
        (between("introduced 0", "fixed 1.5"), "1.5.0", False),
        (between("introduced 1.5", "fixed 1.6"), "1.5.0", True),
        (between("introduced 1.5.1"), "1.5.0", False),
        (between("introduced 1.0"), "1.5.0", True),
        (between("introduced 0", "last_affected 1.5"), "1.5.0", True),
        (between("introduced 0", "last_affected 1.4.9"), "1.5.0", False),
        (between("fixed 1.2", "introduced 0", "introduced 1.4"), "1.3", False),
        (between("fixed 1.2", "introduced 0", "introduced 1.4"), "1.5.0", True),
        (between("introduced 0", "fixed 1.10"), "1.9", True),
        (between("introduced 0", "fixed 1.5.0"), "1.5.0rc1", True),
        (between("introduced 0", "limit 1.5"), "1.5.0", False),
        (between("introduced 0", "limit *"), "1.5.0", True),
    ],
    ids=str,
)
def test_range_is_read_as_osv_says(events: list[dict[str, str]], version: str, found: bool) -> None:
    told = list(advisories(record("X", *events), {NAME: [Version(version)]}))
    assert bool(told) is found


def test_version_that_is_listed_is_affected_whatever_the_ranges_say() -> None:
    known = {NAME: [Version("1.5.0")]}
    assert list(advisories(record(versions=["1.5"]), known))
    assert not list(advisories(record(versions=["1.4", "not a version"]), known))
    commits = record("X", {"introduced": "0"}, kind="GIT")
    assert not list(advisories(commits, known)), "commits say nothing of versions"


def test_what_cannot_be_compared_counts_as_found() -> None:
    [told] = advisories(record("X", {"introduced": "0"}, {"fixed": "the next one"}), {NAME: [Version("1.5.0")]})
    assert not told.is_certain


@pytest.mark.parametrize(
    "other",
    [
        record("X", {"introduced": "0"}, withdrawn="2026-01-01T00:00:00Z"),
        record("X", {"introduced": "0"}, ecosystem="npm"),
        record("X", {"introduced": "0"}, name="some-packages"),
        {"id": "X"},
    ],
    ids=["withdrawn", "other ecosystem", "other package", "about nothing"],
)
def test_record_about_something_else_is_passed_over(other: dict[str, Any]) -> None:
    assert not list(advisories(other, {NAME: [Version("1.5.0")]}))


@pytest.mark.parametrize("broken", [[], {"affected": []}, {"id": 7}, {"id": "X", "affected": {}}, None])
def test_document_that_is_no_record_is_refused(broken: Any) -> None:
    with pytest.raises(NoOsvRecord):
        list(advisories(broken, {NAME: [Version("1.5.0")]}))


def check(folder: Path, *records: Any, accepted: str = "", today: str = "2026-11-20", zipped: bool = False) -> int:
    """The exit status of the command over these records."""
    lock, data = folder / "lock.txt", folder / "data"
    lock.write_text(LOCK)
    (folder / "accepted.toml").write_text(accepted)
    data.mkdir()
    for number, each in enumerate(records):
        (data / f"{number}.json").write_text(each if isinstance(each, str) else json.dumps(each))
    if zipped:
        with zipfile.ZipFile(folder / "all.zip", "w") as archive:
            for file in data.iterdir():
                archive.write(file, file.name)
        data = folder / "all.zip"
    options = ["--locks", str(lock), "--accepted", str(folder / "accepted.toml"), "--today", today]
    return vulnerabilities.main([str(data), *options])


HOLE = record("GHSA-1", {"introduced": "0"}, {"fixed": "1.6"}, aliases=["CVE-2026-1"])
TWIN = record("PYSEC-1", {"introduced": "0"}, {"fixed": "1.6.1"}, aliases=["CVE-2026-1"])


@pytest.mark.parametrize("zipped", [False, True], ids=["folder", "zip"])
def test_vulnerability_is_told_once_under_all_its_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], zipped: bool
) -> None:
    assert check(tmp_path, HOLE, TWIN, zipped=zipped) == 1
    printed, said = capsys.readouterr()
    assert printed.splitlines() == [
        "some-package 1.5.0 (lock.txt): CVE-2026-1, GHSA-1, PYSEC-1: a hole; fixed in 1.6, 1.6.1"
    ]
    assert "1 locked versions held against 2 records: 1 vulnerabilities" in said


def test_nothing_found_is_status_0(tmp_path: Path) -> None:
    assert check(tmp_path, record("X", {"introduced": "0"}, {"fixed": "1.5"})) == 0


def test_old_export_is_told_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check(tmp_path, HOLE, today="2027-03-01")
    assert "fetch a newer export" in capsys.readouterr().err


ACCEPTED = (
    '[[accepted]]\nid = "CVE-2026-1"\nreason = "the part that is vulnerable is never called"\nuntil = 2026-12-24\n'
)


@pytest.mark.parametrize(
    ("records", "today", "status", "said"),
    [
        ([HOLE, TWIN], "2026-12-24", 0, "is accepted until 2026-12-24: the part that"),
        ([HOLE, TWIN], "2026-12-25", 1, "was accepted until 2026-12-24: look at it again"),
        ([record("X", name="other")], "2026-12-01", 0, "remove the entry"),
    ],
    ids=["accepted", "expired", "no longer there"],
)
def test_accepted_vulnerability_is_passed_over_until_its_day(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    records: list[Any],
    today: str,
    status: int,
    said: str,
) -> None:
    assert check(tmp_path, *records, accepted=ACCEPTED, today=today) == status
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "accepted",
    [
        "[[accepted]]\nid = 'X'\n",
        ACCEPTED.replace("2026-12-24", '"soon"'),
        ACCEPTED.replace("the part that is vulnerable is never called", "ok"),
        "ignored = []\n",
        "not toml",
    ],
    ids=["no reason", "no date", "no real reason", "unknown key", "no TOML"],
)
def test_acceptance_without_reason_and_day_is_refused(tmp_path: Path, accepted: str) -> None:
    with pytest.raises(MachineFault) as raised:
        check(tmp_path, HOLE, accepted=accepted)
    assert raised.value.exit_code == 2


@pytest.mark.parametrize(
    "records",
    [
        [],
        ["{"],
        ["[]"],
        ['{"id": "X", "affected": [7]}'],
        ["[" * 100_000],
        [record(versions=["1" * 5000])],
    ],
    ids=["none", "cut off", "a list", "a number", "deep", "a version of thousands of digits"],
)
def test_export_that_cannot_be_used_is_never_taken_for_a_clean_one(tmp_path: Path, records: list[Any]) -> None:
    with pytest.raises(MachineFault) as raised:
        check(tmp_path, *records)
    assert raised.value.exit_code == 2


def test_damaged_or_missing_export_is_one_sentence(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere.zip", tmp_path / "broken.zip"):
        with pytest.raises(MachineFault):
            vulnerabilities.main([str(path)])
        (tmp_path / "broken.zip").write_bytes(b"PK\x03\x04 and no more")


@pytest.mark.parametrize("damage", ["content", "encrypted", "method"])
def test_zip_that_cannot_be_unpacked_is_never_taken_for_a_find(tmp_path: Path, damage: str) -> None:
    archive = tmp_path / "all.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as writing:
        writing.writestr("1.json", json.dumps(HOLE))
    content = bytearray(archive.read_bytes())
    first, listed = 0, content.find(b"PK\x01\x02")
    if damage == "content":
        content[36:60] = b"\xff" * 24
    elif damage == "encrypted":
        content[first + 6] |= 1
        content[listed + 8] |= 1
    else:
        content[first + 8] = content[listed + 10] = 99
    archive.write_bytes(content)
    with pytest.raises(MachineFault) as raised:
        vulnerabilities.main([str(archive)])
    assert raised.value.exit_code == 2


def test_what_a_record_says_steers_no_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(tmp_path, {**HOLE, "summary": "a\x1b[2Jb\x07\nc"}) == 1
    assert "a[2Jb;" in capsys.readouterr().out


def test_our_own_locks_can_be_read() -> None:
    locked = vulnerabilities.read_locks(sorted((Path(__file__).parents[3] / "requirements").glob("*.txt")))
    assert len(locked) > 150
    assert {"runtime.txt", "demo.txt", "dev.txt"} <= set(next(iter(locked[canonicalize_name("fastapi")].values())))
