"""What Kubernetes, and the operators whose resources the chart makes, would say of an object's form.

Kubernetes' own schemas are those of `kubernetes-validate`, in their strict form: a field that is not known is a
mistake. A schema is compiled once for each version and kind: the package itself reads megabytes for every object.
Custom resources have schemas in `crd_schemas/`, written by their documentation.
"""

import functools
import json
import re
from pathlib import Path
from typing import Any, Final

import jsonschema_rs
import kubernetes_validate
import yaml
from packaging.version import Version

_PACKAGE: Final = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema"
_OWN: Final = Path(__file__).parent / "crd_schemas"
_OLDEST: Final = Version("1.29")
_DEFINITIONS: Final = "https://kubernetes.io/api/_definitions.json"


@functools.cache
def versions() -> tuple[str, ...]:
    """Those from the oldest that the chart is held against to the newest that has schemas, such as `1.29`."""
    found = (re.fullmatch(r"v([\d.]+)-local-strict", path.name) for path in _PACKAGE.iterdir())
    numbers = sorted(Version(match[1]) for match in found if match)
    return tuple(f"{number.major}.{number.minor}" for number in numbers if number >= _OLDEST)


def is_custom(body: dict[str, Any]) -> bool:
    """Whether an operator brings the kind: its schema does not depend on the version of Kubernetes."""
    return _own_file(body["apiVersion"], body["kind"]).exists()


def problems(body: dict[str, Any], version: str) -> list[str]:
    """What is wrong with the form of it, with the path of each; a kind that nobody knows is one."""
    find = _custom_schema if is_custom(body) else _kubernetes_schema
    schema = find(body["apiVersion"], body["kind"], version)
    if schema is None:
        place = _own_file(body["apiVersion"], body["kind"]).relative_to(_OWN.parent)
        return [f"Kubernetes {version} has no {body['kind']} of {body['apiVersion']}, and there is no {place}"]
    return [f"{'.'.join(map(str, error.instance_path))}: {error.message}" for error in schema.iter_errors(body)]


def _own_file(api_version: str, kind: str) -> Path:
    return _OWN / f"{api_version.replace('/', '_')}_{kind}.yaml"


@functools.cache
def _kubernetes_schema(api_version: str, kind: str, version: str) -> jsonschema_rs.Draft202012Validator | None:
    # rbac.authorization.k8s.io/v1 is rbac-v1 there.
    short = re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", api_version)
    path = _PACKAGE / f"v{version}.0-local-strict" / f"{kind.lower()}-{short}.json"
    return _compiled(json.loads(path.read_text(encoding="utf-8")), version) if path.exists() else None


@functools.cache
def _custom_schema(api_version: str, kind: str, version: str) -> jsonschema_rs.Draft202012Validator | None:
    return _compiled(yaml.safe_load(_own_file(api_version, kind).read_text(encoding="utf-8")), version)


def _compiled(schema: dict[str, Any], version: str) -> jsonschema_rs.Draft202012Validator:
    schema = {"$id": "https://kubernetes.io/api/custom", **schema}
    return jsonschema_rs.Draft202012Validator(schema, registry=_definitions(version))


@functools.cache
def _definitions(version: str) -> jsonschema_rs.Registry:
    text = (_PACKAGE / f"v{version}.0-local-strict" / "_definitions.json").read_text(encoding="utf-8")
    return jsonschema_rs.Registry([(_DEFINITIONS, json.loads(text))])
