"""The image, built instruction by instruction and run as its user on a tree that nobody can write."""

import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from machine.debian import install
from machine.uv import find_uv, uv_environment
from tests.e2e.stacks.programs import REPOSITORY, Program, free_port
from tests.release.image.image_build import Image, build_image
from tests.support.waiting import wait_for

pytestmark = pytest.mark.timeout(600)  # some ten thousand files are unpacked and compiled

REVISION: Final = "0123456789abcdef0123456789abcdef01234567"
VERSION: Final = str(tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"])
DOWNLOADS: Final = Path.home() / ".cache/chandlery/downloads"
MOST_MEBIBYTES: Final = 190
_ROOM_BYTES: Final = 2 << 30


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A folder that the image's user can reach, as the folders of tests are not."""
    folder = Path(tempfile.mkdtemp(prefix="chandlery-image-", dir=_quick_folder()))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def image(place: Path) -> Image:
    """As the Dockerfile says."""
    if shutil.which("bwrap") is None:
        install(["bubblewrap"], why="bubblewrap is missing on this machine.")
    DOWNLOADS.mkdir(parents=True, exist_ok=True)
    return build_image(
        REPOSITORY, REPOSITORY / "deploy/Dockerfile", place, downloads=DOWNLOADS,
        VERSION=VERSION, REVISION=REVISION, SOURCE="https://git.example.com/chandlery", CREATED="2026-12-01T00:00:00Z",
    )  # fmt: skip


@pytest.fixture
def volume(place: Path, image: Image) -> Path:
    """What is mounted at /var/lib/chandlery: it belongs to the image's user."""
    folder = Path(tempfile.mkdtemp(dir=place))
    if os.geteuid() == 0:
        user, group = (int(number) for number in image.configuration.user.split(":"))
        os.chown(folder, user, group)
    return folder


def run(image: Image, *words: str, volume: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    volumes = [(volume, "/var/lib/chandlery")] if volume else []
    command = image.command(*words, volumes=volumes, **variables)
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_entry_point_runs_as_the_images_user(image: Image) -> None:
    said = run(image, "--version")
    assert (said.stdout, said.stderr) == (f"chandlery, version {VERSION}\n", "")


def test_labels_say_what_it_was_built_from(image: Image) -> None:
    prefix = "org.opencontainers.image."
    labels = {name.removeprefix(prefix): value for name, value in image.configuration.labels.items()}
    assert labels["version"] == VERSION
    assert (labels["revision"], labels["source"]) == (REVISION, "https://git.example.com/chandlery")
    assert labels["created"] == "2026-12-01T00:00:00Z"
    assert labels["base.name"].startswith("python:3.11-slim-bookworm")


def test_what_is_in_it_is_the_environment_and_nothing_of_the_build(image: Image) -> None:
    environment = image.root / "opt/chandlery"
    assert not list(environment.glob("lib/python*/site-packages/pip"))
    assert not any((image.root / name).exists() for name in ("source", "wheels", "tmp/image.txt"))
    size = sum(path.lstat().st_size for path in environment.rglob("*") if path.is_file())
    assert size < MOST_MEBIBYTES << 20, f"{size >> 20} MiB"
    # Where nothing can be written, what is not compiled would be compiled anew by each start of each process.
    modules = list(environment.glob("lib/python*/site-packages/chandlery/process/*.py"))
    assert modules
    assert all(list((path.parent / "__pycache__").glob(f"{path.stem}.*.pyc")) for path in modules)
    accounts = (image.root / "etc/passwd").read_text()
    assert re.search(r"^chandlery:[x!]:65532:65532::/var/lib/chandlery:/usr/sbin/nologin$", accounts, re.MULTILINE)


def test_nothing_outside_of_its_volume_can_be_written(image: Image) -> None:
    said = run(image, "backup", "--data-dir", "/opt/chandlery", "/opt/chandlery/copy.db")
    assert said.returncode != 0
    made = run(image, "up", "--data-dir", "/opt/chandlery/data")
    assert made.returncode != 0
    assert "Traceback" not in made.stderr
    assert not (image.root / "opt/chandlery/data").exists()


def test_a_whole_catalog_serves_from_a_tree_that_is_read_only(image: Image, volume: Path, tmp_path: Path) -> None:
    port = free_port()
    command = image.command(
        "up", "--data-dir", "/var/lib/chandlery", "--port", str(port), volumes=[(volume, "/var/lib/chandlery")]
    )
    program = Program("image", command, environment={"PATH": os.environ["PATH"]}, log=tmp_path / "log")
    program.start()
    try:
        config = wait_for(lambda: list(volume.glob("kubeconfig*")), bool, what="the kubeconfig")[0]
        ready = wait_for(lambda: answer(port, "/readyz"), lambda seen: seen == 200, what="readiness")
        assert (ready, config.exists()) == (200, True)
        # Its owner is the image's user.
        assert {path.stat().st_uid for path in volume.iterdir()} == {65532 if os.geteuid() == 0 else os.geteuid()}
    finally:
        # bubblewrap stands between, and passes no signal on; what it ends with is what the process has ended with.
        os.kill(int(re.findall(r'"process.pid":(\d+)', program.log_text())[-1]), signal.SIGTERM)
        assert program.wait() == 0, program.log_tail()


def test_a_service_without_settings_says_so_in_one_sentence(image: Image) -> None:
    said = run(image, "gateway")
    assert said.returncode == 2
    assert "CHANDLERY_DATABASE_URL" in said.stderr + said.stdout


@pytest.mark.parametrize("platform", ["x86_64-manylinux_2_28", "aarch64-manylinux_2_28"], ids=["amd64", "arm64"])
@pytest.mark.parametrize("lock", ["image.txt", "wheel.txt", "demo-broker.txt"])
def test_each_platform_of_the_image_has_a_wheel_of_each_package_of_the_lock(
    lock: str, platform: str, tmp_path: Path
) -> None:
    uv = find_uv()
    assert uv is not None
    # Of the files in the index only those are looked at whose hash stands in the lock.
    words = ["--dry-run", "--only-binary", ":all:", "--require-hashes", "--python-version", "3.11"]
    command: list[str | Path] = [
        uv,
        "pip",
        "install",
        *words,
        "--python-platform",
        platform,
        "--target",
        tmp_path,
        "-r",
        REPOSITORY / "requirements" / lock,
    ]
    told = subprocess.run(command, env=uv_environment(), capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    names = [
        line.split("==")[0]
        for line in (REPOSITORY / "requirements" / lock).read_text().splitlines()
        if "==" in line and line[0].isalnum()
    ]
    assert told.stderr.count("\n + ") >= len(names) - 2


def test_bake_builds_both_platforms_with_a_bill_and_provenance() -> None:
    bake: dict[str, Any] = json.loads((REPOSITORY / "deploy/docker-bake.json").read_text())
    everything = bake["target"]["all"]
    assert everything["platforms"] == ["linux/amd64", "linux/arm64"]
    assert everything["attest"] == ["type=sbom", "type=provenance,mode=max"]
    for name in bake["group"]["default"]["targets"]:
        assert bake["target"][name]["inherits"] == ["all"]
        assert (REPOSITORY / bake["target"][name]["dockerfile"]).is_file()
    assert bake["variable"].keys() >= {value.strip("${}") for value in everything["args"].values()}
    assert bake["variable"]["VERSION"]["default"] == VERSION


def _quick_folder() -> str:
    """In memory, if programs may be run there and there is room: it is fifteen thousand files, four times."""
    memory = Path("/dev/shm")
    if not memory.is_dir():
        return "/var/tmp"
    facts = os.statvfs(memory)
    has_room = facts.f_bavail * facts.f_frsize > _ROOM_BYTES
    return str(memory) if has_room and not facts.f_flag & os.ST_NOEXEC else "/var/tmp"


def answer(port: int, path: str) -> int:
    """The status over TLS with a certificate that this machine does not know; 0 if nobody answers."""
    import http.client  # noqa: PLC0415

    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()
