"""The manifests of the walk-through and builders for the objects of the other tests."""

import shutil
from pathlib import Path
from typing import Any

import yaml

from tests.e2e.stacks.programs import REPOSITORY

API: str = "servicecatalog.k8s.io/v1beta1"
BROKER, INSTANCE, BINDING = "demo-broker.yaml", "demo-instance.yaml", "demo-binding.yaml"


def copy_examples(folder: Path, *, broker_url: str) -> None:
    """The three files of `examples/`, word for word but for the address of the broker."""
    for name in (BROKER, INSTANCE, BINDING):
        shutil.copy(REPOSITORY / "examples" / name, folder / name)
    text = (folder / BROKER).read_text()
    written: str = yaml.safe_load(text)["spec"]["url"]
    (folder / BROKER).write_text(text.replace(written, broker_url))


def cluster_broker(name: str, url: str, **spec: Any) -> dict[str, Any]:
    return _document("ClusterServiceBroker", name, {"url": url, **spec})


def instance(name: str, service: str = "demo-service", plan: str = "default", **spec: Any) -> dict[str, Any]:
    wanted = {"clusterServiceClassExternalName": service, "clusterServicePlanExternalName": plan, **spec}
    return _document("ServiceInstance", name, wanted)


def binding(name: str, instance_name: str, **spec: Any) -> dict[str, Any]:
    return _document("ServiceBinding", name, {"instanceRef": {"name": instance_name}, **spec})


def _document(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": API, "kind": kind, "metadata": {"name": name}, "spec": spec}
