"""What a release consists of: the bill, the licences, and that both are about what the lock has."""

import json
from pathlib import Path

import pytest

import licences
import sbom
from machine.console import MachineFault
from supply_chain.licences import DENIED, is_allowed, spdx
from supply_chain.locks import Pinned, read_lock

LOCK = licences.LOCK.read_text()


def pinned() -> list[Pinned]:
    return read_lock(LOCK)


def test_lock_is_read_with_hashes_and_who_wants_what() -> None:
    found = {str(each.name): each for each in pinned()}
    assert len(found) == sum(1 for line in LOCK.splitlines() if "==" in line) > 40
    assert sum(len(each.hashes) for each in found.values()) == LOCK.count("--hash=sha256:")
    assert all(each.hashes and each.wanted_by for each in found.values())
    assert "fastapi" in found["starlette"].wanted_by
    assert found["fastapi"].wanted_by == ("chandlery",)


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> sbom.Document:
    """What `make sbom` writes, which refuses what is not valid by the schema."""
    path = tmp_path_factory.mktemp("sbom") / "bill.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOURCE_DATE_EPOCH", "1700000000")
        assert sbom.main([str(path)]) == 0
    found: sbom.Document = json.loads(path.read_text())
    return found


def test_bill_has_every_package_of_the_lock_with_its_hashes_and_licence(document: sbom.Document) -> None:
    components = {each["name"]: each for each in document["components"]}
    assert set(components) == {each.name for each in pinned()} | {"swagger-ui-dist"}
    for each in pinned():
        component = components[each.name]
        hashes = [one["content"] for one in component["externalReferences"][0]["hashes"]]
        assert (component["version"], sorted(hashes)) == (str(each.version), sorted(each.hashes))
        assert component["purl"] == f"pkg:pypi/{each.name}@{each.version}"
        assert component["licenses"]
    assert {file["name"] for file in components["swagger-ui-dist"]["components"]} >= {"swagger-ui-bundle.js"}


def test_bill_with_an_address_that_is_none_is_refused(
    document: sbom.Document, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = json.loads(json.dumps(document))
    broken["components"][0]["externalReferences"][0]["url"] = "no address"
    monkeypatch.setattr(sbom, "bill", lambda: broken)
    with pytest.raises(MachineFault, match="does not conform"):
        sbom.main([str(tmp_path / "bill.json")])


def test_bill_tells_who_needs_what(document: sbom.Document) -> None:
    needs = {each["ref"]: each["dependsOn"] for each in document["dependencies"]}
    ours = document["metadata"]["component"]["bom-ref"]
    assert len(needs) == len(document["components"]) + 1
    seen, ahead = set(), [ours]
    while ahead:
        ref = ahead.pop()
        if ref not in seen:
            seen.add(ref)
            ahead += needs[ref]
    assert seen == set(needs), "everything is there because something needs it"


def test_same_commit_gives_the_same_bill(document: sbom.Document, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    assert sbom.bill() == document
    assert document["metadata"]["timestamp"].startswith("2023-11-14")


@pytest.mark.parametrize(
    ("expression", "allowed"),
    [
        ("MIT", True),
        ("MIT AND PSF-2.0", True),
        ("AGPL-3.0-only OR MIT", True),
        ("AGPL-3.0-only AND MIT", False),
        ("MPL-2.0 AND (Apache-2.0 OR GPL-3.0-only)", True),
        ("MPL-2.0 AND (SSPL-1.0 OR GPL-3.0-only)", False),
        ("AGPL-3.0-or-later", False),
        ("BUSL-1.1", False),
        ("LGPL-3.0-only", False),
        ("UNKNOWN", False),
        ("", False),
        ("MIT OR", False),
        ("(MIT", False),
        ("MIT MIT", False),
        ("Apache-2.0 WITH something", False),
    ],
)
def test_licence_is_allowed_only_if_every_part_that_counts_is(expression: str, allowed: bool) -> None:
    assert is_allowed(expression) is allowed


@pytest.mark.parametrize("name", DENIED)
def test_licence_that_is_denied_by_name_is_not_allowed(name: str) -> None:
    assert not is_allowed(name)


def test_names_of_classifiers_are_known() -> None:
    assert spdx("Apache Software License; MIT License") == "Apache-2.0 AND MIT"
    assert spdx("GNU Affero General Public License v3") == "GNU Affero General Public License v3"


def test_page_of_licences_is_about_the_lock() -> None:
    rows = [line.split(" | ") for line in licences.PAGE.read_text().splitlines() if line.startswith("| ")][1:]
    told = {(row[0].removeprefix("| "), row[1]) for row in rows if "(npm" not in row[0]}
    assert told == {(each.name, str(each.version)) for each in pinned()}
    assert licences.main(["--check"]) == 0


def test_page_tells_which_packages_only_the_image_brings() -> None:
    always = {each.name for each in read_lock(licences.LOCK.with_name("runtime.txt").read_text())}
    rows = [line.split(" | ") for line in licences.PAGE.read_text().splitlines() if line.startswith("| ")][1:]
    told = {row[0].removeprefix("| ") for row in rows if "the image" in row[3]}
    assert told == {each.name for each in pinned()} - always
    assert {"opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http", "requests"} <= told


def test_package_with_a_licence_that_is_not_allowed_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(licences, "PAGE", tmp_path / "licences.md")
    monkeypatch.setattr(licences, "installed_licences", lambda _pinned: {"greedy": "AGPL-3.0-only", "kind": "MIT"})
    with pytest.raises(MachineFault, match=r"greedy: AGPL-3\.0-only"):
        licences.main([])
    assert not licences.PAGE.exists()
