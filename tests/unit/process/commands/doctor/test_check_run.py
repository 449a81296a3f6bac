"""How checks are run: in their order, side by side, each within its time, whatever one of them does."""

import asyncio
import threading
from collections.abc import Sequence

import pytest

from chandlery.model.faults import ConfigurationFault, Refused, Unavailable
from chandlery.process.commands.doctor.check import (
    WORK,
    Check,
    Look,
    Result,
    State,
    fail,
    failed_with,
    ok,
    skipped,
    unused,
    warn,
    worst,
)
from chandlery.process.commands.doctor.check_run import run_checks, with_needed
from tests.support.waiting import SOON


def check(name: str, look: Look = lambda: ok("fine"), *, needs: Sequence[str] = (), blocks: str = "") -> Check:
    return Check(id=name, section=WORK, question="?", look=look, needs=tuple(needs), blocks=blocks)


async def results(*checks: Check, seconds: float = SOON, each_seconds: float = SOON) -> dict[str, Result]:
    found = await run_checks(checks, seconds=seconds, each_seconds=each_seconds)
    return {each.check.id: each.result for each in found}


async def test_what_needs_a_check_that_blocks_is_skipped_and_says_why() -> None:
    down = check("down", lambda: fail("away", "start it"), blocks="it cannot be reached")
    found = await results(check("far", needs=["near"]), check("near", needs=["down"]), down, check("other"))
    assert found["down"].state is State.FAIL
    assert found["near"] == found["far"] == skipped("it cannot be reached")
    assert found["other"] == ok("fine")


async def test_a_failure_that_blocks_nothing_keeps_nobody_from_looking() -> None:
    old = check("schema", lambda: fail("old", "migrate"))
    assert (await results(old, check("work", needs=["schema"])))["work"] == ok("fine")


async def test_a_check_that_was_left_out_is_named() -> None:
    assert await results(check("a", needs=["b"])) == {"a": skipped("it needs the check b, which was left out")}


async def test_checks_that_wait_for_each_other_are_run_side_by_side() -> None:
    first, second = threading.Event(), asyncio.Event()

    def in_a_thread() -> Result:
        first.set()
        return ok("thread")

    async def on_the_loop() -> Result:
        await asyncio.to_thread(first.wait)
        second.set()
        return ok("loop")

    async def last() -> Result:
        await second.wait()
        return ok("last")

    found = await results(check("last", last), check("loop", on_the_loop), check("thread", in_a_thread))
    assert [each.state for each in found.values()] == [State.OK] * 3


async def test_a_check_that_hangs_ends_with_its_time_and_holds_up_no_other() -> None:
    hang = threading.Event()

    def hangs() -> Result:
        hang.wait()
        return ok("never")

    try:
        hanging = check("hangs", hangs, blocks="it hangs")
        found = await results(hanging, check("other"), check("later", needs=["hangs"]), each_seconds=0.5)
    finally:
        hang.set()
    assert found["hangs"].message == "no answer within 0.5 s"
    assert found["hangs"].is_late
    assert "--timeout" in found["hangs"].remedy
    assert found["other"] == ok("fine")
    assert found["later"] == skipped("it hangs")


async def test_when_the_time_of_all_is_over_the_rest_is_skipped() -> None:
    async def slow() -> Result:
        await asyncio.get_running_loop().create_future()
        return ok("never")

    found = await results(check("slow", slow), check("then", needs=["slow"]), seconds=0.2)
    assert found["slow"].is_late
    assert found["then"] == skipped("the 0.2 s of --timeout were over before its turn")


@pytest.mark.parametrize(
    ("error", "message", "remedy"),
    [
        (Unavailable("it is away"), "it is away", "look at the log of what was asked, and try again"),
        (ConfigurationFault("not set: X"), "not set: X", "set what is missing (docs/settings.md)"),
        (ConfigurationFault("X is no number"), "X is no number", "set it right (docs/settings.md)"),
        (
            ConfigurationFault("/x cannot be read: no"),
            "/x cannot be read: no",
            "correct its name, or let this user read it",
        ),
        (Refused("no entry; check the password"), "no entry", "check the password"),
        (ValueError("hunter2"), "it could not be looked at (ValueError)", "report this as a bug of Chandlery"),
    ],
)
async def test_what_a_check_raises_is_what_was_found_without_texts_of_others(
    error: Exception, message: str, remedy: str
) -> None:
    def raises() -> Result:
        raise error

    async def raises_on_the_loop() -> Result:
        raise error

    found = await results(check("thread", raises), check("loop", raises_on_the_loop))
    assert set(found.values()) == {fail(message, remedy)}


def test_what_is_needed_comes_with_what_is_wanted() -> None:
    checks = [check("a"), check("b", needs=["a"]), check("c", needs=["b"]), check("d")]
    assert [each.id for each in with_needed(checks, ["c"])] == ["a", "b", "c"]


def test_the_way_out_at_the_end_of_a_fault_becomes_the_remedy() -> None:
    assert failed_with(Unavailable("x is away."), otherwise="start it") == fail("x is away", "start it")
    assert failed_with(Unavailable("x; y; set z")) == fail("x; y", "set z")


def test_of_several_findings_those_that_are_not_green_are_told_the_worst_first() -> None:
    together = worst(ok("a"), warn("b", "mend"), fail("c", "replace", blocks="gone"), warn("d", "mend"))
    assert (together.state, together.message, together.remedy) == (State.FAIL, "c; b; d", "replace; mend")
    assert together.blocks == "gone"
    assert worst(ok("a"), ok("b")) == ok("a; b")
    assert worst(unused("a"), ok("b")).state is State.OK
