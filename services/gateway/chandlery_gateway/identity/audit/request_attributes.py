"""What a request wants to do, in Kubernetes' words, also where nobody has asked the authorizer about it. Pure.

Rule: `RequestInfo` of kube-apiserver (apiserver, `pkg/endpoints/request/requestinfo.go`), as far as our paths go.
"""

from dataclasses import dataclass
from typing import Final

from chandlery_gateway.identity.audit.audit_event import AuditEvent

_VERBS: Final = {
    "GET": "get",
    "HEAD": "get",
    "POST": "create",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
}
_OF_COLLECTIONS: Final = {"get": "list", "delete": "deletecollection"}
_OF_NAMESPACES: Final = ("status", "finalize")


@dataclass(frozen=True, kw_only=True, slots=True)
class RequestAttributes:
    """What rules of a policy look at."""

    verb: str
    group: str = ""
    version: str = ""
    resource: str = ""
    """Empty for a path that is no resource."""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""


def attributes_of(event: AuditEvent) -> RequestAttributes:
    """As the authorizer was asked, or else as the path tells."""
    access = event.access
    if access is None:
        return attributes_of_path(event.method, event.path, is_watch=event.is_stream)
    return RequestAttributes(
        verb=access.verb,
        group=access.group,
        version=access.version,
        resource=access.resource,
        subresource=access.subresource,
        namespace=access.namespace,
        name=access.name,
        path=event.path,
    )


def attributes_of_path(method: str, path: str, *, is_watch: bool = False) -> RequestAttributes:
    """`GET /api/v1/namespaces/team/secrets/x` -> get secrets, team, x."""
    plain = RequestAttributes(verb=method.lower(), path=path)
    match path.strip("/").split("/"):
        case ["api", version, *rest] if rest:
            group = ""
        case ["apis", group, version, *rest] if rest:
            pass
        case _:
            return plain
    namespace = ""
    match rest:
        # Namespaces themselves are resources, too, with a subresource or two.
        case ["namespaces", place, of_it, *_] if of_it not in _OF_NAMESPACES:
            namespace, rest = place, rest[2:]
    resource, name, subresource = (*rest[:3], "", "")[:3]
    verb = _VERBS.get(method, method.lower())
    if not name:
        verb = "watch" if is_watch else _OF_COLLECTIONS.get(verb, verb)
    return RequestAttributes(
        verb=verb,
        group=group,
        version=version,
        resource=resource,
        subresource=subresource,
        namespace=namespace,
        name=name,
        path=path,
    )
