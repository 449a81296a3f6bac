"""Where the next page of a list goes on, and what the first one saw: opaque to clients, good at every gateway."""

import base64
import binascii
from dataclasses import dataclass

from chandlery.model.faults import BadRequest
from chandlery.model.json_text import NotJson, read_json, write_json
from chandlery.store.snapshots import ORDINALS, Snapshot

_LARGEST = 2**63 - 1
_MOST_UNDER_WAY = 10_000


@dataclass(frozen=True)
class ContinueToken:
    """The last object of the page before, and the snapshot that all pages show; None shows what is there by now."""

    namespace: str
    name: str
    snapshot: Snapshot | None

    def __str__(self) -> str:
        """As it is sent."""
        seen = self.snapshot
        moment = [seen.horizon, seen.end, seen.under_way] if seen else None
        return base64.urlsafe_b64encode(write_json([self.namespace, self.name, moment])).decode()


def read_continue_token(text: str) -> ContinueToken:
    """The inverse of `str`; raises BadRequest."""
    try:
        decoded = read_json(base64.urlsafe_b64decode(text))
    except (ValueError, binascii.Error, NotJson):
        decoded = None
    match decoded:
        case [str(namespace), str(name), None] if "\0" not in namespace + name:
            return ContinueToken(namespace, name, None)
        case [str(namespace), str(name), [int(horizon), int(end), list(under_way)]] if (
            "\0" not in namespace + name and _is_moment(horizon, end, under_way)
        ):
            return ContinueToken(namespace, name, Snapshot(horizon, end, tuple(under_way)))
    raise BadRequest("the continue token is not one of this server; list again without it")


def _is_moment(horizon: int, end: int, under_way: list[object]) -> bool:
    if not 0 < horizon <= end < _LARGEST or len(under_way) > _MOST_UNDER_WAY:
        return False
    return all(type(number) is int and horizon <= number * ORDINALS < end for number in under_way)
