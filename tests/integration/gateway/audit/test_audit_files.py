"""The audit log as a file: private, set aside when large, begun anew when moved, whole when a disk is full."""

import asyncio
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from chandlery.model.faults import ConfigurationFault
from chandlery.store.audit.audit_entries import AuditEntry
from chandlery_gateway.identity.audit.sinks.audit_sink import SinkFailed
from chandlery_gateway.identity.audit.sinks.file_sink import FileSink, StdoutSink


def sink(path: Path, *, most_bytes: int = 1 << 20, kept_files: int = 2, syncs: bool = False) -> FileSink:
    return FileSink(path, most_bytes=most_bytes, kept_files=kept_files, syncs=syncs)


def entries(*words: str) -> list[AuditEntry]:
    return [AuditEntry(name=word, event=f'{{"said":"{word}"}}') for word in words]


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


async def test_each_event_is_a_line_in_a_file_that_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    path.touch(mode=0o666)
    await sink(path, syncs=True).write(entries("one", "two"))
    await sink(path).write(entries("three"))
    assert lines(path) == ['{"said":"one"}', '{"said":"two"}', '{"said":"three"}']
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_a_large_file_is_set_aside_and_so_many_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    small = sink(path, most_bytes=20)
    for word in ("first-event", "second-event", "third-event", "fourth"):
        await small.write(entries(word))
    assert [lines(tmp_path / f"audit.log.{number}") for number in (1, 2)] == [
        ['{"said":"third-event"}'],
        ['{"said":"second-event"}'],
    ]
    assert lines(path) == ['{"said":"fourth"}']
    assert names(tmp_path) == ["audit.log", "audit.log.1", "audit.log.2"]


async def test_a_file_that_was_moved_away_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    moved = sink(path)
    await moved.write(entries("before"))
    path.rename(tmp_path / "elsewhere")
    await moved.write(entries("after"))
    assert (lines(tmp_path / "elsewhere"), lines(path)) == (['{"said":"before"}'], ['{"said":"after"}'])


async def test_gateways_that_share_a_file_tear_no_line(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    both = [sink(path, most_bytes=2_000, kept_files=50) for _ in range(2)]
    words = [[f"{who}-{number}" for number in range(40)] for who in range(2)]

    async def write_all(one: FileSink, said: list[str]) -> None:
        for word in said:
            await one.write(entries(word, word))

    await asyncio.gather(*(write_all(one, said) for one, said in zip(both, words, strict=True)))
    found = [line for name in names(tmp_path) for line in lines(tmp_path / name)]
    assert sorted(found) == sorted(f'{{"said":"{word}"}}' for said in words for word in said for _ in range(2))


async def test_a_full_disk_is_told_and_leaves_no_half_line() -> None:
    with pytest.raises(SinkFailed, match="No space left"):
        await sink(Path("/dev/full")).write(entries("lost"))


def test_what_was_written_in_part_is_taken_back(tmp_path: Path) -> None:
    # In a process of its own, whose files may only become so large: as on a disk that is full.
    path = tmp_path / "audit.log"
    program = f"""
import asyncio, resource
from pathlib import Path
from tests.integration.gateway.audit.test_audit_files import SinkFailed, entries, sink
async def main():
    one = sink(Path({str(path)!r}))
    await one.write(entries("whole"))
    resource.setrlimit(resource.RLIMIT_FSIZE, (40, resource.RLIM_INFINITY))
    try:
        await one.write(entries("torn" * 10))
    except SinkFailed as fault:
        print(fault.message)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    await one.write(entries("again"))
asyncio.run(main())
"""
    root = Path(__file__).parents[4]
    ran = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=False)
    assert (ran.stdout.strip(), ran.returncode) == ("File too large", 0), ran.stderr
    assert lines(path) == ['{"said":"whole"}', '{"said":"again"}']


def test_a_file_that_cannot_be_written_is_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationFault, match=r"CHANDLERY_AUDIT_LOG .* cannot be written: Is a directory"):
        sink(tmp_path)
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "target")
    with pytest.raises(ConfigurationFault, match="symbolic links"):
        sink(link)


async def test_the_standard_output_gets_lines_too(capfd: pytest.CaptureFixture[str]) -> None:
    await StdoutSink().write(entries("told"))
    assert capfd.readouterr().out == '{"said":"told"}\n'
