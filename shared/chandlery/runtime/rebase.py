"""Puts what a round wants written on top of what users have changed meanwhile. Pure."""

from typing import Any

from chandlery.model.kinds import AnyObject


def rebased(wanted: AnyObject, seen: AnyObject, latest: AnyObject) -> AnyObject:
    """What we want written, on top of what users have changed since we looked."""
    changed: dict[str, Any] = {"status": getattr(wanted, "status", None)}
    if seen.metadata.generation == latest.metadata.generation and hasattr(wanted, "spec"):
        changed["spec"] = wanted.spec
    metadata: dict[str, Any] = {}
    given_up = set(seen.metadata.finalizers or []) - set(wanted.metadata.finalizers or [])
    if given_up:
        left = [name for name in latest.metadata.finalizers or [] if name not in given_up]
        metadata["finalizers"] = left or None
    if wanted.metadata.labels != seen.metadata.labels and "spec" in changed:
        metadata["labels"] = {**(latest.metadata.labels or {}), **(wanted.metadata.labels or {})}
    if metadata:
        changed["metadata"] = latest.metadata.model_copy(update=metadata)
    return latest.model_copy(update=changed)


def with_wish_of(seen: AnyObject, *, version_of: AnyObject) -> AnyObject:
    """The round goes on with the wish it began with; only the version it has to overwrite is newer."""
    version = {"resource_version": version_of.metadata.resource_version}
    return seen.model_copy(update={"metadata": seen.metadata.model_copy(update=version)})
