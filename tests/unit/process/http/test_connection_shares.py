"""Who is let in, and who goes for it, step by step."""

from dataclasses import dataclass, field
from typing import Final

import pytest

from chandlery.process.http.connection_shares import ConnectionShares, Held, Stage, share_of


@dataclass
class House:
    """A listener, and its connections by their names: `ann1` comes from the address `ann`."""

    shares: ConnectionShares
    held: dict[str, Held] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)
    now: float = 0.0

    def do(self, step: str) -> None:
        """`+ann1` comes, `proxy:ann1` is a front proxy's, `-ann1` ends.

        `busy:ann1` and `idle:ann1` and `unfinished:ann1`, `wait:5` seconds.
        """
        self.now += 0.01
        if step.startswith("wait:"):
            self.now += float(step.removeprefix("wait:"))
        elif step[0] == "+":
            name = step[1:]
            self.held[name] = Held(name.rstrip("0123456789"), lambda: None)
            leaving = self.shares.arrive(self.held[name], now=self.now)
            self._note(leaving)
        elif step.startswith("proxy:"):
            self._note(self.shares.speaks_for_many(self.held[step.removeprefix("proxy:")], now=self.now))
        elif step[0] == "-":
            self.shares.leave(self.held[step[1:]])
        else:
            stage, _, name = step.partition(":")
            self.shares.become(self.held[name], Stage[stage.upper()], now=self.now)

    def _note(self, leaving: Held | None) -> None:
        self.gone += [known for known, each in self.held.items() if each is leaving]


# Steps, and who had to go.
STEPS: Final = [
    pytest.param("+ann1 +ann2 +bob1", "", id="there is room"),
    pytest.param("+ann1 +ann2 +bob1 +cid1", "", id="to the last place"),
    pytest.param("+ann1 +ann2 +ann3", "ann1", id="one address leaves as many places as it holds"),
    pytest.param("+ann1 busy:ann1 +ann2 +ann3", "ann2", id="what is being served is never cut off"),
    pytest.param("+ann1 busy:ann1 +ann2 busy:ann2 +ann3", "ann3", id="the newcomer itself, if all are served"),
    pytest.param("+ann1 +bob1 +cid1 +dan1 wait:5 +eve1", "ann1", id="the slowest head makes room"),
    pytest.param(
        "+ann1 busy:ann1 idle:ann1 wait:5 +bob1 +cid1 +dan1 +eve1", "ann1", id="a young head is not slow: idle ones go"
    ),
    pytest.param(
        "+ann1 busy:ann1 idle:ann1 +bob1 wait:5 +cid1 +dan1 +eve1", "bob1", id="a slow head goes before an idle one"
    ),
    pytest.param(
        "+ann1 +bob1 +cid1 +dan1 busy:ann1 busy:bob1 busy:cid1 busy:dan1 idle:dan1 idle:ann1 +eve1",
        "dan1",
        id="whoever was idle for longest",
    ),
    pytest.param(
        "+ann1 +bob1 +cid1 +dan1 busy:ann1 busy:bob1 busy:cid1 busy:dan1 idle:ann1 unfinished:ann1 wait:5 +eve1",
        "ann1",
        id="the head of a later request counts too",
    ),
    pytest.param("+ann1 +bob1 +cid1 +dan1 -ann1 +eve1", "", id="who has ended holds no place"),
    pytest.param("+ann1 +ann2 +ann3 busy:ann1 -ann1 -ann1 +ann4", "ann1 ann2", id="who had to go is counted no more"),
    pytest.param("+p1 proxy:p1 +p2 proxy:p2 +p3 proxy:p3", "", id="a front proxy holds more than are left"),
    pytest.param(
        "+p1 proxy:p1 busy:p1 +q1 proxy:q1 busy:q1 +p2 proxy:p2 busy:p2 +q2 proxy:q2 +ann1",
        "q2",
        id="front proxies together leave a place, whatever their addresses",
    ),
    pytest.param(
        "+p1 proxy:p1 busy:p1 idle:p1 +p2 proxy:p2 busy:p2 +p3 proxy:p3 busy:p3 +p4 proxy:p4",
        "p1",
        id="of front proxies, too, whoever is idle makes room",
    ),
    pytest.param("+p1 proxy:p1 busy:p1 +p2 proxy:p2 +ann1 busy:ann1 +bob1 +cid1", "p2", id="all are bounded together"),
    pytest.param("+p1 proxy:p1 proxy:p1 -p1 proxy:p1 +ann1 +ann2", "", id="who has ended is nobody's"),
]


@pytest.mark.parametrize(("steps", "gone"), STEPS)
def test_places_go_by_need(steps: str, gone: str) -> None:
    house = House(ConnectionShares(connections=4))
    for step in steps.split():
        house.do(step)
    assert house.gone == gone.split()


def test_nothing_is_remembered_of_who_has_ended() -> None:
    house = House(ConnectionShares(connections=4))
    for step in [
        "+ann1",
        "+ann2",
        "+ann3",
        "+bob1",
        "busy:bob1",
        "+p1",
        "proxy:p1",
        "busy:p1",
        "-ann2",
        "-ann3",
        "-bob1",
        "-p1",
    ]:
        house.do(step)
    assert (house.shares._by_share, house.shares._all.count) == ({}, 0)


@pytest.mark.parametrize(
    ("host", "share"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_network_of_a_household_counts_as_one_address(host: str, share: str) -> None:
    assert share_of(host) == share
