"""Where the next page of a list goes on, and what the first one saw: opaque to clients, good at every gateway.

`object_reader` writes and reads them. They are signed: a made-up one could name moments that have not been, or
thousands of transactions for the database to leave out.
"""

import base64
import binascii
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from chandlery.model.faults import BadRequest, Expired
from chandlery.model.json.json_text import NotJson, read_json, write_json
from chandlery.store.objects.changes import Snapshot

PURPOSE: Final = "continue-tokens"
"""What the keys are derived for."""
_SIGNATURE_BYTES: Final = 16
_SEPARATOR: Final = "."


@dataclass(frozen=True)
class ContinueToken:
    """The last object of the page before, and the snapshot that all pages show; None shows what is there by now."""

    of: str
    """The list that it goes on with: the objects of another one have no such order."""
    namespace: str
    name: str
    snapshot: Snapshot | None


class ContinueTokens:
    """Writes tokens and reads those that any gateway with the same keys has written."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        """The first key signs, all are believed (`Keyring.derived`)."""
        self._keys = tuple(keys.values())

    def write(self, token: ContinueToken) -> str:
        """As it is sent."""
        seen = token.snapshot
        moment = [seen.horizon, seen.end, seen.under_way] if seen else None
        payload = write_json([token.of, token.namespace, token.name, moment])
        return f"{_encoded(payload)}{_SEPARATOR}{_encoded(_signature(self._keys[0], payload))}"

    def read(self, text: str, *, of: str) -> ContinueToken:
        """The inverse of `write`.

        Raises:
            BadRequest: nothing of the kind, or of another list.
            Expired: signed with a key that is no longer configured, by an earlier version, or made up. Clients list
                anew then, as they do with a token that is too old.
        """
        written, is_signed, signature = text.partition(_SEPARATOR)
        try:
            payload, given = base64.urlsafe_b64decode(written), base64.urlsafe_b64decode(signature)
        except (ValueError, binascii.Error):
            raise _not_ours() from None
        if not is_signed or not any(hmac.compare_digest(given, _signature(key, payload)) for key in self._keys):
            _decoded(payload)
            raise Expired("the continue token was signed with a key that is no longer in use; list again without it")
        token = _decoded(payload)
        if token.of != of:
            raise BadRequest("the continue token belongs to another list; list again without it")
        return token


def _decoded(payload: bytes) -> ContinueToken:
    try:
        decoded = read_json(payload)
    except NotJson:
        decoded = None
    match decoded:
        case [str(of), str(namespace), str(name), None]:
            return ContinueToken(of, namespace, name, None)
        case [str(of), str(namespace), str(name), [int(horizon), int(end), list(under_way)]]:
            return ContinueToken(of, namespace, name, Snapshot(horizon, end, tuple(under_way)))
    raise _not_ours()


def _not_ours() -> BadRequest:
    return BadRequest("the continue token was not issued by this server; list again without it")


def _signature(key: bytes, payload: bytes) -> bytes:
    return hmac.digest(key, payload, "sha256")[:_SIGNATURE_BYTES]


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode()
