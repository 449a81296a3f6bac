"""Floods are folded: what is alike is counted, what is new is written at once, and nothing grows."""

import gc
import logging
from collections.abc import Callable, MutableMapping
from typing import Any

import pytest
import structlog

from chandlery.process.logs.folding import FREE, MOST_KINDS, SECONDS, Folding
from chandlery.process.logs.logs import configure_logs, end_logs
from chandlery.process.logs.tally import Tally

Lines = Callable[[], list[dict[str, Any]]]


class Clock:
    """Moves when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Fold:
    """A fold with what comes out of it: lines that are written, and sums."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.written: list[MutableMapping[str, Any]] = []
        self.sums: list[MutableMapping[str, Any]] = []
        self.folding = Folding(self.sums.append, clock=self.clock)

    def say(self, event: str = "it failed", **facts: Any) -> None:
        entry = {"event": event, "level": "warning", "logger": "chandlery.test", "action": "call_broker", **facts}
        try:
            self.written.append(self.folding(None, "warning", entry))
        except structlog.DropEvent:
            return


def test_lines_that_are_alike_are_written_a_few_times_and_then_counted() -> None:
    fold = Fold()
    for number in range(FREE + 41):
        fold.say(f"it failed after {number} ms", ms=number, uid="u-1", attempt=number)
    assert len(fold.written) == FREE
    fold.clock.now = SECONDS - 0.1
    fold.folding.tell_due()
    assert fold.sums == []
    fold.clock.now = SECONDS
    fold.folding.tell_due()
    (told,) = fold.sums
    assert told["event"] == f"it failed after {FREE} ms (41 more lines like it within 10 s)"
    assert (told["repeats"], told["uid"], told["action"], told["level"]) == (41, "u-1", "call_broker", "warning")
    assert not {"ms", "attempt"} & set(told)
    fold.say(uid="u-1")
    assert len(fold.written) == FREE + 1


@pytest.mark.parametrize(
    "other",
    [
        {"uid": "u-2"},
        {"broker": "harbour"},
        {"level": "error"},
        {"logger": "chandlery.other"},
        {"action": "sweep"},
        {"status": 500},
        {"error_type": "LookupError"},
        {"user": "ann"},
    ],
    ids=lambda other: next(iter(other)),
)
def test_what_is_new_in_a_flood_is_written_at_once(other: dict[str, Any]) -> None:
    fold = Fold()
    for _ in range(10 * FREE):
        fold.say(uid="u-1")
    fold.say("something else", **{"uid": "u-1", **other})
    assert fold.written[-1]["event"] == "something else"


def test_any_later_line_tells_of_a_flood_that_is_over() -> None:
    fold = Fold()
    for _ in range(2 * FREE):
        fold.say(uid="u-1")
    fold.clock.now = SECONDS
    fold.say(uid="u-2")
    assert [told["repeats"] for told in fold.sums] == [FREE]


def test_requests_that_were_served_and_what_debug_tells_are_never_folded() -> None:
    fold = Fold()
    for _ in range(10 * FREE):
        fold.say(action="serve_request", path="/api", status=201, outcome="success", level="info")
        fold.say(level="debug")
    assert len(fold.written) == 20 * FREE
    for _ in range(10 * FREE):
        fold.say(action="serve_request", path="/api", status=403, outcome="failure", level="info")
    assert len(fold.written) == 21 * FREE


def test_memory_is_bounded_and_who_makes_room_is_told_of() -> None:
    fold = Fold()
    for _ in range(FREE + 1):
        fold.say(uid="first")
    for number in range(3 * MOST_KINDS):
        fold.say(uid=str(number))
    assert len(fold.folding._floods) == MOST_KINDS
    assert [told["uid"] for told in fold.sums] == ["first"]


def test_a_kept_line_is_short_and_holds_no_exception() -> None:
    fold = Fold()
    for _ in range(FREE + 1):
        fold.say("x" * 10_000_000, uid="u-1", exc_info=LookupError("kept"), error="y" * 1_000_000)
    (flood,) = fold.folding._floods.values()
    assert sum(len(str(value)) for value in flood.sample.values()) < 10_000
    assert "exc_info" not in flood.sample


def test_what_cannot_be_compared_is_written() -> None:
    fold = Fold()
    for _ in range(10 * FREE):
        fold.say(reason=["a", "list"])
    assert len(fold.written) == 10 * FREE


def test_line_in_the_midst_of_a_line_is_written_too() -> None:
    # As of a task that the collector of garbage finds, while a line is being looked at.
    fold = Fold()
    inner = fold.folding._is_written

    def with_another(*given: Any) -> bool:
        fold.folding._is_written = inner  # type: ignore[method-assign]
        fold.say(uid="u-2")
        return inner(*given)

    fold.folding._is_written = with_another  # type: ignore[method-assign, assignment]
    fold.say(uid="u-1")
    assert [line["uid"] for line in fold.written] == ["u-2", "u-1"]


@pytest.mark.parametrize("form", ["json", "console"])
def test_lines_of_libraries_are_folded_by_what_they_are_made_of(form: str, written: Callable[[], str]) -> None:
    configure_logs(level="info", form=form)
    for number in range(5 * FREE):
        logging.getLogger("library").warning("connection %d was lost", number)
    logging.getLogger("library").warning("something else")
    end_logs()
    told = written().splitlines()
    assert len(told) == FREE + 2
    assert "something else" in told[-2]
    assert f"connection {FREE} was lost ({4 * FREE} more lines like it within 10 s)" in told[-1]


def test_tracebacks_are_folded_by_their_class(lines: Lines) -> None:
    configure_logs(level="info", form="json")
    for number in range(3 * FREE):
        for error in (LookupError(number), ValueError(number)):
            try:
                raise error
            except type(error):
                structlog.get_logger("chandlery.test").exception("it went wrong", action="sweep")
    end_logs()
    told = lines()
    assert len(told) == 2 * FREE + 2
    assert {line["error.type"] for line in told[-2:]} == {"LookupError", "ValueError"}
    assert [line["chandlery.repeats"] for line in told[-2:]] == [2 * FREE, 2 * FREE]


async def test_end_of_a_process_tells_what_was_only_counted(lines: Lines) -> None:
    configure_logs(level="info", form="json")
    log = structlog.get_logger("chandlery.test")
    tally = Tally(lambda key, count: log.warning(f"{key}: {count}", action="shed_load"))
    for _ in range(4):
        tally.add("ann")
    for _ in range(FREE + 1):
        log.info("again", action="remind")
    end_logs()
    assert [line["message"] for line in lines() if line["log.level"] == "warning"] == ["ann: 1", "ann: 3"]
    end_logs()
    assert lines() == []
    del tally
    gc.collect()
