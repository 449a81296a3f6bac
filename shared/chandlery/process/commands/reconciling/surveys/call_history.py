"""What has become of instances and bindings, by the calls about them in workers' logs. Pure.

Files are handed over in any order, and several workers write at the same time: what came last is told by the time in
each line, and by the order of lines only where that is the same. Some hundred bytes are kept for each thing, however
long the logs are.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from chandlery.process.commands.reconciling.surveys.external_things import Thing, ThingKey
from chandlery.reconcile.answers import Verb, Verdict

_ADDS: Final = frozenset({Verb.PROVISION, Verb.UPDATE, Verb.BIND})
_REMOVES: Final = frozenset({Verb.DEPROVISION, Verb.UNBIND})
_POLLS: Final = frozenset({Verb.POLL_INSTANCE, Verb.POLL_BINDING})
_NOTHING_DONE: Final = frozenset({Verdict.REJECTED, Verdict.UNREACHABLE})
_OVER: Final = frozenset({Verdict.SUCCEEDED, Verdict.GONE})

Moment = tuple[str, int]
"""The time of a line as RFC 3339 in UTC, and the number of the line."""
_NEVER: Final[Moment] = ("", 0)


@dataclass(frozen=True, kw_only=True)
class LoggedCall:
    """One line."""

    at: Moment
    verb: str
    verdict: str
    namespace: str = ""
    name: str = ""
    uid: str = ""
    service_id: str = ""
    plan_id: str = ""


@dataclass(slots=True)
class _Story:
    """Of one thing."""

    added: Moment = _NEVER
    removed: Moment = _NEVER
    over: Moment = _NEVER
    """When the broker has last said that something is done, or gone."""
    told: dict[str, tuple[Moment, str]] = field(default_factory=dict)

    def take(self, call: LoggedCall) -> None:
        is_done = call.verdict not in _NOTHING_DONE
        if call.verb in _ADDS and is_done:
            self.added = max(self.added, call.at)
        elif call.verb in _REMOVES and is_done:
            self.removed = max(self.removed, call.at)
        if call.verb in _REMOVES | _POLLS and call.verdict in _OVER:
            self.over = max(self.over, call.at)
        for name in ("namespace", "name", "uid", "service_id"):
            self._note(name, getattr(call, name), call.at)
        if is_done:
            # A plan that the broker has refused is none that it has.
            self._note("plan_id", call.plan_id, call.at)

    def _note(self, name: str, value: str, at: Moment) -> None:
        if value and at >= self.told.get(name, (_NEVER, ""))[0]:
            self.told[name] = (at, value)

    def thing(self, key: ThingKey) -> Thing | None:
        """What it comes to; None if nothing was ever done about it."""
        if max(self.added, self.removed) == _NEVER:
            return None
        is_going = self.removed > self.added
        known = {name: value for name, (_, value) in self.told.items()}
        return Thing(
            key=key,
            place=(known.get("namespace", ""), known.get("name", "")),
            uid=known.get("uid", ""),
            service_id=known.get("service_id", ""),
            plan_id=known.get("plan_id", ""),
            is_gone=is_going and self.over >= self.removed,
            is_going=is_going,
        )


class CallHistory:
    """Of all lines that were read."""

    def __init__(self) -> None:
        self._stories: dict[ThingKey, _Story] = {}

    def take(self, key: ThingKey, call: LoggedCall) -> None:
        """Note one line."""
        self._stories.setdefault(key, _Story()).take(call)

    def things(self) -> Iterator[Thing]:
        """What has become of each."""
        for key, story in self._stories.items():
            if (thing := story.thing(key)) is not None:
                yield thing
