"""Finds the images of others in Dockerfiles and compose files, and tells those that a digest holds. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import yaml

_PINNED: Final = re.compile(r"[^@\s]+@sha256:[0-9a-f]{64}")
_FROM: Final = re.compile(r"FROM\s+(?:--\S+\s+)*(?P<image>\S+)(?:\s+AS\s+(?P<stage>\S+))?\s*", re.IGNORECASE)
_ARG: Final = re.compile(r"ARG\s+(?P<name>\w+)(?:=(?P<value>\S+))?\s*", re.IGNORECASE)
_COPY: Final = re.compile(r"COPY\s+(?:--\S+\s+)*?--from=(\S+)", re.IGNORECASE)
_VARIABLE: Final = re.compile(r"\$\{?(?P<name>\w+)\}?")
_NOTHING: Final = "scratch"


@dataclass(frozen=True)
class BaseImage:
    """One image, as it stands in a file."""

    reference: str
    """Empty if whoever builds has to name it."""

    @property
    def is_pinned(self) -> bool:
        """Whether it is the same image on every day."""
        return _PINNED.fullmatch(self.reference) is not None

    @property
    def name(self) -> str:
        """Without the digest."""
        return self.reference.partition("@")[0]

    def at(self, digest: str) -> str:
        """The same, held by this digest."""
        return f"{self.name}@{digest}"


def of_dockerfile(text: str) -> Iterator[BaseImage]:
    """What it builds on: `FROM`, with the defaults of `ARG`, and `COPY --from` of images that are no stage."""
    defaults: dict[str, str] = {}
    stages: set[str] = {_NOTHING}
    for line in _lines(text):
        if argument := _ARG.fullmatch(line):
            defaults[argument["name"]] = argument["value"] or ""
        elif found := _FROM.fullmatch(line):
            image = _VARIABLE.sub(lambda name: defaults.get(name["name"], ""), found["image"])
            if found["image"].lower() not in stages:
                yield BaseImage(image)
            stages.add((found["stage"] or "").lower())
        elif (copied := _COPY.match(line)) and not copied[1].isdigit() and copied[1].lower() not in stages:
            yield BaseImage(copied[1])


def of_compose(text: str) -> Iterator[BaseImage]:
    """What its services run that is not built here."""
    services: dict[str, Any] = yaml.safe_load(text)["services"]
    for service in services.values():
        if "build" not in service:
            yield BaseImage(service.get("image", ""))


def _lines(text: str) -> Iterator[str]:
    """Instructions, with continued lines joined and comments left out."""
    kept = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    for line in "\n".join(kept).replace("\\\n", " ").splitlines():
        yield line.strip()
