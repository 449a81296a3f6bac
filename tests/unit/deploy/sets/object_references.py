"""What objects of a release name of one another, and whether it is there when it is needed."""

from collections.abc import Iterator
from typing import Any, Final

from tests.unit.deploy.sets.value_sets import Body, is_hook, pod_of

_BEFORE: Final = "pre-install"


def secret_references(pod: Body) -> Iterator[tuple[str, str]]:
    """Name and key of each Secret that the pod reads; the key is empty where it takes all of it."""
    for container in [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]:
        for variable in container.get("env", []):
            reference = variable.get("valueFrom", {}).get("secretKeyRef")
            if reference and not reference.get("optional"):
                yield reference["name"], reference["key"]
        for source in container.get("envFrom", []):
            if "secretRef" in source:
                yield source["secretRef"]["name"], ""
    for volume in pod["spec"].get("volumes", []):
        if secret := volume.get("secret"):
            for item in secret.get("items", [{"key": ""}]):
                yield secret["secretName"], item["key"]


def config_map_references(pod: Body) -> Iterator[str]:
    """Name of each ConfigMap that the pod reads."""
    for container in pod["spec"]["containers"]:
        yield from (each["configMapRef"]["name"] for each in container.get("envFrom", []) if "configMapRef" in each)
    for volume in pod["spec"].get("volumes", []):
        if "configMap" in volume:
            yield volume["configMap"]["name"]


def made_secrets(objects: tuple[Body, ...]) -> dict[str, set[str]]:
    """The keys of each Secret that is there once the release is, those included that operators write."""
    found = {body["metadata"]["name"]: set(body.get("data", {})) for body in objects if body["kind"] == "Secret"}
    for body in objects:
        name = body["metadata"]["name"]
        if body["kind"] == "Cluster":
            found[f"{name}-app"] = {"username", "password", "host", "port", "dbname", "uri"}
            found[f"{name}-ca"] = {"ca.crt"}
        if body["kind"] == "RabbitmqCluster":
            found[f"{name}-default-user"] = {"username", "password", "host", "port"}
        if body["kind"] == "Certificate":
            found[body["spec"]["secretName"]] = {"tls.crt", "tls.key", "ca.crt"}
    return found


def given_texts(values: Any) -> set[str]:
    """Every text among the values: what it names, the operator has brought."""
    if isinstance(values, dict):
        return {text for value in values.values() for text in given_texts(value)}
    if isinstance(values, list):
        return {text for value in values for text in given_texts(value)}
    return {str(values)}


def missing_references(objects: tuple[Body, ...], given: set[str]) -> Iterator[str]:
    """A sentence for each Secret, ConfigMap or ServiceAccount that a pod needs, and nobody makes."""
    secrets = made_secrets(objects)
    maps = {body["metadata"]["name"] for body in objects if body["kind"] == "ConfigMap"} | {"kube-root-ca.crt"}
    accounts = {body["metadata"]["name"] for body in objects if body["kind"] == "ServiceAccount"} | {"default"}
    for body in objects:
        pod = pod_of(body)
        if pod is None:
            continue
        name = f"{body['kind']} {body['metadata']['name']}"
        for secret, key in secret_references(pod):
            # Certificates that gateways make themselves are filled in later.
            if secret not in given and (secret not in secrets or (key and key not in secrets[secret])):
                yield f"{name} needs {key or 'all'} of Secret {secret}"
        for config_map in config_map_references(pod):
            if config_map not in maps | given:
                yield f"{name} needs ConfigMap {config_map}"
        if pod["spec"].get("serviceAccountName", "default") not in accounts | given:
            yield f"{name} needs ServiceAccount {pod['spec']['serviceAccountName']}"


def too_early_references(objects: tuple[Body, ...], given: set[str]) -> Iterator[str]:
    """A sentence for what a hook before the install needs, and only the install makes, or a later hook."""
    early = {
        body["metadata"]["name"]: _weight(body) for body in objects if _is_before(body) and body["kind"] == "Secret"
    }
    for body in objects:
        pod = pod_of(body)
        if pod is None or not _is_before(body):
            continue
        for secret, _ in secret_references(pod):
            if secret not in given and early.get(secret, _weight(body)) >= _weight(body):
                yield f"{body['metadata']['name']} runs before Secret {secret} is made"
        for config_map in config_map_references(pod):
            if config_map not in given:
                yield f"{body['metadata']['name']} runs before ConfigMap {config_map} is made"
        if (account := pod["spec"].get("serviceAccountName", "default")) not in given | {"default"}:
            yield f"{body['metadata']['name']} runs before ServiceAccount {account} is made"


def _is_before(body: Body) -> bool:
    return is_hook(body) and _BEFORE in body["metadata"]["annotations"]["helm.sh/hook"].split(",")


def _weight(body: Body) -> int:
    return int(body["metadata"]["annotations"].get("helm.sh/hook-weight", "0"))
