"""Checksums of parameters that tell nothing: digests of secret values under a key, `<id of the key>:<hex>`. Pure.

A bare SHA-256 of a few parameters can be guessed by trying. Bare ones, of earlier releases, are turned into keyed
ones without knowing the parameters, for a keyed checksum is the digest of the bare one. After a rotation of the
keys the parameters themselves show that a checksum under another key is still theirs.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable
from typing import TypeVar

from chandlery.model.bindings import BindingPropertiesState
from chandlery.model.faults import ParametersFault
from chandlery.model.instances import InstancePropertiesState
from chandlery.reconcile.parameters import Parameters

PURPOSE = "parameter checksums"
"""Of the keys, which are derived from the encryption keys."""
KEYED = re.compile(r"[0-9a-f]{8}:[0-9a-f]{64}")
_BARE = re.compile(r"[0-9a-fA-F]{64}")
_ID_DIGITS = 8

StateT = TypeVar("StateT", InstancePropertiesState, BindingPropertiesState)


class ChecksumKeys:
    """The first key is used, those of all are recognized."""

    def __init__(self, keys: Iterable[bytes]) -> None:
        self._keys = {_id_of(key): key for key in keys}

    @property
    def ids(self) -> tuple[str, ...]:
        """With what checksums begin, the one in use first."""
        return tuple(self._keys)

    def forms_of(self, bare: str) -> tuple[str, ...]:
        """All that this checksum may be stored as, the form in use first; nothing for no parameters."""
        return (*(_keyed(key, bare) for key in self._keys.values()), bare) if bare else ("",)

    def keyed(self, parameters: Parameters) -> Parameters:
        """The parameters with their checksum under the key in use."""
        in_use, *others = self.forms_of(parameters.checksum)
        return Parameters(parameters.sent, parameters.shown, in_use, frozenset(others))

    def renewed(self, stored: str, parameters: Parameters | ParametersFault) -> str:
        """A stored checksum in the form in use, if it can be known; it stays a checksum of the same parameters."""
        if isinstance(parameters, Parameters) and stored in parameters.older_checksums:
            return parameters.checksum
        return self.forms_of(stored)[0] if _BARE.fullmatch(stored) else stored

    def renewed_in(self, state: StateT | None, parameters: Parameters | ParametersFault) -> StateT | None:
        """The same for what a status tells of a request."""
        if state is None or not state.parameter_checksum:
            return state
        return state.model_copy(update={"parameter_checksum": self.renewed(state.parameter_checksum, parameters)})


def _id_of(key: bytes) -> str:
    return hashlib.sha256(key).hexdigest()[:_ID_DIGITS]


def _keyed(key: bytes, bare: str) -> str:
    return f"{_id_of(key)}:{hmac.digest(key, bare.encode(), 'sha256').hex()}"
