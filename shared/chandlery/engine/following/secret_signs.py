"""What the metadata of a cluster's Secret tells: for whom it is news, and whether it is as we have left it. Pure.

What is in a Secret is not asked for, so a change is known by who owns its fields (`managedFields`): whoever writes
another value takes the key from us, and a key that was taken out nobody owns. How many we have written stands in an
annotation; keys that others have added are theirs. https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from chandlery.model.objects.wire import JsonObject
from chandlery.platform.kubernetes.cluster_secrets import FIELD_MANAGER, KEYS, controller_of
from chandlery.reconcile.reconcile_result import secret_key

_DATA: Final = "f:data"


@dataclass(frozen=True)
class SecretSign:
    """One Secret, as far as it can be seen."""

    key: str
    """The wake-up key."""
    version: int | None
    """Of the Secret; None if the cluster counts in another way."""
    left_for: str | None
    """The uid of the binding for which it was written, if it is as we have left it: for that one it is no news."""


def sign_of(secret: JsonObject) -> SecretSign:
    """The sign of a Secret of which there is metadata."""
    metadata = secret["metadata"]
    return SecretSign(
        key=secret_key(metadata.get("namespace"), metadata["name"]),
        version=number_of(metadata.get("resourceVersion")),
        left_for=controller_of(metadata) if _is_as_left(metadata) else None,
    )


def number_of(version: object) -> int | None:
    """A resourceVersion as a number, by which two can be compared: etcd counts, and newer clusters promise it."""
    return int(version) if isinstance(version, str) and version.isdecimal() else None


def _is_as_left(metadata: JsonObject) -> bool:
    if metadata.get("deletionTimestamp"):
        return False
    entries = metadata.get("managedFields") or ()
    ours = {key for entry in entries if entry.get("manager") == FIELD_MANAGER for key in _keys_of(entry)}
    return str(len(ours)) == (metadata.get("annotations") or {}).get(KEYS)


def _keys_of(entry: JsonObject) -> Iterator[str]:
    fields = entry.get("fieldsV1") or {}
    return (name for name in fields.get(_DATA) or {} if name.startswith("f:"))
