"""Rules that every pod of the chart keeps, whoever makes it: pure functions from a pod to what is wrong with it.

They are the restricted Pod Security Standard (https://kubernetes.io/docs/concepts/security/pod-security-standards/),
and rules of our own: an image that is named exactly, limits, a root file system that nobody writes, no token that
nobody needs.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

Body = dict[str, Any]

_VOLUMES: Final = {
    *("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"),
}
_IMAGE: Final = re.compile(
    r"([a-z0-9.-]+(:\d+)?/)?[a-z0-9._-]+(/[a-z0-9._-]+)*(:(?P<tag>[\w.-]+))?(@sha256:[0-9a-f]{64})?"
)
_LONG_RUNNING: Final = ("Deployment", "StatefulSet", "DaemonSet")


def violations(pod: Body, *, maker: str) -> Iterator[str]:
    """A sentence for each rule that the pod breaks; `maker` is the kind of object that makes it."""
    spec = pod["spec"]
    yield from _of_pod(spec)
    for container in [*spec.get("initContainers", []), *spec["containers"]]:
        for problem in _of_container(container, spec):
            yield f"container {container['name']} {problem}"
    if maker in _LONG_RUNNING:
        for container in spec["containers"]:
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                if probe not in container:
                    yield f"container {container['name']} has no {probe}"


def _of_pod(spec: Body) -> Iterator[str]:
    security = spec.get("securityContext", {})
    if security.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
        yield "has no seccomp profile"
    if spec.get("automountServiceAccountToken") is not False:
        yield "gets a token of its service account without asking"
    if spec.get("enableServiceLinks") is not False:
        yield "gets a variable for each Service, CHANDLERY_PORT among them"
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(field):
            yield f"has {field}"
    for volume in spec.get("volumes", []):
        kinds = volume.keys() - {"name"}
        if not kinds <= _VOLUMES:
            yield f"has a volume of {', '.join(kinds - _VOLUMES)}"
        if "emptyDir" in volume and "sizeLimit" not in volume["emptyDir"]:
            yield f"may fill the node's disk through {volume['name']}"


def _of_container(container: Body, spec: Body) -> Iterator[str]:
    security = {**spec.get("securityContext", {}), **container.get("securityContext", {})}
    if security.get("runAsNonRoot") is not True or security.get("runAsUser") == 0:
        yield "may run as root"
    if security.get("allowPrivilegeEscalation") is not False or security.get("privileged"):
        yield "may gain privileges"
    if security.get("capabilities", {}).get("drop") != ["ALL"] or security["capabilities"].get("add"):
        yield "has capabilities"
    if security.get("readOnlyRootFilesystem") is not True:
        yield "may write into its image"
    if any(port.get("hostPort") for port in container.get("ports", [])):
        yield "has a port of its node"
    named = _IMAGE.fullmatch(container["image"])
    if not named or (not named["tag"] and "@" not in container["image"]) or named["tag"] == "latest":
        yield f"has an image that is not named exactly: {container['image']}"
    resources = container.get("resources", {})
    if not {"cpu", "memory"} <= resources.get("requests", {}).keys() or "memory" not in resources.get("limits", {}):
        yield "has no requests or no limit"
    mounted = {mount["name"] for mount in container.get("volumeMounts", [])}
    # `data` is the claim of a StatefulSet.
    if missing := mounted - {volume["name"] for volume in spec.get("volumes", [])} - {"data"}:
        yield f"mounts what is no volume: {', '.join(missing)}"
    paths = [mount["mountPath"] for mount in container.get("volumeMounts", [])]
    if len(paths) != len(set(paths)):
        yield "has two volumes at one path"
