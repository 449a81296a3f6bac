"""Objects of the chart, asked of a real kube-apiserver as a server-side dry run: it checks all, and stores nothing.

This one is older than those that the chart is for. Where it has a group in an older version alone, that is asked for,
as the fields which the chart uses are the same in both; what it does not have at all is told by name.
"""

from dataclasses import dataclass
from typing import Any, Final

from tests.cluster.stage.real_cluster import RealCluster
from tests.e2e.stacks.api_client import ApiAnswer, JsonObject

_OLDER: Final = {
    ("policy/v1", "PodDisruptionBudget"): "policy/v1beta1",
    ("batch/v1", "CronJob"): "batch/v1beta1",
    ("autoscaling/v2", "HorizontalPodAutoscaler"): "autoscaling/v2beta2",
}
_CREATED: Final = 201
_OK: Final = 200
_CONFLICT: Final = 409
# An empty one is left out, and a quantity is written in another way.
_QUANTITIES: Final = (".cpu", ".memory", ".sizeLimit", ".storage")


@dataclass(frozen=True)
class DryRun:
    """What came of it: problems are sentences; `is_known` tells whether the cluster has the kind."""

    problems: tuple[str, ...]
    is_known: bool = True


class DryRuns:
    """Asks one cluster, which is asked for the kinds of each group once."""

    def __init__(self, cluster: RealCluster) -> None:
        self._cluster = cluster
        self._api = cluster.api()
        self._resources: dict[str, dict[str, JsonObject]] = {}

    def run(self, body: JsonObject) -> DryRun:
        """Have the object checked as if it was created."""
        own: str = body["apiVersion"]
        version = _OLDER.get((own, body["kind"]), own)
        resource = self._resources_of(version).get(body["kind"])
        if resource is None:
            return DryRun((), is_known=False)
        asked = _older({**body, "apiVersion": version})
        place = f"/namespaces/{body['metadata'].get('namespace', 'default')}" if resource["namespaced"] else ""
        answer = self._ask(f"{_root(version)}{place}/{resource['name']}", asked)
        if answer.status not in (_CREATED, _OK):
            return DryRun((f"{answer.status}: {answer.body.get('message')}",))
        warnings = [f"warns: {answer.headers['Warning']}"] if answer.headers.get("Warning") else []
        lost = [f"does not know {path}" for path in missing(asked, answer.body)]
        return DryRun((*warnings, *lost))

    def _ask(self, path: str, asked: JsonObject) -> ApiAnswer:
        answer = self._api.call("POST", f"{path}?dryRun=All", asked)
        if answer.status != _CONFLICT:
            return answer
        # The same cluster has seen releases installed before, and some of what has no namespace stays.
        place = f"{path}/{asked['metadata']['name']}"
        version = self._api.read(place)[1]["metadata"]["resourceVersion"]
        over = {**asked, "metadata": {**asked["metadata"], "resourceVersion": version}}
        return self._api.call("PUT", f"{place}?dryRun=All", over)

    def _resources_of(self, version: str) -> dict[str, JsonObject]:
        if version not in self._resources:
            status, found = self._api.read(_root(version))
            kinds = found["resources"] if status == _OK else []
            self._resources[version] = {each["kind"]: each for each in kinds if "/" not in each["name"]}
        return self._resources[version]


def _older(body: JsonObject) -> JsonObject:
    """As this cluster has it: a metric of one container it knows as that of all containers."""
    if body["kind"] != "HorizontalPodAutoscaler":
        return body
    metrics = [
        {"type": "Resource", "resource": {key: value for key, value in own.items() if key != "container"}}
        if (own := each.get("containerResource"))
        else each
        for each in body["spec"]["metrics"]
    ]
    return {**body, "spec": {**body["spec"], "metrics": metrics}}


def missing(wanted: Any, found: Any, *, at: str = "") -> list[str]:
    """Paths of what was sent and is not there: a field that a cluster does not know it drops without a word."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        return [path for key, value in wanted.items() for path in missing(value, found.get(key), at=f"{at}.{key}")]
    if isinstance(wanted, list) and isinstance(found, list) and len(wanted) <= len(found):
        # Behind them a cluster may have put its own, such as the tolerations of a pod.
        pairs = enumerate(zip(wanted, found, strict=False))
        return [path for number, (ours, theirs) in pairs for path in missing(ours, theirs, at=f"{at}[{number}]")]
    return [] if wanted == found or not wanted or at.endswith(_QUANTITIES) else [at]


def _root(version: str) -> str:
    return f"/apis/{version}" if "/" in version else f"/api/{version}"
