"""Types of Kubernetes as definitions of the chart's schema: whatever a manifest takes over whole from the values.

They come from Kubernetes' own OpenAPI document, as `kubernetes-validate` brings it along, of the newest version that
it knows, so that no value is refused for being new. That document says which fields there are and of which type, and
little about what may stand in them: `exact_forms` adds what kube-apiserver checks besides.
"""

import json
import re
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any, Final

from chart_schema.exact_forms import EXACT, MORE

PREFIX: Final = "k8s."
USED: Final = (
    "io.k8s.api.apps.v1.DeploymentStrategy",
    "io.k8s.api.autoscaling.v2.HorizontalPodAutoscalerBehavior",
    "io.k8s.api.autoscaling.v2.MetricSpec",
    "io.k8s.api.core.v1.Affinity",
    "io.k8s.api.core.v1.Container",
    "io.k8s.api.core.v1.EnvFromSource",
    "io.k8s.api.core.v1.EnvVar",
    "io.k8s.api.core.v1.HostAlias",
    "io.k8s.api.core.v1.Lifecycle",
    "io.k8s.api.core.v1.PodDNSConfig",
    "io.k8s.api.core.v1.Toleration",
    "io.k8s.api.core.v1.TopologySpreadConstraint",
    "io.k8s.api.core.v1.Volume",
    "io.k8s.api.core.v1.VolumeMount",
    "io.k8s.api.networking.v1.NetworkPolicyEgressRule",
    "io.k8s.api.networking.v1.NetworkPolicyPeer",
)
"""What the chart's own part of the schema refers to, by the last part of the name after `PREFIX`."""

_SCHEMAS: Final = "kubernetes-json-schema"
_REFERENCE: Final = "#/$defs/"
_LEFT_OUT: Final = ("description", "default")


def kubernetes_types() -> dict[str, dict[str, Any]]:
    """Name after `PREFIX` to definition, of all types in use and of those that they are made of, in order."""
    document = _newest()
    names = sorted(_closed(document, USED))
    return {f"{PREFIX}{_short(name)}": _exact(_short(name), document[name]) for name in names}


def _newest() -> Mapping[str, Any]:
    folders = [
        each
        for each in files("kubernetes_validate").joinpath(_SCHEMAS).iterdir()
        if each.name.endswith("-local-strict")
    ]
    newest = max(folders, key=lambda folder: [int(part) for part in re.findall(r"\d+", folder.name)])
    definitions: dict[str, Any] = json.loads(newest.joinpath("_definitions.json").read_text())["$defs"]
    return definitions


def _closed(document: Mapping[str, Any], names: tuple[str, ...]) -> set[str]:
    known: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in known:
            known.add(name)
            waiting += _references(document[name])
    return known


def _references(schema: object) -> Iterator[str]:
    if isinstance(schema, dict):
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"].removeprefix(_REFERENCE)
        for part in schema.values():
            yield from _references(part)


def _short(name: str) -> str:
    return name.rpartition(".")[2]


def _exact(name: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    if name in EXACT:
        return dict(EXACT[name])
    exact: dict[str, Any] = _plain(schema)
    for field in exact.get("properties", {}):
        rule = EXACT.get(f"{name}.{field}") or EXACT.get(f"*.{field}")
        if rule:
            exact["properties"][field] = rule
    return exact | MORE.get(name, {})


def _plain(schema: Any) -> Any:
    """Without descriptions, and without null: in values that takes a default away, and it gets into no manifest."""
    if isinstance(schema, list):
        return [_plain(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return {"$ref": f"#/definitions/{PREFIX}{_short(schema['$ref'])}"}
    kept = {key: part for key, part in schema.items() if key not in _LEFT_OUT and not key.startswith("x-kubernetes-")}
    if isinstance(kept.get("type"), list):
        kept["type"] = next(each for each in kept["type"] if each != "null")
    if "properties" in kept:
        # By themselves: a field may have the name of a word of the schema.
        fields = {field: _plain(part) for field, part in sorted(kept.pop("properties").items())}
        return {**{key: _plain(part) for key, part in kept.items()}, "properties": fields}
    return {key: _plain(part) for key, part in kept.items()}
