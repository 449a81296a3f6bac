"""Writes the bill of materials of a release: CycloneDX 1.6 as JSON, from the lock, with all its hashes.

    sbom.py [FILE]

Run by `make sbom`. cyclonedx-py reads the lock; added here are licences, who needs what, and the scripts of the page
`/docs`. The same commit gives the same file: the time is that of the commit (`SOURCE_DATE_EPOCH`), or left out.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any, Final

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from jsonschema import Draft7Validator
from packaging.utils import canonicalize_name
from rfc3986_validator import validate_rfc3986

from licences import LOCK, installed_licences
from machine.console import MachineFault, run_command, say
from machine.places import REPOSITORY
from supply_chain import docs_page
from supply_chain.locks import ROOT, Pinned, read_lock

Document = dict[str, Any]

_VERSION: Final = SchemaVersion.V1_6
_TOOL: Final = Path(sys.executable).with_name("cyclonedx-py")
_OURS: Final = "pkg:pypi/chandlery"


def is_address(value: object) -> bool:
    """What the validator asks of each address of a bill. Ours have ASCII alone, so that they are URIs."""
    return not isinstance(value, str) or bool(validate_rfc3986(value, rule="URI_reference"))


Draft7Validator.FORMAT_CHECKER.checks("iri-reference")(is_address)


def main(arguments: list[str] | None = None) -> int:
    """Write the file; the exit status."""
    parser = argparse.ArgumentParser(description="Writes a CycloneDX bill of materials of what the image installs.")
    default = REPOSITORY / "dist/chandlery.cdx.json"
    parser.add_argument("file", type=Path, nargs="?", default=default, help=f"default: {default.name} in dist/")
    target = parser.parse_args(arguments).file
    document = bill()
    text = json.dumps(document, indent=2, sort_keys=True) + "\n"
    problem = JsonStrictValidator(_VERSION).validate_str(text)
    if problem:
        raise MachineFault(f"the bill does not conform to CycloneDX {_VERSION.to_version()}: {problem}")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")
    say(f"{len(document['components'])} components in {target}")
    return 0


def bill() -> Document:
    """The whole bill."""
    pinned = read_lock(LOCK.read_text(encoding="utf-8"))
    document = _from_lock()
    licences = installed_licences(pinned)
    main_component = document["metadata"]["component"]
    main_component["purl"] = main_component["bom-ref"] = f"{_OURS}@{main_component['version']}"
    refs = {each.name: f"pkg:pypi/{each.name}@{each.version}" for each in pinned} | {ROOT: main_component["bom-ref"]}
    document["components"] = [_completed(each, licences, refs) for each in document["components"]]
    scripts = _docs_page()
    document["components"].append(scripts)
    document["dependencies"] = _dependencies(pinned, refs, [scripts["bom-ref"]])
    plain = json.dumps(document, sort_keys=True).encode()
    document["serialNumber"] = uuid.uuid5(uuid.NAMESPACE_URL, hashlib.sha256(plain).hexdigest()).urn
    return document


def _from_lock() -> Document:
    words = [str(_TOOL), "requirements", "--output-reproducible", "--sv", _VERSION.to_version(), "--short-PURLs"]
    # What comes of it is validated as a whole.
    words += ["--no-validate"]
    words += ["--pyproject", str(REPOSITORY / "pyproject.toml"), str(LOCK)]
    # It warns that it knows of no dependencies, which are added here.
    run = subprocess.run(
        words, capture_output=True, text=True, env={**os.environ, "PYTHONWARNINGS": "ignore"}, check=False
    )
    if run.returncode != 0:
        raise MachineFault(f"cyclonedx-py failed: {run.stderr.strip().splitlines()[-1:]}")
    document: Document = json.loads(run.stdout)
    return document


def _completed(component: Document, licences: dict[str, str], refs: dict[str, str]) -> Document:
    name = canonicalize_name(component["name"])
    # It repeats the line of the lock, hashes included, and would change with every line before it.
    component.pop("description", None)
    component["bom-ref"] = component["purl"] = refs[name]
    component["licenses"] = [_licence(licences[name])]
    return component


def _licence(expression: str) -> Document:
    is_one = " " not in expression
    return {"license": {"id": expression}} if is_one else {"expression": expression}


def _docs_page() -> Document:
    shipped = docs_page.shipped_scripts()
    ref = f"pkg:npm/{docs_page.NAME}@{shipped.version}"
    files = [
        {"type": "file", "name": name, "hashes": [{"alg": "SHA-256", "content": content}]}
        for name, content in sorted(shipped.sums.items())
    ]
    return {
        "type": "library",
        "name": docs_page.NAME,
        "version": shipped.version,
        "purl": ref,
        "bom-ref": ref,
        "licenses": [_licence(docs_page.LICENCE)],
        "components": files,
    }


def _dependencies(pinned: list[Pinned], refs: dict[str, str], ours: list[str]) -> list[Document]:
    wants: dict[str, list[str]] = {ref: [] for ref in refs.values()}
    wants[refs[ROOT]] += ours
    for each in pinned:
        for name in each.wanted_by:
            wants[refs[name]].append(refs[each.name])
    for ref in ours:
        wants[ref] = []
    return [{"ref": ref, "dependsOn": sorted(wanted)} for ref, wanted in sorted(wants.items())]


if __name__ == "__main__":
    run_command(main)
