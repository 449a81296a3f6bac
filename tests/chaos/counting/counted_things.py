"""What the counting broker has made and has been asked: instances and bindings by id, and everything that is odd. Pure.

An operation takes effect when it is accepted; until it is over, other changes to the same thing are refused.
"""

import random
import secrets
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

JsonObject = dict[str, Any]
Answer = tuple[int, JsonObject]

_OPERATION_SECONDS = (0.1, 0.7)
_ASYNC_SHARE = 0.4
CONCURRENCY: Answer = (422, {"error": "ConcurrencyError", "description": "an operation is under way"})


@dataclass
class Operation:
    """One that goes on after the answer."""

    id: str
    ends_at: float
    is_deletion: bool = False


@dataclass
class Thing:
    """An instance or a binding that exists."""

    id: str
    desired: JsonObject
    owner: str
    credentials: JsonObject | None = None
    operation: Operation | None = None

    def is_busy(self, now: float) -> bool:
        return self.operation is not None and now < self.operation.ends_at


@dataclass
class Things:
    """All of one kind. `now` is any clock in seconds; `says` collects what should not happen."""

    kind: str
    draw: random.Random
    says: list[str]
    living: dict[str, Thing] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)

    def put(self, id_: str, desired: JsonObject, *, owner: str, now: float, may_wait: bool) -> Answer:
        thing = self._present(id_, now)
        if thing is None:
            return self._create(id_, desired, owner=owner, now=now, may_wait=may_wait)
        self.counts["repeated creations"] += 1
        if thing.operation is not None and thing.operation.is_deletion:
            return CONCURRENCY
        if thing.desired != desired:
            self.counts["conflicts"] += 1
            return 409, {}
        if thing.is_busy(now) and thing.operation is not None:
            return 202, {"operation": thing.operation.id}
        return 200, _shown(thing)

    def change(self, id_: str, parameters: JsonObject, *, now: float, may_wait: bool) -> Answer:
        thing = self._present(id_, now)
        if thing is None:
            self.says.append(f"update of the unknown {self.kind} {id_}")
            return 404, {}
        if thing.is_busy(now):
            return CONCURRENCY
        self.counts["updates"] += 1
        thing.desired = {**thing.desired, "parameters": parameters}
        return self._begun(thing, now) if may_wait and self._waits() else (200, {})

    def delete(self, id_: str, *, now: float, may_wait: bool) -> Answer:
        thing = self._present(id_, now)
        if thing is None:
            self.counts["deletions of what is gone"] += 1
            return 410, {}
        if thing.is_busy(now):
            if thing.operation is not None and thing.operation.is_deletion:
                return 202, {"operation": thing.operation.id}
            return CONCURRENCY
        self.counts["deletions"] += 1
        if may_wait and self._waits():
            return self._begun(thing, now, is_deletion=True)
        del self.living[id_]
        return 200, {}

    def poll(self, id_: str, *, now: float) -> Answer:
        thing = self._present(id_, now)
        if thing is None:
            return 410, {}
        return 200, {"state": "in progress" if thing.is_busy(now) else "succeeded"}

    def fetch(self, id_: str, *, now: float) -> Answer:
        thing = self._present(id_, now)
        if thing is None or thing.is_busy(now):
            return 404, {}
        return 200, _shown(thing) | {"parameters": thing.desired.get("parameters") or {}}

    def settle(self, now: float) -> Mapping[str, Thing]:
        """What exists once deletions are over."""
        for id_ in list(self.living):
            self._present(id_, now)
        return self.living

    def _create(self, id_: str, desired: JsonObject, *, owner: str, now: float, may_wait: bool) -> Answer:
        self.counts["creations"] += 1
        others = [each.id for each in self.living.values() if each.owner == owner and owner]
        if others:
            self.says.append(f"second {self.kind} for {owner}: {id_} beside {', '.join(others)}")
        thing = self.living[id_] = Thing(id_, desired, owner)
        if self.kind == "binding":
            thing.credentials = {"uri": f"tcp://counted/{id_}", "password": secrets.token_hex(8)}
        if may_wait and self._waits():
            return self._begun(thing, now)
        return 201, _shown(thing)

    def _begun(self, thing: Thing, now: float, *, is_deletion: bool = False) -> Answer:
        ends_at = now + self.draw.uniform(*_OPERATION_SECONDS)
        thing.operation = Operation(secrets.token_hex(4), ends_at, is_deletion)
        return 202, {"operation": thing.operation.id}

    def _waits(self) -> bool:
        return self.draw.random() < _ASYNC_SHARE

    def _present(self, id_: str, now: float) -> Thing | None:
        thing = self.living.get(id_)
        if thing is None or thing.is_busy(now) or thing.operation is None:
            return thing
        if thing.operation.is_deletion:
            del self.living[id_]
            return None
        thing.operation = None
        return thing


def _shown(thing: Thing) -> JsonObject:
    return {"credentials": thing.credentials} if thing.credentials is not None else {}
