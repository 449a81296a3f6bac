"""The sets of values in `values/`, each rendered once by the real Helm engine with the chart loaded once.

A set is a file as operators would write it, named by what it is. Whoever adds a feature to the chart adds a set that
uses it: the tests beside this module hold every object of every set against the schemas of Kubernetes, the rules for
pods, and the release before.
"""

import functools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from tests.unit.deploy.conftest import LOADER, loaded_chart

HERE: Final = Path(__file__).parent
RELEASE: Final = "demo"
NAMESPACE: Final = "prod"
SETS: Final = sorted(path.stem for path in (HERE / "values").glob("*.yaml"))
_NOTES: Final = "NOTES.txt"

Body = dict[str, Any]


@dataclass(frozen=True)
class Rendered:
    """All objects of a release, hooks included, as kube-apiserver gets them; and what Helm prints at the end."""

    objects: tuple[Body, ...]
    notes: str

    def of(self, *kinds: str) -> Iterator[Body]:
        """Those of these kinds."""
        return (body for body in self.objects if body["kind"] in kinds)


def values_of(name: str) -> Body:
    """The values of the set."""
    found: Body = yaml.safe_load((HERE / "values" / f"{name}.yaml").read_text(encoding="utf-8"))
    return found


def oldest_version(name: str) -> str:
    """Since which version of Kubernetes there is what the set uses: its first line says so if not all have it."""
    text = (HERE / "values" / f"{name}.yaml").read_text(encoding="utf-8")
    found = re.match(r"# since Kubernetes (1\.\d+)", text)
    return found[1] if found else ""


@functools.cache
def rendered(name: str, *, is_upgrade: bool = False) -> Rendered:
    """The set as `helm install` makes it, or `helm upgrade`. Raises HelmError as these would fail."""
    return render_values(values_of(name), is_upgrade=is_upgrade)


def render_values(values: Body, *, is_upgrade: bool = False) -> Rendered:
    """The same of values that are no set."""
    chart = loaded_chart()
    chart.validate_schema(values)
    files = chart.render(
        values, name=RELEASE, namespace=NAMESPACE, is_install=not is_upgrade, is_upgrade=is_upgrade, revision=1
    )
    notes = "".join(text for path, text in files.items() if path.endswith(_NOTES))
    texts = (text for path, text in files.items() if not path.endswith(_NOTES))
    documents = (body for text in texts for body in yaml.load_all(text, Loader=LOADER) if body)
    # JSON, so that a number where a text has to be is seen.
    return Rendered(tuple(json.loads(json.dumps(body)) for body in documents), notes)


def label(body: Body) -> str:
    """How an object is called in messages."""
    return f"{body['kind']} {body['metadata']['name']}"


def is_hook(body: Body) -> bool:
    """Whether Helm makes it at an event alone."""
    return "helm.sh/hook" in body["metadata"].get("annotations", {})


def pod_of(body: Body) -> Body | None:
    """The pod that it is or makes: metadata and spec; None for what makes none."""
    if body["kind"] == "Pod":
        return body
    spec = body.get("spec", {})
    if body["kind"] == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    return spec.get("template") if body["kind"] in _MAKERS else None


_MAKERS: Final = ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob")
