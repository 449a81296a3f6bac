"""Builds an image without a container engine: each instruction in a root folder of its own, which begins empty.

bubblewrap makes the folder the root of what runs, so that commands are run word for word. The machine's /usr is there,
for reading, in the place of the base image's; its Python is a virtual environment in /base, which `pip` may write to,
as it may in a base image. Of the variables of the Dockerfile only PIP_NO_CACHE_DIR is left out: what is downloaded is
kept, and its hashes are looked at each time.
"""

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.release.image.dockerfile_steps import Configuration, Stage, stages_of

PYTHON: Final = "/usr/bin/python3"
_PATH: Final = "/base/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_LINKS: Final = {"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64"}
_NAMES: Final = ("/etc/resolv.conf", "/etc/hosts", "/etc/ssl")
# What reaches a package index on this machine, wherever that is set.
_NETWORK: Final = (*_NAMES, "/etc/pip.conf", "/root/.config/pip", *os.environ.get("PIP_FIND_LINKS", "").split())
_NO_CACHE: Final = "PIP_NO_CACHE_DIR"
_SECONDS: Final = 300


@dataclass
class Image:
    """A tree, and what is said of the process that runs in it."""

    root: Path
    configuration: Configuration

    def command(self, *words: str, volumes: Sequence[tuple[Path, str]] = (), **variables: str) -> list[str]:
        """A command line: the entry point as the image's user, without rights, on a tree that nobody can write.

        /tmp is empty and writable, and so are the `volumes`. The network is this machine's.
        """
        user, _, group = self.configuration.user.partition(":")
        binds = [word for path, place in volumes for word in ("--bind", str(path), place)]
        place = ["--ro-bind", str(self.root), "/", *_machine(), "--tmpfs", "/tmp", *binds]
        given = {**self.configuration.environment, **variables}
        environment = [word for name, value in given.items() for word in ("--setenv", name, value)]
        return [
            "bwrap", *place, "--clearenv", *environment, "--chdir", self.configuration.folder, "--die-with-parent",
            *_as_user(user, group), *self.configuration.entry, *words,
        ]  # fmt: skip


def build_image(context: Path, dockerfile: Path, folder: Path, *, downloads: Path, **arguments: str) -> Image:
    """All stages of it; the last one is the image. `downloads` keeps what pip has fetched for the next time."""
    defaults, stages = stages_of(dockerfile)
    done: dict[str, Image] = {}
    begun = folder / "begun"
    _begin(begun, downloads)
    for number, stage in enumerate(stages):
        base = done.get(stage.base)
        root = folder / str(number)
        if base is not None:
            shutil.copytree(base.root, root, symlinks=True)
            configuration = Configuration(dict(base.configuration.environment))
        else:
            # Each begins with the same; an environment with pip takes seconds to make.
            shutil.copytree(begun, root, symlinks=True)
            configuration = Configuration({"PATH": _PATH})
        configuration.arguments = {**defaults, **arguments}
        image = Image(root, configuration)
        _carry_out(image, stage, done, context, downloads)
        done[stage.name] = image
    return image


def _begin(root: Path, downloads: Path) -> None:
    """What a base image of Python has, as far as instructions look at it."""
    for name in ("etc", "tmp", "var/lib", "root", "opt"):
        (root / name).mkdir(parents=True)
    for name, target in _LINKS.items():
        if (Path("/") / target).is_dir():
            (root / name).symlink_to(target)
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\n")
    _run(root, Configuration({"PATH": _PATH}), [PYTHON, "-m", "venv", "/base"], downloads)


def _carry_out(image: Image, stage: Stage, done: dict[str, Image], context: Path, downloads: Path) -> None:
    for word, rest in stage.steps:
        if word == "COPY":
            _copy(image, rest, done, context)
        elif word == "RUN":
            _run(image.root, image.configuration, ["/bin/sh", "-c", rest], downloads)
        else:
            image.configuration.take(word, rest)
            if word == "WORKDIR":
                (image.root / rest.lstrip("/")).mkdir(parents=True, exist_ok=True)


def _copy(image: Image, rest: str, done: dict[str, Image], context: Path) -> None:
    *options, target = rest.split()
    sources = [word for word in options if not word.startswith("--")]
    stage = next((word.removeprefix("--from=") for word in options if word.startswith("--from=")), None)
    origin = done[stage].root if stage else context
    # A stage that is done is not written to any more, and files are replaced, not written over: links will do.
    copy = os.link if stage else shutil.copy2
    place = (
        image.root / target.lstrip("/")
        if target.startswith("/")
        else image.root / image.configuration.folder.lstrip("/") / target
    )
    for source in sources:
        path = origin / source.lstrip("/")
        if path.is_dir():
            shutil.copytree(path, place, symlinks=True, dirs_exist_ok=True, copy_function=copy)
        else:
            into = place / path.name if target.endswith("/") else place
            into.parent.mkdir(parents=True, exist_ok=True)
            copy(path, into)


def _run(root: Path, configuration: Configuration, command: Sequence[str], downloads: Path) -> None:
    network = [word for path in _NETWORK if Path(path).exists() for word in ("--ro-bind", path, path)]
    kept = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    given = {**kept, **configuration.environment, "HOME": "/root"}
    environment = [word for name, value in given.items() if name != _NO_CACHE for word in ("--setenv", name, value)]
    line = [
        "bwrap", "--bind", str(root), "/", *_machine(), *network, "--bind", str(downloads), "/root/.cache/pip",
        "--clearenv", *environment, "--chdir", configuration.folder, "--die-with-parent", *_as_root(), *command,
    ]  # fmt: skip
    ran = subprocess.run(line, capture_output=True, text=True, timeout=_SECONDS, check=False)
    assert ran.returncode == 0, f"{command[-1]}\n{ran.stdout[-2000:]}\n{ran.stderr[-3000:]}"


def _machine() -> list[str]:
    return ["--ro-bind", "/usr", "/usr", "--proc", "/proc", "--dev", "/dev"]


def _as_root() -> list[str]:
    """Root of this machine, or of a namespace of users; only the former can give files away."""
    return ["--cap-add", "ALL", "--"] if os.geteuid() == 0 else ["--unshare-user", "--uid", "0", "--gid", "0", "--"]


def _as_user(user: str, group: str) -> list[str]:
    if os.geteuid() != 0:
        return ["--unshare-user", "--uid", user, "--gid", group, "--"]
    drop = ("--clear-groups", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all")
    return ["--cap-add", "ALL", "--", "setpriv", f"--reuid={user}", f"--regid={group}", *drop, "--"]
