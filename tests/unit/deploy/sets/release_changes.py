"""What an upgrade from an earlier release would break: what nobody can change, and what old pods still need.

`earlier_releases/VERSION.yaml` has what the chart of a release made of some sets. It is kept, since a checkout need not
have the history. For a release, once its version is set (or with the chart that `git archive` gives of an older one):

    .venv/bin/python -m tests.unit.deploy.sets.release_changes VERSION deploy/chart/chandlery
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import helm_python
import yaml

from tests.unit.deploy.conftest import LOADER
from tests.unit.deploy.sets.object_references import missing_references
from tests.unit.deploy.sets.value_sets import HERE, NAMESPACE, RELEASE, Body, is_hook, label, pod_of, values_of

EARLIER: Final = HERE / "earlier_releases"
_KEPT_SETS: Final = (
    *("bare", "external-among-the-values", "external-in-one-secret-with-other-keys"),
    "gateway-with-tls-behind-a-load-balancer",
)
_IMMUTABLE: Final[dict[str, tuple[str, ...]]] = {
    "Deployment": ("selector",),
    "StatefulSet": ("selector", "serviceName", "volumeClaimTemplates", "podManagementPolicy"),
    "Job": ("template", "selector"),
    "Service": ("clusterIP",),
}
_AT_THE_TOP: Final = {"RoleBinding": "roleRef", "ClusterRoleBinding": "roleRef", "Secret": "type"}

Objects = tuple[Body, ...]


def releases() -> list[str]:
    """Whose renderings are kept."""
    return sorted(path.stem for path in EARLIER.glob("*.yaml"))


def earlier(release: str) -> dict[str, Objects]:
    """What that release made, by the name of the set."""
    text = (EARLIER / f"{release}.yaml").read_text(encoding="utf-8")
    found: dict[str, list[Body]] = yaml.load(text, Loader=LOADER)
    return {name: tuple(objects) for name, objects in found.items()}


def breaks(before: Objects, after: Objects, given: set[str]) -> Iterator[str]:
    """A sentence for each thing that would go wrong in `helm upgrade`, or while old pods are still at work."""
    now = {(body["kind"], body["metadata"]["name"]): body for body in after if not is_hook(body)}
    old = [body for body in before if not is_hook(body)]
    for body in old:
        successor = now.get((body["kind"], body["metadata"]["name"]))
        if successor is None:
            yield f"{label(body)} is gone"
            continue
        yield from (f"{label(body)} has another {part}" for part in _changed(body, successor))
    pods = [body for body in old if pod_of(body)]
    yield from (f"an old pod cannot start again: {each}" for each in missing_references((*after, *pods), given))
    yield from _unreached(pods, after)


def _changed(before: Body, after: Body) -> Iterator[str]:
    for part in _IMMUTABLE.get(before["kind"], ()):
        if before["spec"].get(part) != after["spec"].get(part):
            yield part
    top = _AT_THE_TOP.get(before["kind"])
    if top and before.get(top) != after.get(top):
        yield top
    if before["kind"] == "Secret" and before.get("immutable") and before["data"] != after["data"]:
        yield "data"


def _unreached(pods: list[Body], after: Objects) -> Iterator[str]:
    """Services that would not find the pods that are still there, or not their port."""
    for service in after:
        if service["kind"] != "Service":
            continue
        selector, ports = service["spec"]["selector"], {port["targetPort"] for port in service["spec"]["ports"]}
        for body in pods:
            pod = pod_of(body)
            if pod is None or body["metadata"]["name"] != service["metadata"]["name"]:
                continue
            named = {port["name"] for container in pod["spec"]["containers"] for port in container.get("ports", [])}
            if not selector.items() <= pod["metadata"]["labels"].items() or not ports <= named:
                yield f"{label(service)} does not lead to the old pods of {label(body)}"


def keep(release: str, chart: Path) -> None:
    """Write down what the chart makes of the sets, without the pod of `helm test`, which no upgrade touches."""
    kept: dict[str, list[Any]] = {}
    with helm_python.Chart.load(chart) as loaded:
        for name in _KEPT_SETS:
            loaded.validate_schema(values_of(name))
            files = loaded.render(values_of(name), name=RELEASE, namespace=NAMESPACE)
            texts = [text for path, text in files.items() if not path.endswith("NOTES.txt")]
            bodies = [body for text in texts for body in yaml.safe_load_all(text) if body]
            kept[name] = [body for body in bodies if body["kind"] != "Pod"]
    heading = f"# What the chart of release {release} made of sets of values: see release_changes.py.\n"
    (EARLIER / f"{release}.yaml").write_text(heading + yaml.safe_dump(kept, sort_keys=False, width=1000))


if __name__ == "__main__":
    keep(sys.argv[1], Path(sys.argv[2]))
