"""Events on their way to a sink: written together, bounded while it fails, and never lost without being counted."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from structlog.testing import capture_logs

from chandlery.model.faults import Unavailable
from chandlery.store.audit.audit_entries import AuditEntry
from chandlery_gateway.identity.audit.sinks import batched_sink
from chandlery_gateway.identity.audit.sinks.audit_sink import SinkFailed
from chandlery_gateway.identity.audit.sinks.batched_sink import BatchedSink
from tests.support.waiting import eventually


@dataclass
class Sink:
    """Takes batches, unless it is `broken`; chokes on entries called `poison`."""

    name: str = "tests"
    place: str = "a sink of tests"
    broken: bool = False
    batches: list[list[str]] = field(default_factory=list)
    tries: int = 0

    async def write(self, entries: Sequence[AuditEntry]) -> None:
        self.tries += 1
        if self.broken:
            raise SinkFailed("the disk is full")
        if any(entry.name == "poison" for entry in entries):
            raise ValueError("hunter2")
        self.batches.append([entry.name for entry in entries])

    @property
    def names(self) -> list[str]:
        return [name for batch in self.batches for name in batch]


def entry(name: str, *, size: int = 10) -> AuditEntry:
    return AuditEntry(name=name, event="x" * size)


@asynccontextmanager
async def running(sink: BatchedSink) -> AsyncIterator[None]:
    task = asyncio.create_task(sink.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})
        await sink.close()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batched_sink, "_AFTER_FAILURE_SECONDS", 0.01)


async def test_what_comes_within_a_moment_is_written_together() -> None:
    sink = Sink()
    batched = BatchedSink(sink, pause=0.05)
    async with running(batched):
        for number in range(20):
            batched.put(entry(str(number)))
        await eventually(lambda: sink.names, lambda names: len(names) == 20)
    assert sink.batches == [[str(number) for number in range(20)]]
    assert (batched.counts.written, batched.counts.lost) == (20, 0)


async def test_a_batch_has_a_limit_and_a_full_one_does_not_wait() -> None:
    sink = Sink()
    batched = BatchedSink(sink, pause=3600, batch=4)
    async with running(batched):
        for number in range(9):
            batched.put(entry(str(number)))
        await eventually(lambda: len(sink.names), lambda count: count == 8)
    assert [len(batch) for batch in sink.batches] == [4, 4, 1], "the rest is written at the end"


async def test_whoever_waits_is_not_kept_waiting_for_others() -> None:
    sink = Sink()
    batched = BatchedSink(sink, pause=3600)
    async with running(batched):
        batched.put(entry("before"))
        await asyncio.gather(*(batched.put_durably(entry(str(number))) for number in range(3)))
        assert sorted(sink.names) == ["0", "1", "2", "before"]


async def test_while_a_sink_fails_its_events_wait_and_are_written_when_it_works_again() -> None:
    sink = Sink(broken=True)
    batched = BatchedSink(sink, pause=0)
    with capture_logs() as logged:
        async with running(batched):
            for name in "abc":
                batched.put(entry(name))
            await eventually(lambda: sink.tries, lambda tries: tries > 3)
            with pytest.raises(Unavailable, match="a sink of tests"):
                await batched.put_durably(entry("d"))
            sink.broken = False
            await eventually(lambda: sink.names, lambda names: len(names) == 4)
    assert sink.names == list("abcd")
    assert batched.counts.lost == 0
    events = [line["event"] for line in logged]
    assert [event for event in events if "cannot be written and is tried again" in event] == [events[0]]
    assert events[-1] == "the audit log can be written again (a sink of tests)"


async def test_there_is_no_more_in_memory_than_may_be_and_what_is_lost_is_counted_and_told() -> None:
    sink, most = Sink(broken=True), 20_000
    batched = BatchedSink(sink, pause=0, most_bytes=most)
    with capture_logs() as logged:
        async with running(batched):
            for number in range(100):
                batched.put(entry(str(number), size=1_000))
            with pytest.raises(Unavailable):
                await batched.put_durably(entry("no room", size=1_000))
            kept = len(batched._waiting)
            assert kept * 1_000 < most
            assert batched.counts.lost == 100 - kept
            sink.broken = False
            await eventually(lambda: sink.names, lambda names: len(names) == kept)
            batched.put(entry("later"))
            await eventually(lambda: sink.names, lambda names: names[-1] == "later")
    assert any("the audit log is incomplete" in line["event"] for line in logged)


async def test_an_event_that_cannot_be_written_takes_no_other_with_it() -> None:
    sink = Sink()
    batched = BatchedSink(sink, pause=0.02)
    with capture_logs() as logged:
        async with running(batched):
            for name in ("a", "b", "poison", "c", "d"):
                batched.put(entry(name))
            await eventually(lambda: sink.names, lambda names: len(names) == 4)
            with pytest.raises(Unavailable):
                await batched.put_durably(entry("poison"))
            await batched.put_durably(entry("e"))
    assert sink.names == ["a", "b", "c", "d", "e"]
    assert batched.counts.lost == 2
    assert "hunter2" not in str(logged)


async def test_what_is_left_at_the_end_is_written_or_counted() -> None:
    sink = Sink()
    batched = BatchedSink(sink)
    batched.put(entry("last"))
    await batched.close()
    assert sink.names == ["last"]
    broken = BatchedSink(Sink(broken=True))
    broken.put(entry("lost"))
    with capture_logs() as logged:
        await broken.close()
    assert broken.counts.lost == 1
    assert "1 events are lost" in logged[-1]["event"]
