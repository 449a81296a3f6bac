"""The ten endpoints of the Open Service Broker API 2.17 as `<method> <path template>`: scripts and records go by it."""

from typing import Final
from urllib.parse import unquote

_INSTANCE: Final = "/v2/service_instances/{instance_id}"
_BINDING: Final = "/v2/service_instances/{instance_id}/service_bindings/{binding_id}"

GET_CATALOG: Final = "GET /v2/catalog"
PROVISION: Final = f"PUT {_INSTANCE}"
FETCH_INSTANCE: Final = f"GET {_INSTANCE}"
UPDATE: Final = f"PATCH {_INSTANCE}"
DEPROVISION: Final = f"DELETE {_INSTANCE}"
POLL_INSTANCE: Final = f"GET {_INSTANCE}/last_operation"
BIND: Final = f"PUT {_BINDING}"
FETCH_BINDING: Final = f"GET {_BINDING}"
UNBIND: Final = f"DELETE {_BINDING}"
POLL_BINDING: Final = f"GET {_BINDING}/last_operation"

TEMPLATES: Final = (
    *(GET_CATALOG, PROVISION, FETCH_INSTANCE, UPDATE, DEPROVISION, POLL_INSTANCE),
    *(BIND, FETCH_BINDING, UNBIND, POLL_BINDING),
)


def checked(template: str) -> str:
    """The template itself; raises ValueError for a misspelt one, which would otherwise never match a request."""
    if template not in TEMPLATES:
        raise ValueError(f"no such template: {template!r}")
    return template


def match_template(method: str, raw_path: str, *, path_prefix: str = "") -> tuple[str, dict[str, str]]:
    """Template and decoded ids of a request target; `unknown <method> <target>` and no ids if none fits.

    The target is split before it is decoded, so that an id may contain an encoded slash.
    """
    path = raw_path.partition("?")[0]
    if path.startswith(path_prefix):
        segments = path.removeprefix(path_prefix).split("/")
        for template in TEMPLATES:
            ids = _captured(template, method, segments)
            if ids is not None:
                return template, ids
    return f"unknown {method} {raw_path}", {}


def _captured(template: str, method: str, segments: list[str]) -> dict[str, str] | None:
    template_method, _, path = template.partition(" ")
    names = path.split("/")
    if template_method != method or len(names) != len(segments):
        return None
    ids: dict[str, str] = {}
    for name, segment in zip(names, segments, strict=True):
        if name.startswith("{") and segment:
            ids[name.strip("{}")] = unquote(segment)
        elif name != segment:
            return None
    return ids
