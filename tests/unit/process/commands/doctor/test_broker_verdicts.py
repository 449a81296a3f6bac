"""What is thought of the service brokers: do they answer, are they left alone, are they asked for too much."""

from typing import Final

import pytest

from chandlery.process.commands.doctor.check import State
from chandlery.process.commands.doctor.verdicts import broker_verdicts
from chandlery.store.inspection.work_facts import BrokerRounds, BrokerShare, HeldCircuit

DEMO: Final = "broker:/demo"


@pytest.mark.parametrize(
    ("rounds", "state", "said", "section"),
    [
        ([], State.OK, "none of them fails", ""),
        ([BrokerRounds(DEMO, 6, 19.0, 0)], State.OK, "", ""),
        (
            [BrokerRounds(DEMO, 6, 51.0, 0)],
            State.WARN,
            "6 objects in hand, the oldest for 51 s",
            "ChandleryBrokerHanging",
        ),
        (
            [BrokerRounds(DEMO, 6, 2.0, 6)],
            State.WARN,
            "demo fails, or does not answer: 6 objects",
            "broker=demo,outcome=InProgress",
        ),
        ([BrokerRounds(DEMO, 0, 0.0, 1)], State.OK, "", ""),
        (
            [BrokerRounds("broker:/fails", 0, 0.0, 9), BrokerRounds("broker:team-a/hangs", 1, 30.0, 1)],
            State.WARN,
            "team-a/hangs does not answer, or is slow: 1 object in hand, 1 of them again",
            "broker=team-a/hangs,outcome=InProgress",
        ),
    ],
)
def test_a_service_broker_that_hangs_or_fails_is_named_with_the_way_to_whom_it_hurts(
    rounds: list[BrokerRounds], state: State, said: str, section: str
) -> None:
    found = broker_verdicts.calls(rounds)
    assert (found.state, said in found.message, section in found.remedy) == (state, True, True)


@pytest.mark.parametrize(
    ("lane", "said", "command"),
    [
        (DEMO, "1 service broker are paused, because they fail: demo for 5 min", "clusterservicebroker demo"),
        ("broker:team-a/mine", "team-a/mine for 5 min", "servicebroker mine -n team-a"),
    ],
)
def test_service_brokers_that_are_left_alone_are_named(lane: str, said: str, command: str) -> None:
    held = [HeldCircuit(lane, "a", 10.0), HeldCircuit(lane, "b", 300.0)]
    found = broker_verdicts.circuits(held)
    assert (found.state, said in found.message, command in found.remedy) == (State.WARN, True, True)
    assert broker_verdicts.circuits([]).state is State.OK


@pytest.mark.parametrize(("limit", "workers", "state"), [(None, 9, State.UNUSED), (4, 4, State.OK), (4, 5, State.WARN)])
def test_a_service_broker_takes_a_call_from_each_worker(limit: int | None, workers: int, state: State) -> None:
    assert broker_verdicts.shares([BrokerShare(DEMO, limit)], workers=workers).state is state
