"""What the server serves, as Kubernetes clients ask for it: /api, /apis, group versions, the aggregated form, /version.

Everything follows from the kinds that are served; nothing here depends on the request.
"""

import platform
from base64 import b64encode
from collections.abc import Iterable
from hashlib import sha256
from itertools import groupby
from typing import Final

from chandlery.model.objects.kinds import VERBS, Kind
from chandlery.model.objects.wire import JsonObject
from chandlery_gateway.kube.query.negotiation import DISCOVERY_GROUP

STATUS_VERBS: Final = ("get", "patch", "update")
_KUBERNETES_MAJOR: Final = "1"
_KUBERNETES_MINOR: Final = "32"


def root_paths(others: Iterable[str], kinds: tuple[Kind, ...]) -> JsonObject:
    """GET /: where everything begins; `others` are the paths that belong to no group version."""
    groups = {f"/apis/{kind.group}" for kind in kinds if kind.group}
    versions = {f"/apis/{kind.api_version}" if kind.group else f"/api/{kind.version}" for kind in kinds}
    roots = {"/apis" if kind.group else "/api" for kind in kinds}
    return {"paths": sorted({*roots, *groups, *versions, *others})}


def core_versions() -> JsonObject:
    """GET /api."""
    return {
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": ""}],
    }


def groups(kinds: tuple[Kind, ...]) -> JsonObject:
    """GET /apis: every named group."""
    named = dict.fromkeys(kind.group for kind in kinds if kind.group)
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(name, kinds) for name in named]}


def group(name: str, kinds: tuple[Kind, ...]) -> JsonObject:
    """GET /apis/{group}, for a group that some of the kinds are in."""
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(name, kinds)}


def _group(name: str, kinds: tuple[Kind, ...]) -> JsonObject:
    versions = dict.fromkeys(kind.version for kind in kinds if kind.group == name)
    entries = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": entries, "preferredVersion": entries[0]}


def resources(group_version: str, kinds: tuple[Kind, ...]) -> JsonObject:
    """GET /api/v1 and /apis/{group}/{version}, for a group version that some of the kinds are in."""
    served = [kind for kind in kinds if kind.api_version == group_version]
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": group_version,
        "resources": [entry for kind in served for entry in _resource_entries(kind)],
    }


def _resource_entries(kind: Kind) -> list[JsonObject]:
    common: JsonObject = {"namespaced": kind.namespaced, "kind": kind.kind}
    entry = {
        "name": kind.plural,
        "singularName": kind.singular,
        **common,
        "verbs": list(kind.verbs),
        **_nicknames(kind),
    }
    if set(VERBS) <= set(kind.verbs):
        entry["storageVersionHash"] = _storage_version_hash(kind)
    if not kind.has_status:
        return [entry]
    return [entry, {"name": f"{kind.plural}/status", "singularName": "", **common, "verbs": list(STATUS_VERBS)}]


def _storage_version_hash(kind: Kind) -> str:
    """Which version objects are stored in, for tools that write all of them anew when it is another one.

    Rule: `StorageVersionHash` in `apiserver/pkg/endpoints/discovery` of Kubernetes.
    """
    digest = sha256(f"{kind.group}/{kind.version}/{kind.kind}".encode()).digest()
    return b64encode(digest[:8]).decode()


def _nicknames(kind: Kind) -> JsonObject:
    named = {"shortNames": list(kind.short_names), "categories": list(kind.categories)}
    return {key: names for key, names in named.items() if names}


def aggregated(kinds: tuple[Kind, ...], *, version: str = "v2") -> JsonObject:
    """The aggregated form of /api (give the core kinds) and /apis (give the others); version v2 or v2beta1."""
    by_group = groupby(kinds, key=lambda kind: kind.group)
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": f"{DISCOVERY_GROUP}/{version}",
        "metadata": {},
        "items": [_aggregated_group(name, list(members)) for name, members in by_group],
    }


def _aggregated_group(name: str, kinds: list[Kind]) -> JsonObject:
    versions = [
        {
            "version": version,
            "freshness": "Current",
            "resources": [_aggregated_resource(kind) for kind in members],
        }
        for version, members in groupby(kinds, key=lambda kind: kind.version)
    ]
    named = {"name": name} if name else {}
    return {"metadata": {**named, "creationTimestamp": None}, "versions": versions}


def _aggregated_resource(kind: Kind) -> JsonObject:
    response_kind = {"group": kind.group, "version": kind.version, "kind": kind.kind}
    resource: JsonObject = {
        "resource": kind.plural,
        "responseKind": response_kind,
        "scope": "Namespaced" if kind.namespaced else "Cluster",
        "singularResource": kind.singular,
        "verbs": list(kind.verbs),
        **_nicknames(kind),
    }
    if kind.has_status:
        subresource = {"subresource": "status", "responseKind": response_kind, "verbs": list(STATUS_VERBS)}
        resource["subresources"] = [subresource]
    return resource


def version_document(release: str, *, commit: str = "", tree_state: str = "", date: str = "") -> JsonObject:
    """GET /version: the Kubernetes version whose conventions are followed, and what really runs.

    kubectl and tools around it choose their behaviour by major and minor; `release` is Chandlery's own version, and the
    others tell what it was built from, as far as that is known.
    """
    return {
        "major": _KUBERNETES_MAJOR,
        "minor": _KUBERNETES_MINOR,
        "gitVersion": f"v{_KUBERNETES_MAJOR}.{_KUBERNETES_MINOR}.0+chandlery-{release}",
        "gitCommit": commit,
        "gitTreeState": tree_state,
        "buildDate": date,
        "goVersion": f"python{platform.python_version()}",
        "compiler": platform.python_implementation(),
        "platform": f"{platform.system().lower()}/{platform.machine()}",
    }
