"""Runs in the environment of a release: writes its messages, notes and objects, or reads those of another release.

    python old_words.py write            # JSON of what this release writes
    python old_words.py read < FILE      # what it makes of what another release writes, or why it cannot

Knows only names that every release from 0.1.0 on has. Whoever moves one of them tells this file both places.
"""

import importlib
import json
import sys
from datetime import UTC, datetime
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr

NOTES = {
    "InstanceMemory": "chandlery_provisioner.facts.instance_notes",
    "OpenInstanceRequest": "chandlery_provisioner.facts.instance_notes",
    "BindingMemory": "chandlery_binder.facts.binding_notes",
    "OpenBindingRequest": "chandlery_binder.facts.binding_notes",
    "InstanceNotes": "chandlery_binder.facts.binding_notes",
    "BrokerMemory": "chandlery_syncer.facts.broker_notes",
}
"""What workers keep in the columns `memory` and `sealed` of the work queue."""
READ_AS = {"InstanceMemory": ("InstanceMemory", "InstanceNotes")}
"""What the binder reads of the provisioner's notes."""
OBJECTS = (
    "ClusterServiceBroker",
    "ServiceBroker",
    "ClusterServiceClass",
    "ServiceClass",
    "ClusterServicePlan",
    "ServicePlan",
    "ServiceInstance",
    "ServiceBinding",
    "Namespace",
    "Event",
)
MESSAGES = ("Reconcile", "ObjectChanged", "LaneOpened")
_WORDS = {
    "kind": "ServiceInstance",
    "uid": "0e1c3e8c-0001-4f6a-9d5e-0123456789ab",
    "lane": "broker:shop/grocer",
    "reason": "ProvisionedSuccessfully",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
}


def model(name: str) -> Any:
    return getattr(importlib.import_module(NOTES[name]), name)


def kind(name: str) -> Any:
    return importlib.import_module("chandlery.model.objects.kinds").KINDS[name].model


def filled(annotation: Any, field: str = "", depth: int = 0) -> Any:
    """A value that is not the default, with all fields of a model that have values; deeper than 8 nothing."""
    origin = get_origin(annotation)
    if origin in (Union, UnionType):
        return filled(next(each for each in get_args(annotation) if each is not NoneType), field, depth)
    if origin is Literal:
        return get_args(annotation)[0]
    if origin in (tuple, list, set, frozenset):
        return [filled(get_args(annotation)[0], field, depth + 1)]
    if origin is dict:
        return {"key": filled(get_args(annotation)[1], field, depth + 1)}
    if hasattr(annotation, "__metadata__"):
        return filled(annotation.__origin__, field, depth)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if depth > 8:
            return {}
        return {
            info.serialization_alias or info.alias or name: filled(info.annotation, name, depth + 1)
            for name, info in annotation.model_fields.items()
        }
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return next(iter(annotation)).value
    plain = {
        bool: True,
        int: 3,
        float: 2.5,
        str: _WORDS.get(field, "word"),
        datetime: datetime(2026, 11, 30, 12, tzinfo=UTC).isoformat().replace("+00:00", "Z"),
        SecretStr: "word",
        bytes: "d29yZA==",
    }
    return plain.get(annotation, "word")


def written() -> dict[str, dict[str, Any]]:
    """Messages as bytes on the bus, notes and objects as JSON in their columns."""
    messages = importlib.import_module("chandlery.contracts.messages")
    return {
        "messages": {
            name: messages.encode(getattr(messages, name).model_validate(filled(getattr(messages, name)))).decode()
            for name in MESSAGES
        },
        "notes": {name: model(name).model_validate(filled(model(name))).to_wire() for name in NOTES},
        "objects": {name: kind(name).model_validate(filled(kind(name))).to_wire() for name in OBJECTS},
    }


def read(given: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Name of each -> `problem`, why it could not be read, or `read`, what it says to this release."""
    messages = importlib.import_module("chandlery.contracts.messages")
    found = {}
    for name, text in given["messages"].items():
        found[name] = understood(lambda text=text: json.loads(messages.encode(messages.decode(text.encode()))))
    for name, note in given["notes"].items():
        for reader in READ_AS.get(name, (name,)):
            found[f"{name} as {reader}"] = understood(
                lambda note=note, reader=reader: model(reader).model_validate(note).to_wire()
            )
    for name, document in given["objects"].items():
        found[name] = understood(lambda document=document, name=name: kind(name).model_validate(document).to_wire())
    return found


def understood(work: Any) -> dict[str, Any]:
    try:
        return {"read": work()}
    except Exception as error:  # noqa: BLE001 - whatever it is, the other release cannot read it
        return {"problem": f"{type(error).__name__}: {error}"}


if __name__ == "__main__":
    print(json.dumps(written() if sys.argv[1] == "write" else read(json.load(sys.stdin)), indent=1, sort_keys=True))
