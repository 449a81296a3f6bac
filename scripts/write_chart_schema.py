"""Writes the types of Kubernetes into the schema of the chart's values: definitions `k8s.…`, a line each.

write_chart_schema.py [--check]

Run by `make chart-schema`; with --check it writes nothing, and exits with 1 if the schema is stale.
"""

import argparse
import json
import re
from typing import Final

from chart_schema.kubernetes_types import PREFIX, kubernetes_types
from machine.console import run_command, say
from machine.places import REPOSITORY

SCHEMA: Final = REPOSITORY / "deploy/chart/chandlery/values.schema.json"
_GENERATED: Final = re.compile(rf'^    "{re.escape(PREFIX)}.*\n', re.MULTILINE)
_DEFINITIONS: Final = '  "definitions": {\n'


def main(arguments: list[str] | None = None) -> int:
    """Write the schema, or check it; the exit status."""
    parser = argparse.ArgumentParser(description="Writes the types of Kubernetes into the chart's values.schema.json.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the schema is stale")
    there = SCHEMA.read_text(encoding="utf-8")
    wanted = with_kubernetes_types(there)
    if not parser.parse_args(arguments).check:
        SCHEMA.write_text(wanted, encoding="utf-8")
    elif wanted != there:
        say(f"{SCHEMA.name}: stale; run: make chart-schema")
        return 1
    return 0


def with_kubernetes_types(text: str) -> str:
    """The schema with these definitions as they have to be, before all others."""
    lines = "".join(f"    {json.dumps(name)}: {json.dumps(schema)},\n" for name, schema in kubernetes_types().items())
    return _GENERATED.sub("", text).replace(_DEFINITIONS, _DEFINITIONS + lines)


if __name__ == "__main__":
    run_command(main)
