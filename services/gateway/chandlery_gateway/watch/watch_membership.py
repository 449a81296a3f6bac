"""Which objects a watching client has: with a selector an object can enter or leave without being made or deleted."""

from collections.abc import Iterable

from chandlery.store.objects.changes import ChangeVerb, LoggedChange
from chandlery.store.objects.past_objects import Place


def told_as(verb: ChangeVerb, *, was_match: bool | None, is_match: bool) -> ChangeVerb | None:
    """What a change is to a client that watches a selection; None says nothing.

    `was_match` is None where it has been forgotten whether the client has the object: to tell it of a departure that
    was none does no harm, to keep one back does.
    """
    if verb == ChangeVerb.DELETED or not is_match:
        return None if was_match is False else ChangeVerb.DELETED
    if verb == ChangeVerb.ADDED or was_match is False:
        return ChangeVerb.ADDED
    return ChangeVerb.MODIFIED


class Membership:
    """The objects that match, as far as the watch has come."""

    def __init__(self, *, can_change: bool) -> None:
        """`can_change` says whether an object can enter or leave; if not, nothing has to be remembered."""
        self._can_change = can_change
        self._matching: set[str] = set()
        self._unsure: set[Place] = set()

    def note(self, uid: str) -> None:
        """This object matches."""
        if self._can_change:
            self._matching.add(uid)

    def note_unsure(self, places: Iterable[Place]) -> None:
        """Of these it is not known."""
        self._unsure.update(places)

    def follow(self, change: LoggedChange, *, uid: str, is_match: bool) -> ChangeVerb | None:
        """Go on by one change; returns what the client is told."""
        if not self._can_change:
            return told_as(change.verb, was_match=is_match and change.verb != ChangeVerb.ADDED, is_match=is_match)
        place = (change.namespace, change.name)
        was_match = None if place in self._unsure else uid in self._matching
        self._unsure.discard(place)
        self._matching.discard(uid)
        if is_match and change.verb != ChangeVerb.DELETED:
            self._matching.add(uid)
        return told_as(change.verb, was_match=was_match, is_match=is_match)
