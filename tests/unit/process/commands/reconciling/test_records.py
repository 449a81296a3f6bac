"""What is read of the time that was lost does not depend on the order in which files and lines are handed over."""

import json
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from chandlery.process.commands.reconciling.surveys.external_things import Thing, ThingKey
from chandlery.process.commands.reconciling.surveys.records import Record, read_records
from chandlery.process.logs.ecs_fields import NAMES
from chandlery.reconcile.answers import Verb, Verdict

PROVISION, UPDATE, DEPROVISION, POLL = Verb.PROVISION, Verb.UPDATE, Verb.DEPROVISION, Verb.POLL_INSTANCE
DONE, ACCEPTED, REJECTED, GONE = Verdict.SUCCEEDED, Verdict.ACCEPTED, Verdict.REJECTED, Verdict.GONE
KEY = ThingKey("broker:/keeper", "i-1")


def called(minute: int, verb: Verb, verdict: Verdict, **more: str) -> dict[str, Any]:
    """A line of a worker's log."""
    return {
        "@timestamp": f"2026-12-01T10:{minute:02}:00.000Z",
        "event.action": "call_broker",
        "chandlery.operation": verb,
        "chandlery.verdict": verdict,
        "chandlery.broker": "keeper",
        "chandlery.instance_id": "i-1",
        **{NAMES[name]: value for name, value in more.items()},
    }


def audited(minute: int, verb: str, name: str = "one") -> dict[str, Any]:
    return {
        "kind": "Event",
        "verb": verb,
        "requestReceivedTimestamp": f"2026-12-01T10:{minute:02}:00.000000Z",
        "objectRef": {"resource": "serviceinstances", "namespace": "ns", "name": name},
        "responseStatus": {"code": 200},
    }


def read(folder: Path, *lines: dict[str, Any]) -> Record:
    """Each line in a file of its own, handed over in this order."""
    files = []
    for number, line in enumerate(lines):
        files.append(folder / f"{number}.log")
        files[-1].write_text(f"{json.dumps(line)}\n")
    return read_records(files)


def thing_of(record: Record) -> Thing:
    assert list(record.things) == [KEY]
    return record.things[KEY]


@pytest.mark.parametrize(
    ("calls", "is_gone", "is_going"),
    [
        ([(PROVISION, DONE), (DEPROVISION, DONE)], True, True),
        (
            [
                (PROVISION, DONE),
                (DEPROVISION, ACCEPTED),
                (POLL, GONE),
            ],
            True,
            True,
        ),
        (
            [
                (PROVISION, ACCEPTED),
                (POLL, DONE),
                (DEPROVISION, ACCEPTED),
            ],
            False,
            True,
        ),
        ([(PROVISION, DONE), (DEPROVISION, REJECTED)], False, False),
        (
            [
                (PROVISION, DONE),
                (DEPROVISION, DONE),
                (PROVISION, DONE),
            ],
            False,
            False,
        ),
        ([(PROVISION, DONE), (DEPROVISION, Verdict.TIMED_OUT)], False, True),
    ],
    ids=["deleted", "deleted and polled", "being deleted", "refused", "made again", "unknown"],
)
def test_what_came_last_is_told_by_the_times_in_the_lines(
    calls: list[tuple[Verb, Verdict]], is_gone: bool, is_going: bool, tmp_path: Path
) -> None:
    lines = [called(minute, verb, verdict) for minute, (verb, verdict) in enumerate(calls)]
    for order in permutations(lines):
        found = thing_of(read(tmp_path, *order))
        assert (found.is_gone, found.is_going) == (is_gone, is_going), order


def test_a_plan_that_the_broker_has_refused_is_none_that_it_has(tmp_path: Path) -> None:
    lines = (
        called(1, PROVISION, DONE, plan_id="small", service_id="s", namespace="ns", name="one"),
        called(2, UPDATE, DONE, plan_id="large", service_id="s", namespace="ns", name="one"),
        called(3, UPDATE, REJECTED, plan_id="huge", service_id="s", namespace="ns", name="one"),
    )
    for order in permutations(lines):
        found = thing_of(read(tmp_path, *order))
        assert (found.plan_id, found.service_id, found.place) == ("large", "s", ("ns", "one"))


def test_what_was_refused_from_the_beginning_is_nothing(tmp_path: Path) -> None:
    assert read(tmp_path, called(1, PROVISION, REJECTED), called(2, POLL, GONE)).things == {}


def test_an_operators_own_line_counts_more_than_a_log(tmp_path: Path) -> None:
    own = {"kind": "ServiceInstance", "broker": "keeper", "externalID": "i-1", "planID": "small"}
    for order in permutations((own, called(1, PROVISION, DONE), called(2, DEPROVISION, DONE))):
        found = thing_of(read(tmp_path, *order))
        assert not found.is_gone
        assert found.plan_id == "small"


def test_the_audit_log_is_read_by_its_times_too(tmp_path: Path) -> None:
    lines = (audited(1, "create"), audited(2, "delete"), audited(3, "create", "two"))
    for order in permutations(lines):
        assert list(read(tmp_path, *order).audited) == [("serviceinstances", ("ns", "two"))]
