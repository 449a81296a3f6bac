"""The keys of a Secret while transforms are applied to them, and their size. Pure; used by `secret_projection.py`.

Steps that double each other (`addKey` of `{.a}{.a}`) reach gigabytes in a few lines of a manifest, so the size is
counted as it grows: of what there is, and of all that was ever written, for one step may write over another's key.
"""

from collections.abc import Mapping
from typing import Any, Final

from chandlery.model.faults import Fault
from chandlery.reconcile.json_path.json_path_rendering import Steps, json_text

LARGEST_BYTES: Final = 1 << 20
"""Kubernetes' limit for the values of a Secret together: 1 MiB."""
MOST_WRITTEN: Final = 4 * LARGEST_BYTES
"""What all steps of one projection may write together."""
_SHOWN_CHARACTERS: Final = 80


class SecretTooLarge(Fault):
    """The keys hold more than a Secret may, or too much was written on the way there."""


class GrowingSecret:
    """Values by key: texts, what JSON has besides, and bytes. No step is finished that makes it too large.

    Every method that adds raises SecretTooLarge.
    """

    def __init__(self, credentials: Mapping[str, Any]) -> None:
        self.steps = Steps()
        """What all templates together may look at."""
        self._raw: dict[str, bytes] = {}
        self._readable: dict[str, Any] = {}
        self._held = self._written = 0
        for key, value in credentials.items():
            self._set(key, value)
        self._refuse_too_much("the credentials are")
        self._written = 0

    def put(self, key: str, value: Any) -> None:
        """Add the key, or replace its value."""
        self._set(key, value)
        self._refuse_too_much(f'with the key "{key[:_SHOWN_CHARACTERS]}", the credentials are')

    def rename(self, old: str, new: str) -> None:
        """Give the key another name; one that is missing stays so."""
        if old != new and old in self._raw:
            self.remove(new)
            self._raw[new], self._readable[new] = self._raw.pop(old), self._readable.pop(old)

    def remove(self, key: str) -> None:
        """Leave the key out; one that is missing stays so."""
        self._held -= len(self._raw.pop(key, b""))
        self._readable.pop(key, None)

    @property
    def room(self) -> int:
        """How many bytes the next step may write."""
        return min(LARGEST_BYTES, MOST_WRITTEN - self._written)

    @property
    def raw(self) -> Mapping[str, bytes]:
        """What stands in the Secret."""
        return self._raw

    @property
    def readable(self) -> Mapping[str, Any]:
        """The values as an expression reads them: what is text by now is text again."""
        return self._readable

    def _set(self, key: str, value: Any) -> None:
        self.remove(key)
        raw = _raw_value(value)
        self._raw[key], self._readable[key] = raw, _readable_value(value)
        self._held += len(raw)
        self._written += len(raw)

    def _refuse_too_much(self, subject: str) -> None:
        if self._held > LARGEST_BYTES:
            raise SecretTooLarge(f"{subject} larger than a Secret may be ({LARGEST_BYTES} bytes)")
        if self._written > MOST_WRITTEN:
            raise SecretTooLarge(f"the steps of secretTransforms write more than {MOST_WRITTEN} bytes together")


def _raw_value(value: Any) -> bytes:
    return value if isinstance(value, bytes) else json_text(value).encode(errors="replace")


def _readable_value(value: Any) -> Any:
    return value.decode(errors="replace") if isinstance(value, bytes) else value
