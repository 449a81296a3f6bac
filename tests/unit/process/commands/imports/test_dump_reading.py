"""Dumps are read as kubectl writes them, item by item, and never quoted."""

import io
import json
import sys
from pathlib import Path

import pytest

from chandlery.model.faults import ConfigurationFault
from chandlery.model.json.json_text import write_json
from chandlery.process.commands.imports.sources.dump_reading import STDIN, read_dumps
from tests.support.dumps import old_catalog as old

ONE, TWO = old.instance("one", old.provisioned()), old.secret("two", password="p")
BARE = {key: value for key, value in ONE.items() if key not in ("apiVersion", "kind")}


def list_of(*items: old.Document, kind: str = "List", version: str = "v1") -> old.Document:
    return {"apiVersion": version, "items": list(items), "kind": kind, "metadata": {"resourceVersion": ""}}


def indented(document: object) -> str:
    return json.dumps(document, indent=4)


FORMS = {
    "what kubectl prints": (old.as_kubectl_prints(ONE, TWO), [ONE, TWO]),
    "several documents": (old.as_kubectl_prints(ONE) + "---\n" + old.as_kubectl_prints(TWO) + "---\n", [ONE, TWO]),
    "one object": (write_json(ONE).decode(), [ONE]),
    "a list as JSON": (indented(list_of(ONE, TWO)), [ONE, TWO]),
    "lists one after the other": (indented(list_of(ONE)) + "\n" + indented(list_of(TWO)) + "\n", [ONE, TWO]),
    "a list of one kind": (indented(list_of(BARE, kind="ServiceInstanceList", version=old.API)), [ONE]),
    "a list of one kind in YAML": (
        f"apiVersion: {old.API}\nkind: ServiceInstanceList\nitems:\n- {write_json(BARE).decode()}\n",
        [ONE],
    ),
    "empty": ("\n", []),
    "an empty list": (indented(list_of()), []),
    "brackets in texts": (indented(list_of({**TWO, "type": '"items": [}]\\'})), [{**TWO, "type": '"items": [}]\\'}]),
}


@pytest.mark.parametrize(("text", "found"), FORMS.values(), ids=FORMS.keys())
def test_a_dump_has_these_objects(tmp_path: Path, text: str, found: list[old.Document]) -> None:
    (tmp_path / "dump").write_text(text)
    assert list(read_dumps([tmp_path / "dump"])) == found


VALUES = {
    "2021-03-04T10:00:00Z": "2021-03-04T10:00:00Z",
    "yes": "yes",
    "true": True,
    "~": None,
    "010": 10,
    "1e+06": 1e6,
    "1.5": 1.5,
    "-3": -3,
    "1_000": "1_000",
    "12:30": "12:30",
    '"3"': "3",
}


@pytest.mark.parametrize(("text", "value"), VALUES.items())
def test_a_value_is_what_json_would_have(tmp_path: Path, text: str, value: object) -> None:
    (tmp_path / "dump").write_text(f"kind: Secret\non: {text}\n")
    assert list(read_dumps([tmp_path / "dump"])) == [{"kind": "Secret", "on": value}]


def test_stdin_is_read_for_a_dash(monkeypatch: pytest.MonkeyPatch) -> None:
    class Standard:
        buffer = io.BytesIO(old.as_kubectl_prints(ONE).encode())

    monkeypatch.setattr(sys, "stdin", Standard())
    assert list(read_dumps([STDIN])) == [ONE]


@pytest.mark.parametrize(
    "text",
    [
        "kind: {s3cret",
        '{"kind": s3cret}',
        "- 's3cret",
        "s3cret",
        "a: *s3cret",
        "[" * 500 + "s3cret",
        "x: " + "[" * 500 + "s3cret" + "]" * 500,
        "kind: !!python/object:s3cret {}",
    ],
)
def test_what_is_no_dump_is_refused_and_not_quoted(tmp_path: Path, text: str) -> None:
    (tmp_path / "dump").write_text(text)
    with pytest.raises(ConfigurationFault) as refused:
        list(read_dumps([tmp_path / "dump"]))
    assert "s3cret" not in refused.value.message
    assert str(tmp_path / "dump") in refused.value.message


@pytest.mark.parametrize(
    "text", [old.as_kubectl_prints(ONE, TWO), indented(list_of(ONE, TWO)), write_json(list_of(ONE, TWO)).decode()]
)
def test_a_list_that_was_cut_off_is_refused_wherever_it_ends(tmp_path: Path, text: str) -> None:
    dump = tmp_path / "dump"
    # Behind the items stands what they are a list of.
    for end in range(text.index("items") + len('items":'), text.rindex("List") + 3, 23):
        dump.write_text(text[:end])
        with pytest.raises(ConfigurationFault):
            list(read_dumps([dump]))
    dump.write_text(text[: text.rindex("kind")])
    with pytest.raises(ConfigurationFault, match="ends in the middle, so that objects are missing: take another one"):
        list(read_dumps([dump]))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationFault, match="cannot be read: No such file"):
        list(read_dumps([tmp_path / "nowhere"]))
