"""An operator as users of kopf write them. It tells its story on standard output, a line for each handler's call."""

import json
from typing import Any

import kopf

_INSTANCES = "serviceinstances.servicecatalog.k8s.io"


def _told(handler: str, name: str | None, **more: Any) -> None:
    print("told " + json.dumps({"handler": handler, "name": name, **more}), flush=True)


@kopf.on.startup()
def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
    settings.peering.standalone = True
    # So that a test sees many reconnects: a watch ends after a second, and the next goes on where it was.
    settings.watching.server_timeout = 1
    settings.watching.reconnect_backoff = 0.01


@kopf.on.create(_INSTANCES)
def created(name: str | None, spec: kopf.Spec, body: kopf.Body, patch: kopf.Patch, **_: Any) -> None:
    _told("create", name, parameters=spec.get("parameters"))
    patch.metadata.annotations["example.com/seen"] = "yes"
    kopf.info(body, reason="Noticed", message="a new instance")


@kopf.on.update(_INSTANCES, field="spec.parameters")
def changed(name: str | None, old: Any, new: Any, **_: Any) -> None:
    _told("update", name, old=old, new=new)


@kopf.on.delete(_INSTANCES)
def deleted(name: str | None, **_: Any) -> None:
    _told("delete", name)
