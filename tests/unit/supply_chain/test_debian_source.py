"""Where the sources of Kubernetes come from: the archive that this machine has its packages from, and no other."""

from pathlib import Path

import pytest

from kubernetes_build import debian_source
from machine.console import MachineFault

ARCHIVES = """\
bookworm-security main http://mirror.example.com/debian-security/
bookworm http://flat.example.com/packages/
bookworm contrib http://mirror.example.com/debian/
bookworm main http://mirror.example.com/debian/
"""


def test_sources_come_from_the_archive_of_the_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(debian_source, "run", lambda *_, **__: ARCHIVES)
    assert debian_source._archive(tmp_path) == "http://mirror.example.com/debian/"


def test_machine_without_that_release_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(debian_source, "run", lambda *_, **__: "trixie main http://mirror.example.com/debian/\n")
    with pytest.raises(MachineFault, match="no archive of Debian 12"):
        debian_source._archive(tmp_path)
