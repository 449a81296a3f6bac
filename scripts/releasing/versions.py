"""Versions of releases and of what comes before them: PEP 440 for the package, Semantic Versioning for the chart. Pure.

`0.2.0` is a release, `0.2.0rc1` a candidate for it, `0.2.0.dev0` what is being worked on until then.
"""

import re
from typing import Final

from packaging.version import Version

from machine.console import MachineFault

_FORM: Final = re.compile(r"(?P<release>\d+\.\d+\.\d+)(?:(?P<kind>rc|\.dev)(?P<number>\d+))?")


def checked(text: str) -> str:
    """The same text; raises MachineFault for what is no version in one of our three forms."""
    found = _FORM.fullmatch(text)
    if found is None or str(Version(text)) != text:
        raise MachineFault(
            f"{text!r} is no version of Chandlery: 0.2.0 is a release, 0.2.0rc1 a candidate for it, 0.2.0.dev0 what "
            "comes before"
        )
    return text


def chart_version(version: str) -> str:
    """The same for Helm, which takes SemVer 2 alone: `0.2.0-rc.1`, `0.2.0-dev.0`; a release is written alike."""
    found = _FORM.fullmatch(checked(version))
    assert found is not None  # noqa: S101 - for mypy
    if found["kind"] is None:
        return version
    return f"{found['release']}-{found['kind'].lstrip('.')}.{found['number']}"


def is_release(version: str) -> bool:
    """Whether it is neither a candidate nor in the making."""
    return not Version(version).is_prerelease


def is_later(version: str, than: str) -> bool:
    """In the order of PEP 440: 0.1.0, 0.2.0.dev0, 0.2.0rc1, 0.2.0."""
    return Version(version) > Version(than)


def tag(version: str) -> str:
    """What a release's commit is called in Git."""
    return f"v{version}"
