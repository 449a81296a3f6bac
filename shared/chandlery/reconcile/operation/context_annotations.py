"""Which of an object's annotations a service broker is told in the context of a request. Pure.

Source: OSB profile, "Context Object", `instance_annotations` and `namespace_annotations`. None by default: annotations
are full of what is nobody else's business.
"""

from collections.abc import Mapping, Sequence

NEVER_TOLD = ("kubectl.kubernetes.io/", "chandlery.io/")
"""The whole last manifest, and orders to us."""


def annotations_to_tell(annotations: Mapping[str, str] | None, prefixes: Sequence[str]) -> dict[str, str]:
    """Those whose key begins with one of the prefixes, in the order of their keys."""
    told = tuple(prefix for prefix in prefixes if prefix)
    return {
        key: value
        for key, value in sorted((annotations or {}).items())
        if key.startswith(told) and not key.startswith(NEVER_TOLD)
    }
