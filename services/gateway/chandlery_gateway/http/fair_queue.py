"""Who may be served now, who waits and who is turned away: the fairness between users, without a clock or any I/O.

In the manner of Kubernetes' API Priority and Fairness: there are so many seats, a large request takes several, and
each user has a queue of their own. A free seat goes to the user who holds the fewest, so that nobody who sends much
slows down somebody who sends little. Nobody holds more seats than are left for all others, so that who holds them for
long, as watches do, leaves room for whoever comes next. `seats` asks here for every request.
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
    """When it was seated last, counted in requests; of a newcomer, before whoever was last."""
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
        self._flows: dict[str, _Flow] = {}

    @property
    def seats(self) -> int:
        """How many there are."""
        return self._seats

    @property
    def taken(self) -> int:
        """How many of them are taken."""
        return self._seats - self._free

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return self._waiting

    def arrive(self, queued: QueuedRequest) -> QueuedRequest | None:
        """Seat it or let it wait. Returns who is turned away for it, which may be itself."""
        # Wider than all seats together would wait for ever.
        queued.width = min(queued.width, self._seats)
        flow = self._flows.get(queued.user) or _Flow(self._turn - 1.5)
        if self._is_next(flow) and self._may_sit(flow, queued):
            self._flows[queued.user] = flow
            self._seat(flow, queued)
            return None
        if len(flow.waiting) >= self._most_waiting_per_user:
            return queued
        refused = None
        if self._waiting >= self._most_waiting:
            refused = self._make_room(flow)
            if refused is None:
                return queued
        self._flows[queued.user] = flow
        flow.waiting.append(queued)
        self._waiting += 1
        return refused

    def leave(self, queued: QueuedRequest) -> list[QueuedRequest]:
        """It was served, or has stopped waiting. Returns those who are seated now."""
        flow = self._flows[queued.user]
        if queued.is_seated:
            queued.is_seated = False
            flow.held -= queued.width
            self._free += queued.width
        else:
            flow.waiting.remove(queued)
            self._waiting -= 1
        self._forget_if_gone(queued.user, flow)
        return self._seat_next() if self._waiting else []

    def _seat_next(self) -> list[QueuedRequest]:
        seated: list[QueuedRequest] = []
        while self._waiting:
            flows = (each for each in self._flows.values() if each.waiting)
            flow = min(flows, key=lambda each: (each.held, each.turn))
            queued = flow.waiting[0]
            if not self._may_sit(flow, queued):
                # Nobody overtakes: a wide one would never find enough free seats otherwise.
                break
            flow.waiting.popleft()
            self._waiting -= 1
            self._seat(flow, queued)
            seated.append(queued)
        return seated

    def _may_sit(self, flow: _Flow, queued: QueuedRequest) -> bool:
        left = self._free - queued.width
        # Whoever holds nothing gets what there is, however wide it is.
        return left >= 0 and (not flow.held or flow.held + queued.width <= left)

    def _is_next(self, flow: _Flow) -> bool:
        """Whether nobody waits who goes before a newcomer of theirs. Some may wait although there are free seats."""
        others = (each for each in self._flows.values() if each.waiting)
        return not self._waiting or all((flow.held, flow.turn) < (each.held, each.turn) for each in others)

    def _seat(self, flow: _Flow, queued: QueuedRequest) -> None:
        queued.is_seated = True
        flow.turn = self._turn
        self._turn += 1
        flow.held += queued.width
        self._free -= queued.width

    def _make_room(self, flow: _Flow) -> QueuedRequest | None:
        """Turn away the newest of the longest queue, if that stays at least as long as the newcomer's becomes."""
        user, longest = max(self._flows.items(), key=lambda pair: len(pair[1].waiting))
        if len(longest.waiting) <= len(flow.waiting) + 1:
            return None
        self._waiting -= 1
        refused = longest.waiting.pop()
        self._forget_if_gone(user, longest)
        return refused

    def _forget_if_gone(self, user: str, flow: _Flow) -> None:
        if not flow.held and not flow.waiting:
            del self._flows[user]
