"""Puts what a round wants written on top of what users have changed meanwhile. Pure."""

from typing import Any

from chandlery.model.objects.kinds import AnyObject


def merged_with_latest(wanted: AnyObject, seen: AnyObject, latest: AnyObject) -> AnyObject:
    """What we want written, on top of what users have changed since we looked."""
    changed: dict[str, Any] = {"status": getattr(wanted, "status", None)}
    if seen.metadata.generation == latest.metadata.generation and hasattr(wanted, "spec"):
        changed["spec"] = _merged_spec(wanted.spec, getattr(seen, "spec", None), getattr(latest, "spec", None))
    metadata: dict[str, Any] = {}
    given_up = set(seen.metadata.finalizers or []) - set(wanted.metadata.finalizers or [])
    if given_up:
        left = [name for name in latest.metadata.finalizers or [] if name not in given_up]
        metadata["finalizers"] = left or None
    before, after = seen.metadata.labels or {}, wanted.metadata.labels or {}
    if before != after and "spec" in changed:
        kept = {
            key: value for key, value in (latest.metadata.labels or {}).items() if key in after or key not in before
        }
        ours = {key: value for key, value in after.items() if before.get(key) != value}
        metadata["labels"] = kept | ours
    if metadata:
        changed["metadata"] = latest.metadata.model_copy(update=metadata)
    return latest.model_copy(update=changed)


def _merged_spec(wanted: Any, seen: Any, latest: Any) -> Any:
    """Only what we changed ourselves, the resolved references: a deletion, for one, names its user in the spec."""
    fields = type(wanted).model_fields
    ours = {field: getattr(wanted, field) for field in fields if getattr(wanted, field) != getattr(seen, field)}
    return latest.model_copy(update=ours) if ours else latest


def with_version_of(seen: AnyObject, *, version_of: AnyObject) -> AnyObject:
    """The round goes on with the object it began with; only the version it has to overwrite is newer."""
    version = {"resource_version": version_of.metadata.resource_version}
    return seen.model_copy(update={"metadata": seen.metadata.model_copy(update=version)})
