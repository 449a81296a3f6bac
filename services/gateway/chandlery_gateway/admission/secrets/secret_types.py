"""What the data of a Secret has to hold by its type. Rules: Kubernetes' `ValidateSecret`. No value is quoted."""

from base64 import b64decode
from collections.abc import Iterator, Mapping
from typing import Final

from chandlery.model.faults import FieldProblem
from chandlery.model.json.json_text import NotJson, read_json
from chandlery.model.objects.core import Secret
from chandlery_gateway.admission.field_checks import invalid, required

_REGISTRY_KEYS: Final = {
    "kubernetes.io/dockercfg": ".dockercfg",
    "kubernetes.io/dockerconfigjson": ".dockerconfigjson",
}


def secret_type_problems(secret: Secret) -> Iterator[FieldProblem]:
    """Keys that the type asks for and that are not there. Other types mean nothing here and ask for nothing."""
    data = secret.data or {}
    match secret.type:
        case "kubernetes.io/service-account-token":
            message = "there are no service accounts here that a token could be made for; use another type"
            yield FieldProblem("type", "FieldValueNotSupported", message)
        case "kubernetes.io/basic-auth":
            if "username" not in data and "password" not in data:
                yield required("data[username]", "give username or password, or both")
                yield required("data[password]", "give username or password, or both")
        case "kubernetes.io/ssh-auth":
            if not data.get("ssh-privatekey"):
                yield required("data[ssh-privatekey]", "give the private key")
        case "kubernetes.io/tls":
            for key, what in (("tls.crt", "the certificate"), ("tls.key", "its private key")):
                if key not in data:
                    yield required(f"data[{key}]", f"give {what}; it may be empty")
        case "kubernetes.io/dockercfg" | "kubernetes.io/dockerconfigjson":
            yield from _registry_problems(data, _REGISTRY_KEYS[secret.type])


def _registry_problems(data: Mapping[str, str], key: str) -> Iterator[FieldProblem]:
    if key not in data:
        yield required(f"data[{key}]", "give the logins of registries, as JSON")
    elif not _is_json(data[key]):
        yield invalid(f"data[{key}]", "must be JSON")


def _is_json(value: str) -> bool:
    try:
        read_json(b64decode(value))
    except (NotJson, ValueError):
        return False
    return True
