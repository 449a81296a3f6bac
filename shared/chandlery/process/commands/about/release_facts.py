"""What `chandlery version` tells of this installation, as one document. Asks no server and reads no setting."""

import platform
from collections.abc import Sequence
from importlib.metadata import entry_points, version
from importlib.util import find_spec
from typing import Final

from chandlery.model.objects.kinds import Kind
from chandlery.model.objects.wire import JsonObject
from chandlery.process.commands.about.build_stamp import BuildStamp
from chandlery.reconcile.operation.version_matrix import NEWEST, OLDEST
from chandlery.settings.checks.extras import EXTRAS
from chandlery.store.revisions import NEWEST_REVISION, REVISIONS

_KINDS: Final = "chandlery.kinds"
"""Entry points: the kinds that a service serves."""
_UNKNOWN: Final = "unknown"


def release_facts() -> JsonObject:
    """For programs. Fields may come, and none goes (docs/releases.md). What is not known is an empty string."""
    stamp = BuildStamp.read()
    return {
        "version": version("chandlery"),
        "gitCommit": stamp.commit,
        "gitTreeState": stamp.tree_state,
        "buildDate": stamp.date,
        "python": {"version": platform.python_version(), "implementation": platform.python_implementation()},
        "platform": f"{platform.system().lower()}/{platform.machine()}",
        "databaseSchema": {"revision": NEWEST_REVISION, "known": list(REVISIONS)},
        "apiVersions": _api_versions(),
        "osbVersions": {"newest": NEWEST, "oldest": OLDEST},
        "extras": [name for name, module in EXTRAS.items() if _is_installed(module)],
    }


def as_lines(facts: JsonObject) -> list[str]:
    """For people: a line for each fact, its name first."""
    schema, osb, python = facts["databaseSchema"], facts["osbVersions"], facts["python"]
    told = {
        "Version": facts["version"],
        "Commit": _commit(facts),
        "Python": f"{python['version']} ({python['implementation']})",
        "Platform": facts["platform"],
        "Database schema": schema["revision"],
        "API versions": ", ".join(facts["apiVersions"]),
        "Service brokers": f"Open Service Broker API {osb['oldest']} to {osb['newest']}",
        "Extras": ", ".join(facts["extras"]) or "none",
    }
    width = max(map(len, told)) + 2
    return [f"{name + ':':<{width}}{value}" for name, value in told.items()]


def _commit(facts: JsonObject) -> str:
    if not facts["gitCommit"]:
        return f"{_UNKNOWN}: not built from a Git checkout, or installed in editable form"
    return f"{facts['gitCommit']} ({facts['gitTreeState']}, {facts['buildDate']})"


def _api_versions() -> list[str]:
    announced: list[Sequence[Kind]] = [entry.load() for entry in entry_points(group=_KINDS)]
    return list(dict.fromkeys(kind.api_version for kinds in announced for kind in kinds))


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        # The package that it would be in is not there either.
        return False
