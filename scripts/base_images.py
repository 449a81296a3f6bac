"""Looks whether a digest holds every image that ours build on or run beside, or asks the registry and writes them.

    base_images.py           # exit 1 for each that none holds
    base_images.py --pin     # write the digests that the registry gives today

Run by `make pinned-images` and `make pin-images`. A tag is moved at will by whoever owns it; a digest is the content.
Mirrors have the same digests: `docker build --build-arg PYTHON_IMAGE=mirror.example.com/python@sha256:…`.
"""

import argparse
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from machine.console import MachineFault, MissingSoftwareFault, run_command, say
from machine.places import REPOSITORY
from supply_chain.images import BaseImage, of_compose, of_dockerfile

_DEPLOY: Final = REPOSITORY / "deploy"
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_TOOLS: Final = {
    "docker": ("buildx", "imagetools", "inspect", "--format", "{{.Manifest.Digest}}"),
    "skopeo": ("inspect", "--format", "{{.Digest}}"),
    "crane": ("digest",),
}
_SECONDS: Final = 120


def main(arguments: list[str] | None = None) -> int:
    """Look, or write; the exit status."""
    parser = argparse.ArgumentParser(description="Looks whether all base images are held by digests.")
    parser.add_argument("--pin", action="store_true", help="ask the registry for today's digests and write them")
    parser.add_argument("--folder", type=Path, default=_DEPLOY, help="where Dockerfiles and compose files are")
    given = parser.parse_args(arguments)
    found = list(base_images(given.folder))
    if not found:
        raise MachineFault(f"{given.folder} has no Dockerfile and no compose file: nothing would be looked at")
    if given.pin:
        return _pin(found)
    loose = [
        f"{path.name}: {image.reference or 'an image without a default'}"
        for path, image in found
        if not image.is_pinned
    ]
    for each in sorted(set(loose)):
        print(f"{each} is not held by a digest; where the registry can be reached: make pin-images")
    say(f"{len(found) - len(loose)} of {len(found)} images are held by digests")
    return 1 if loose else 0


def base_images(folder: Path) -> Iterator[tuple[Path, BaseImage]]:
    """Each image with the file that names it."""
    for path in sorted(folder.rglob("*Dockerfile")):
        yield from ((path, image) for image in of_dockerfile(path.read_text(encoding="utf-8")))
    for path in sorted(folder.glob("compose*.yaml")):
        yield from ((path, image) for image in of_compose(path.read_text(encoding="utf-8")))


def _pin(found: list[tuple[Path, BaseImage]]) -> int:
    digests: dict[str, str] = {}
    for path, image in dict.fromkeys(found):
        if not image.reference:
            raise MachineFault(f"{path.name}: give the image a default (ARG NAME=image:tag), so that it can be pinned")
        if image.name not in digests:
            digests[image.name] = _ask(image.name)
            say(f"{image.name} is {digests[image.name]}")
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace(image.reference, image.at(digests[image.name])), encoding="utf-8")
    return 0


def _ask(name: str) -> str:
    tool = next((tool for tool in _TOOLS if shutil.which(tool)), None)
    if tool is None:
        raise MissingSoftwareFault(f"one of {', '.join(_TOOLS)} is needed to ask a registry")
    image = f"docker://{name}" if tool == "skopeo" else name
    run = subprocess.run([tool, *_TOOLS[tool], image], capture_output=True, text=True, timeout=_SECONDS, check=False)
    digest = _DIGEST.search(run.stdout)
    if run.returncode != 0 or digest is None:
        said = (run.stderr or run.stdout).strip().splitlines()[-1:] or ["it said nothing"]
        raise MachineFault(f"{tool} could not tell the digest of {name}: {said[0]}")
    return digest[0]


if __name__ == "__main__":
    run_command(main)
