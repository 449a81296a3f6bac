"""The circuit breaker as a table: what happens, second by second, and what may be done then."""

from datetime import UTC, datetime, timedelta

import pytest

from chandlery.retry.circuit import Circuit, CircuitPolicy, CircuitState, Permit

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
POLICY = CircuitPolicy(failures=4, open_for=timedelta(seconds=30), probe_for=timedelta(seconds=60))
CALL, PROBE, WAIT = Permit.CALL, Permit.PROBE, Permit.WAIT

Step = tuple[float, str]
"""At this second: `fail <object>`, `probe`, `fail probe`, `succeed`, `unclear` (a probe without a result), `hasten`."""

FOUR: list[Step] = [(0, "fail a"), (1, "fail b"), (2, "fail c"), (3, "fail a")]


def lived(steps: list[Step], policy: CircuitPolicy = POLICY) -> Circuit:
    """The circuit after these steps."""
    circuit = Circuit(policy=policy)
    for second, step in steps:
        now = NOW + timedelta(seconds=second)
        match step.split():
            case ["probe"]:
                assert circuit.permit(now) == PROBE
                circuit = circuit.probed(now)
            case ["fail", "probe"]:
                circuit = circuit.failed(now, "p", why="still down", is_probe=True)
            case ["fail", name]:
                circuit = circuit.failed(now, name, why=f"{name} failed")
            case ["succeed"]:
                circuit = circuit.succeeded()
            case ["unclear"]:
                circuit = circuit.unprobed()
            case ["hasten"]:
                circuit = circuit.hastened(now)
    return circuit


@pytest.mark.parametrize(
    ("steps", "second", "permit"),
    [
        pytest.param([], 0, CALL, id="nothing known"),
        pytest.param(FOUR[:3], 2, CALL, id="one failure short"),
        pytest.param(FOUR, 3, WAIT, id="four in a row"),
        pytest.param([*FOUR[:3], (2.5, "succeed"), FOUR[3]], 3, CALL, id="an answer begins the count anew"),
        pytest.param([(n, "fail a") for n in range(50)], 50, CALL, id="one object alone says little"),
        pytest.param([(n, f"fail {n % 2}") for n in range(50)], 50, CALL, id="nor do two"),
        pytest.param(
            [*((n, "fail a") for n in range(50)), (51, "fail b"), (52, "fail c")], 52, WAIT, id="a third does"
        ),
        pytest.param(FOUR, 32.9, WAIT, id="its time is not up"),
        pytest.param(FOUR, 33, PROBE, id="its time is up"),
        pytest.param([*FOUR, (33, "probe")], 34, WAIT, id="one probe at a time"),
        pytest.param([*FOUR, (33, "probe")], 93, PROBE, id="a probe of which nothing is heard counts for nothing"),
        pytest.param([*FOUR, (33, "probe"), (40, "unclear")], 40, PROBE, id="a probe without a result is made again"),
        pytest.param([*FOUR, (33, "probe"), (40, "fail probe")], 69.9, WAIT, id="the probe failed"),
        pytest.param([*FOUR, (33, "probe"), (40, "fail probe")], 70, PROBE, id="and so on"),
        pytest.param([*FOUR, (33, "probe"), (40, "succeed")], 40, CALL, id="the probe was answered"),
        pytest.param([*FOUR, (20, "fail b")], 33, PROBE, id="a late failure makes it no longer"),
        pytest.param([*FOUR, (33, "probe"), (34, "fail b")], 35, WAIT, id="nor ends the probe"),
        pytest.param([*FOUR, (20, "succeed")], 20, CALL, id="a late answer closes it"),
        pytest.param([*FOUR, (10, "hasten")], 10, PROBE, id="others were answered"),
        pytest.param([*FOUR, (33, "probe"), (40, "succeed"), (41, "fail a")], 41, CALL, id="closed means from nothing"),
    ],
)
def test_circuit_lets_a_call_through_or_not(steps: list[Step], second: float, permit: Permit) -> None:
    assert lived(steps).permit(NOW + timedelta(seconds=second)) == permit


@pytest.mark.parametrize(
    ("policy", "opens_at"),
    [
        (CircuitPolicy(failures=10), 10),
        (CircuitPolicy(failures=3), 3),
        (CircuitPolicy(failures=2), 2),
        (CircuitPolicy(failures=1), 1),
        (CircuitPolicy(failures=0), None),
    ],
)
def test_circuit_opens_after_as_many_failures_as_its_policy_says(policy: CircuitPolicy, opens_at: int | None) -> None:
    counts = [n for n in range(1, 30) if lived([(0, f"fail {each}") for each in range(n)], policy).is_open]

    assert min(counts, default=None) == opens_at


def test_state_of_a_circuit_is_told_in_the_words_of_the_pattern() -> None:
    circuit = lived(FOUR)
    states = [circuit.state(NOW + timedelta(seconds=second)) for second in (10, 40)]

    assert [Circuit(policy=POLICY).state(NOW), *states] == [
        CircuitState.CLOSED,
        CircuitState.OPEN,
        CircuitState.HALF_OPEN,
    ]


def test_circuit_remembers_since_when_it_is_open_and_what_failed_last() -> None:
    circuit = lived([*FOUR, (33, "probe"), (40, "fail probe")])

    assert circuit.opened_at == NOW + timedelta(seconds=3)
    assert circuit.retry_at == NOW + timedelta(seconds=70)
    assert (circuit.failures, circuit.last_failure) == (4, "still down")


def test_circuit_remembers_no_more_objects_than_it_needs() -> None:
    policy = CircuitPolicy(failures=10_000)

    assert len(lived([(0, f"fail {each}") for each in range(1_000)], policy).objects) == 3
