"""Messages, notes and stored objects across one release: each of the two reads what the other has written.

`recorded/0.1.0.json` was written by that release itself: `old_words.py write` in its environment. When the
release before is another one, its file is made the same way and takes the place of the older one: a test says so.
"""

import json
import re
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

from tests.e2e.stacks.programs import REPOSITORY
from tests.release.packages import Environment, environment_without_checkout
from tests.release.upgrade.previous_release import previous_release

_SCRIPT: Final = Path(__file__).with_name("old_words.py")
_RECORDED: Final = Path(__file__).parent / "recorded"
_PAGE: Final = REPOSITORY / "docs" / "upgrades.md"
_UNKNOWN_FIELD: Final = re.compile(r"^(spec\S*)\n\s+Extra inputs are not permitted", re.MULTILINE)
_TOLD: Final = re.compile(r"`(spec\.[\w.]+)`")
Words = dict[str, dict[str, Any]]


def _run(environment: Environment, *words: str, given: str = "") -> Words:
    done = subprocess.run(
        [str(environment.python), str(_SCRIPT), *words],
        input=given,
        env=environment_without_checkout(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: Words = json.loads(done.stdout)
    return found


def _lacking(told: Any, understood: Any, place: str = "") -> list[str]:
    """Where `understood` does not say what `told` says. It may say more."""
    if isinstance(told, dict) and isinstance(understood, dict):
        return [each for key, value in told.items() for each in _lacking(value, understood.get(key), f"{place}.{key}")]
    if isinstance(told, list) and isinstance(understood, list) and len(told) == len(understood):
        pairs = enumerate(zip(told, understood, strict=True))
        return [each for number, (one, other) in pairs for each in _lacking(one, other, f"{place}[{number}]")]
    return [] if told == understood else [f"{place}: {told!r} was read as {understood!r}"]


def _written(words: Words) -> Words:
    """By the names under which they are read."""
    texts = {name: json.loads(text) for name, text in words["messages"].items()}
    return {**texts, **words["notes"], **words["objects"]}


def test_what_is_recorded_is_what_the_release_before_writes(previous: Environment) -> None:
    recorded = _RECORDED / f"{previous_release().version}.json"
    assert recorded.exists(), f"record it: {previous.python} {_SCRIPT.name} write > {recorded}"
    assert json.loads(recorded.read_text()) == _run(previous, "write")


@pytest.mark.parametrize("recorded", sorted(_RECORDED.glob("*.json")), ids=lambda path: path.stem)
def test_this_release_reads_all_that_an_earlier_one_has_written(installed: Environment, recorded: Path) -> None:
    written = _written(json.loads(recorded.read_text()))
    for name, found in _run(installed, "read", given=recorded.read_text()).items():
        assert "problem" not in found, (name, found)
        told, _, reader = name.partition(" as ")
        if reader in ("", told):
            assert _lacking(written[told], found["read"]) == [], name


def test_the_release_before_reads_all_that_this_one_writes_but_for_what_the_page_tells(
    previous: Environment, installed: Environment
) -> None:
    today = _run(installed, "write")
    written, unknown = _written(today), set[str]()
    for name, found in _run(previous, "read", given=json.dumps(today)).items():
        told, _, reader = name.partition(" as ")
        if "problem" in found:
            fields = _UNKNOWN_FIELD.findall(found["problem"])
            assert fields, (name, found)
            unknown |= set(fields)
        elif reader in ("", told):
            # What it has never heard of it passes over; what it says is what was meant.
            assert _lacking(found["read"], written[told]) == [], name
    section = _PAGE.read_text().partition("## What the release before cannot read")[2].partition("\n## ")[0]
    assert set(_TOLD.findall(section)) == unknown


def test_a_trace_in_the_outbox_keeps_the_release_before_from_nothing_else(
    previous: Environment, installed: Environment
) -> None:
    lines = (
        "from chandlery.store.work.outbox import _entry; import sys;"
        "print([_entry(1, line) is not None for line in sys.stdin.read().split()])"
    )
    plain = '{"type":"LaneOpened","lane":"broker:/a"}'
    traced = json.loads(_run(installed, "write")["messages"]["Reconcile"]) | {
        "traceparent": f"00-{'a' * 32}-{'b' * 16}-01"
    }
    for environment, reads in ((previous, [False, True]), (installed, [True, True])):
        done = subprocess.run(
            [str(environment.python), "-c", lines],
            input=f"{json.dumps(traced, separators=(',', ':'))} {plain}",
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
            env=environment_without_checkout(),
        )
        assert json.loads(done.stdout.lower()) == reads
