"""Chandlery as the chart installs it: its objects applied to the cluster, its service accounts for the processes.

No kubelet runs pods here. Processes on this machine stand for them, with the settings of the pods that are about the
cluster; and the Service leads to loopback by a name, as endpoints may not. All else is the chart's, word for word.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tests.cluster.stage.installation_manifests import NAMESPACE, SERVICE, service
from tests.cluster.stage.installed import InstalledChandlery
from tests.cluster.stage.real_cluster import RealCluster
from tests.e2e.stacks.api_client import JsonObject
from tests.e2e.stacks.servers import ServerShare, server_share
from tests.e2e.stacks.stacks import SERVICES, running
from tests.unit.deploy.conftest import Objects, render_chart, values_in_cluster

RELEASE: Final = "chandlery"
_HOOK: Final = "helm.sh/hook"
_WEIGHT: Final = "helm.sh/hook-weight"
_OF_THE_CLUSTER: Final = ("CHANDLERY_SERVING_CERT_SECRET", "CHANDLERY_SERVING_SERVICE")


def chart_values(**others: Any) -> JsonObject:
    """The least that has to be given; without what this version of Kubernetes does not have yet (`policy/v1`)."""
    budgets = {each: {"podDisruptionBudget": {"enabled": False}} for each in SERVICES}
    given = values_in_cluster(**others)
    return {**given, **{each: {**budgets[each], **given.get(each, {})} for each in SERVICES}}


def chart_objects(values: Mapping[str, Any]) -> Objects:
    """What Helm makes of it, without its hooks."""
    made = render_chart(values, release=RELEASE, namespace=NAMESPACE)
    return {key: body for key, body in made.items() if _HOOK not in _annotations(body)}


def _annotations(body: JsonObject) -> dict[str, str]:
    found: dict[str, str] = body["metadata"].get("annotations", {})
    return found


class ChartInstallation(InstalledChandlery):
    """See the module. `apply` brings other values, as `helm upgrade` does."""

    def __init__(self, folder: Path, share: ServerShare, cluster: RealCluster, *, values: Mapping[str, Any]) -> None:
        self.values = dict(values)
        self._pods = {
            body["metadata"]["labels"]["app.kubernetes.io/component"]: body["spec"]["template"]["spec"]
            for (kind, _), body in chart_objects(self.values).items()
            if kind == "Deployment"
        }
        self.printed = ""
        """By each `kubectl apply` with which it was installed."""
        super().__init__(folder, share, cluster, has_two_gateways=True, makes_certificate=True)

    def objects(self, *, port: int | None = None, **others: Any) -> Objects:
        """Those of the chart with these values besides; `port` is that of the gateways as the cluster sees it."""
        given = {**self.values, **others}
        return chart_objects({**given, "gateway": {**given["gateway"], "service": {"port": port or self.relay.port}}})

    def hooks(self, event: str) -> Objects:
        """Those objects that Helm makes at this event alone, in its order."""
        made = render_chart(self.values, release=RELEASE, namespace=NAMESPACE)
        own = {key: body for key, body in made.items() if _annotations(body).get(_HOOK) == event}
        return dict(sorted(own.items(), key=lambda item: int(_annotations(item[1]).get(_WEIGHT, "0"))))

    def apply(self, *, but: Sequence[str] = ("Service",), port: int | None = None, **others: Any) -> str:
        """Apply all objects but those of these kinds; returns what kubectl prints.

        Nothing may be warned of, and every field has to be one that the cluster knows.
        """
        items = [body for (kind, _), body in self.objects(port=port, **others).items() if kind not in but]
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
        return self.cluster.kubectl().ok("apply", "--warnings-as-errors", "--validate=true", "-f", "-", stdin=text)

    def register(self) -> None:
        self.cluster.put(*service())
        made = self.objects()
        self.printed += self.apply(but=[kind for kind, _ in made if kind != "APIService"])

    def _prepare_cluster(self) -> None:
        for place in sorted({NAMESPACE, *self.values["kubernetes"]["secrets"]["namespaces"]}):
            document = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": place}}
            self.cluster.put("/api/v1/namespaces", document)
        self.printed += self.apply(port=443, but=["APIService"])
        # One that leads to loopback comes in its place.
        self.cluster.kubectl().ok("delete", "service", SERVICE, "--namespace", NAMESPACE)
        for name in SERVICES:
            self.cluster.service_account(NAMESPACE, f"{RELEASE}-{name}")

    def _own_settings(self, name: str) -> dict[str, str]:
        own = super()._own_settings(name)
        pod = self._pods[name.partition("-")[0]]
        given = {each["name"]: each.get("value", "") for each in pod["containers"][0]["env"]}
        return {**own, **{each: given[each] for each in _OF_THE_CLUSTER if each in given}}


@contextmanager
def chart_installation(folder: Path, cluster: RealCluster, *, values: Mapping[str, Any]) -> Iterator[ChartInstallation]:
    """Installed until the end of the block, in a cluster where no other has been: what others had would be left."""
    assert f"{RELEASE}-gateway" == SERVICE
    with server_share() as share:
        stack = ChartInstallation(folder, share, cluster, values=values)
        with running(stack, share, behind=stack.reached_by_cluster()):
            yield stack
