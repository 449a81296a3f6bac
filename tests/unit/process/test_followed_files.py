"""Files that change are read again, in the ways in which they are replaced."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from chandlery.model.faults import ConfigurationFault
from chandlery.process import followed_files
from chandlery.process.followed_files import FollowedFiles


def _write(folder: Path, text: str) -> None:
    (folder / "tls.crt").write_text(text)


def _rename(folder: Path, text: str) -> None:
    (folder / "new").write_text(text)
    (folder / "new").rename(folder / "tls.crt")


def _swap_links(folder: Path, text: str) -> None:
    """As the kubelet does with a Secret: `tls.crt` leads to `..data/tls.crt`, and `..data` to a folder with a date."""
    dated = folder / f"..{text}"
    dated.mkdir()
    (dated / "tls.crt").write_text(text)
    (folder / "..data_tmp").symlink_to(dated.name)
    (folder / "..data_tmp").rename(folder / "..data")
    if not (folder / "tls.crt").is_symlink():
        (folder / "tls.crt").symlink_to("..data/tls.crt")


@pytest.mark.parametrize("replace", [_write, _rename, _swap_links], ids=["written", "renamed", "links swapped"])
async def test_files_are_read_again_when_they_change_and_a_bad_one_leaves_the_old_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replace: Callable[[Path, str], None]
) -> None:
    monkeypatch.setattr(followed_files, "EVERY_SECONDS", 0.01)
    replace(tmp_path, "first")
    read: asyncio.Queue[str] = asyncio.Queue()

    def reload() -> None:
        text = (tmp_path / "tls.crt").read_text()
        if text:
            read.put_nowait(text)
        if text == "bad":
            raise ConfigurationFault("CHANDLERY_TLS_CERT_FILE tls.crt contains no readable PEM certificate")
        if text == "bug":
            raise LookupError(text)

    files = FollowedFiles("the TLS certificate", [tmp_path / "tls.crt"])
    with capture_logs() as logged:
        following = asyncio.create_task(files.follow(reload))
        async with asyncio.timeout(30):
            for text in ("second", "bad", "bug", "third"):
                replace(tmp_path, text)
                assert await read.get() == text
        following.cancel()
    assert read.empty()
    said = [(line["log_level"], line["event"]) for line in logged if line["action"] == "reload_files"]
    assert ("info", "the TLS certificate has changed and is now in use") in said
    assert (
        "error",
        (
            "CHANDLERY_TLS_CERT_FILE tls.crt contains no readable PEM certificate; the previous version of the "
            "TLS certificate stays in use"
        ),
    ) in said
    assert ("error", "the TLS certificate could not be read again: LookupError") in said
