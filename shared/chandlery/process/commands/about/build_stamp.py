"""Which commit this installation was built from: a file that `hatch_build.py` writes into wheel and sdist.

Called by `chandlery version`, and by the gateway for `/version`. A checkout installed in editable form has none.
"""

from dataclasses import dataclass
from importlib.resources import files
from typing import Final, Self

from chandlery.model.json.json_text import NotJson, read_json

FILE: Final = "build_stamp.json"
"""In the package `chandlery`; the build hook knows it by the same name."""


@dataclass(frozen=True, kw_only=True)
class BuildStamp:
    """All of it is empty where it is not known. The words are those of Kubernetes' `version.Info`."""

    commit: str = ""
    """Forty hexadecimal digits."""
    tree_state: str = ""
    """`clean`, or `dirty` where files had been changed since the commit."""
    date: str = ""
    """RFC 3339, UTC: of the commit, not of the moment of the build, so that one commit gives one wheel."""

    @classmethod
    def read(cls) -> Self:
        """Of this installation. A file that cannot be read is as good as none."""
        try:
            told = read_json(files("chandlery").joinpath(FILE).read_bytes())
            return cls(commit=str(told["gitCommit"]), tree_state=str(told["gitTreeState"]), date=str(told["buildDate"]))
        except (OSError, NotJson, KeyError, TypeError):
            return cls()
