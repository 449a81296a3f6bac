"""Checksums of parameters that tell nothing: digests of secret values under a key, `<id of the key>:<hex>`. Pure.

A bare SHA-256 of a few parameters can be guessed by trying, and so can a digest that is the same for two objects: by
making another one with the guess. So the digest is of the object's kind and uid, too. Bare ones, of earlier releases,
are turned into keyed ones without knowing the parameters, for a keyed checksum is the digest of the bare one. After a
rotation of the keys the parameters themselves show that a checksum under another key is still theirs, as they do of
one that was keyed before objects counted.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from chandlery.model.faults import ParametersFault
from chandlery.model.objects.bindings import BindingPropertiesState, ServiceBinding
from chandlery.model.objects.instances import InstancePropertiesState, ServiceInstance
from chandlery.reconcile.parameters.parameters import Parameters

PURPOSE = "parameter checksums of objects"
"""Of the keys, which are derived from the encryption keys."""
UNBOUND_PURPOSE = "parameter checksums"
"""Of those under which equal parameters had one checksum, whichever object they belonged to."""
KEYED = re.compile(r"[0-9a-f]{8}:[0-9a-f]{64}")
_BARE = re.compile(r"[0-9a-fA-F]{64}")
_ID_DIGITS = 8

StateT = TypeVar("StateT", InstancePropertiesState, BindingPropertiesState)


class ChecksumKeys:
    """The first key is used, those of all are recognized, and so are the `unbound` ones of another purpose."""

    def __init__(self, keys: Iterable[bytes], *, unbound: Iterable[bytes] = ()) -> None:
        self._keys = {_id_of(key): key for key in keys}
        self._unbound = {_id_of(key): key for key in unbound}

    @property
    def ids(self) -> tuple[str, ...]:
        """With what checksums begin, the one in use first."""
        return (*self._keys, *self._unbound)

    def of(self, owner: ServiceInstance | ServiceBinding) -> "ObjectChecksums":
        """The checksums of this object's parameters, which are no other object's."""
        return ObjectChecksums(self, f"{owner.kind}\0{owner.metadata.uid or ''}")

    def forms_of(self, bare: str, *, bound_to: str) -> tuple[str, ...]:
        """All that this checksum may be stored as, the form in use first; nothing for no parameters."""
        if not bare:
            return ("",)
        bound = (_keyed(key, f"{bound_to}\0{bare}") for key in self._keys.values())
        return (*bound, *(_keyed(key, bare) for key in self._unbound.values()), bare)


@dataclass(frozen=True)
class ObjectChecksums:
    """What `ChecksumKeys` make of the parameters of one object."""

    keys: ChecksumKeys
    bound_to: str

    def forms_of(self, bare: str) -> tuple[str, ...]:
        """All that this checksum may be stored as with the object, the form in use first; see `ChecksumKeys`."""
        return self.keys.forms_of(bare, bound_to=self.bound_to)

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


def _keyed(key: bytes, text: str) -> str:
    return f"{_id_of(key)}:{hmac.digest(key, text.encode(), 'sha256').hex()}"
