"""Who may be served now, who waits and who is turned away: the fairness between users, without a clock or any I/O.

In the manner of Kubernetes' API Priority and Fairness: there are so many seats, a large request takes several, and
each user has a queue of their own. A free seat goes to the user who holds the fewest, so that nobody who sends much
slows down somebody who sends little. Nobody holds more seats than are left for all others, so that who holds them for
long, as watches do, leaves room for whoever comes next. `overload_guard` asks here for every request.
"""

from collections import deque
from dataclasses import dataclass, field


@dataclass(eq=False, slots=True)
class QueuedRequest:
    """One request on its way through the seats."""

    user: str
    width: int = 1
    """How many seats it takes."""
    is_seated: bool = False


@dataclass(eq=False, slots=True)
class _Flow:
    """The requests of one user; forgotten with the last of them."""

    turn: float
    """When it was seated last, counted in guests; of a newcomer, before whoever was last."""
    held: int = 0
    waiting: deque[QueuedRequest] = field(default_factory=deque)


class FairQueue:
    """Seats of one class of requests."""

    def __init__(self, *, seats: int, waiting: int, waiting_per_user: int) -> None:
        """At most so many seats, so many requests that wait for one, and so many of these of one user."""
        self._seats = seats
        self._most_waiting = waiting
        self._most_waiting_per_user = waiting_per_user
        self._free = seats
        self._waiting = 0
        self._turn = 0
        self._parties: dict[str, _Flow] = {}

    def arrive(self, guest: QueuedRequest) -> QueuedRequest | None:
        """Seat it or let it wait. Returns who is turned away for it, which may be itself."""
        # Wider than all seats together would wait for ever.
        guest.width = min(guest.width, self._seats)
        party = self._parties.get(guest.user) or _Flow(self._turn - 1.5)
        if self._is_next(party) and self._may_sit(party, guest):
            self._parties[guest.user] = party
            self._seat(party, guest)
            return None
        if len(party.waiting) >= self._most_waiting_per_user:
            return guest
        refused = None
        if self._waiting >= self._most_waiting:
            refused = self._make_room(party)
            if refused is None:
                return guest
        self._parties[guest.user] = party
        party.waiting.append(guest)
        self._waiting += 1
        return refused

    def leave(self, guest: QueuedRequest) -> list[QueuedRequest]:
        """It was served, or has stopped waiting. Returns those who are seated now."""
        party = self._parties[guest.user]
        if guest.is_seated:
            guest.is_seated = False
            party.held -= guest.width
            self._free += guest.width
        else:
            party.waiting.remove(guest)
            self._waiting -= 1
        self._forget_if_gone(guest.user, party)
        return self._seat_next() if self._waiting else []

    def _seat_next(self) -> list[QueuedRequest]:
        seated: list[QueuedRequest] = []
        while self._waiting:
            parties = (each for each in self._parties.values() if each.waiting)
            party = min(parties, key=lambda each: (each.held, each.turn))
            guest = party.waiting[0]
            if not self._may_sit(party, guest):
                # Nobody overtakes: a wide one would never find enough free seats otherwise.
                break
            party.waiting.popleft()
            self._waiting -= 1
            self._seat(party, guest)
            seated.append(guest)
        return seated

    def _may_sit(self, party: _Flow, guest: QueuedRequest) -> bool:
        left = self._free - guest.width
        # Whoever holds nothing gets what there is, however wide it is.
        return left >= 0 and (not party.held or party.held + guest.width <= left)

    def _is_next(self, party: _Flow) -> bool:
        """Whether nobody waits who goes before a newcomer of theirs. Some may wait although there are free seats."""
        others = (each for each in self._parties.values() if each.waiting)
        return not self._waiting or all((party.held, party.turn) < (each.held, each.turn) for each in others)

    def _seat(self, party: _Flow, guest: QueuedRequest) -> None:
        guest.is_seated = True
        party.turn = self._turn
        self._turn += 1
        party.held += guest.width
        self._free -= guest.width

    def _make_room(self, party: _Flow) -> QueuedRequest | None:
        """Turn away the newest of the longest queue, if that stays at least as long as the newcomer's becomes."""
        user, longest = max(self._parties.items(), key=lambda pair: len(pair[1].waiting))
        if len(longest.waiting) <= len(party.waiting) + 1:
            return None
        self._waiting -= 1
        refused = longest.waiting.pop()
        self._forget_if_gone(user, longest)
        return refused

    def _forget_if_gone(self, user: str, party: _Flow) -> None:
        if not party.held and not party.waiting:
            del self._parties[user]
