"""Who is seated, who waits and who is turned away, step by step."""

from dataclasses import dataclass, field
from typing import Final

import pytest

from chandlery_gateway.http.fair_queue import FairQueue, QueuedRequest


@dataclass
class House:
    """Seats, and the requests by their names: `ann1` is a request of `ann`."""

    seats: FairQueue
    requests: dict[str, QueuedRequest] = field(default_factory=dict)
    turned_away: list[str] = field(default_factory=list)

    def come(self, name: str, width: int = 1) -> None:
        queued = self.requests[name] = QueuedRequest(name.rstrip("0123456789"), width)
        refused = self.seats.arrive(queued)
        self.turned_away += [known for known, each in self.requests.items() if each is refused]

    def go(self, name: str) -> list[str]:
        seated = self.seats.leave(self.requests[name])
        return [known for each in seated for known, queued in self.requests.items() if queued is each]

    def seated(self) -> list[str]:
        return [name for name, queued in self.requests.items() if queued.is_seated]


def house(seats: int = 4, *, waiting: int = 4, per_user: int = 3) -> House:
    return House(FairQueue(seats=seats, waiting=waiting, waiting_per_user=per_user))


# Each step is a name that comes (`+ann1`, with its width after a colon) or goes (`-ann1`); then who is seated, in the
# order of coming, and who was turned away.
STEPS: Final = [
    pytest.param("+ann1 +ann2", "ann1 ann2", "", id="there is room"),
    pytest.param("+ann1 +ann2 +ann3", "ann1 ann2", "", id="the third waits, as two are left for others"),
    pytest.param("+ann1 +ann2 +ann3 +bob1", "ann1 ann2 bob1", "", id="who comes next finds a free one"),
    pytest.param("+ann1 +ann2 +bob1 +bob2 +cid1", "ann1 ann2 bob1 cid1", "", id="and leaves one too"),
    pytest.param("+ann1 +ann2 +ann3 -ann1", "ann2 ann3", "", id="and sits down when one leaves"),
    pytest.param("+ann1 +ann2 +ann3 +ann4 +ann5 +ann6", "ann1 ann2", "ann6", id="one user may fill only their queue"),
    pytest.param(
        "+ann1 +ann2 +bob1 +cid1 +ann3 +dan1 -ann1", "ann2 bob1 cid1 dan1", "", id="who holds fewest comes first"
    ),
    pytest.param(
        "+ann1 +ann2 +bob1 +cid1 +dan1 +eve1 -ann1 -ann2",
        "bob1 cid1 dan1 eve1",
        "",
        id="among equals who has waited longest",
    ),
    pytest.param(
        "+ann1 +ann2 +bob1 +cid1 +ann3 +ann4 +ann5 +bob2 +dan1",
        "ann1 ann2 bob1 cid1",
        "ann5",
        id="the house is full: the newest of the longest queue makes room",
    ),
    pytest.param(
        "+ann1 +ann2 +bob1 +cid1 +dan1 +eve1 +fay1 +gus1 +hal1",
        "ann1 ann2 bob1 cid1",
        "hal1",
        id="and nobody does if none is longer",
    ),
    pytest.param("+ann1:3 +bob1:2 -ann1", "bob1", "", id="a wide one waits for as many seats"),
    pytest.param("+ann1:3 +bob1:2 +cid1", "ann1", "", id="and is not overtaken although there is room for another"),
    pytest.param("+ann1:3 +bob1:2 +cid1 -ann1", "bob1 cid1", "", id="it gets them when they are free"),
    pytest.param("+ann1:4 +ann2", "ann1", "", id="who holds nothing gets more than is left for others"),
    pytest.param("+ann1:9", "ann1", "", id="wider than the house is as wide as the house"),
    pytest.param("+ann1 +ann2 +ann3 -ann3 -ann1 +bob1", "ann2 bob1", "", id="who stops waiting is forgotten"),
    pytest.param("+ann1:3 +bob1:2 +cid1 -bob1", "ann1 cid1", "", id="who stops waiting lets others through"),
]


@pytest.mark.parametrize(("steps", "seated", "turned_away"), STEPS)
def test_seats_go_by_fairness(steps: str, seated: str, turned_away: str) -> None:
    it = house()
    for step in steps.split():
        name, _, width = step[1:].partition(":")
        if step[0] == "+":
            it.come(name, int(width or 1))
        else:
            it.go(name)
    assert (it.seated(), it.turned_away) == (seated.split(), turned_away.split())


def test_everybody_gets_a_turn_when_there_are_more_users_than_seats() -> None:
    it = house(seats=1, waiting=100, per_user=100)
    for number in range(3):
        for user in ("ann", "bob", "cid"):
            it.come(f"{user}{number}")
    served = ["ann0"]
    while next_ones := it.go(served[-1]):
        served += next_ones
    assert [name[:3] for name in served] == ["ann", "bob", "cid"] * 3


def test_nothing_is_remembered_of_who_has_gone() -> None:
    it = house()
    for name in ("ann1", "ann2", "ann3", "ann4", "ann5", "ann6", "bob1", "cid1", "dan1"):
        it.come(name)
    gone: set[str] = set(it.turned_away)
    while left := [name for name in it.requests if name not in gone]:
        it.go(left[0])
        gone.add(left[0])
    assert (it.seats._flows, it.seats._waiting, it.seats._free) == ({}, 0, 4)
