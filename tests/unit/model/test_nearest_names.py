"""Which names are told to somebody who wrote one that does not exist."""

import pytest

from chandlery.model.text.names import did_you_mean, listed, nearest_names

PLANS = ["small", "smaller", "medium", "large", "Extra Large"]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        pytest.param("smal", ["small", "smaller"], id="a letter is missing"),
        pytest.param("SMALL", ["small", "smaller"], id="capital letters"),
        pytest.param("mediun", ["medium"], id="another letter"),
        pytest.param("extra-large", ["Extra Large", "large"], id="a hyphen for a space"),
        pytest.param("zzz", [], id="nothing like it"),
        pytest.param("", [], id="nothing"),
    ],
)
def test_nearest_names_come_first(name: str, found: list[str]) -> None:
    assert nearest_names(name, PLANS) == found


def test_sentence_goes_on_with_what_may_be_meant() -> None:
    assert did_you_mean("smal", PLANS) == '; did you mean "small" or "smaller"?'
    assert did_you_mean("zzz", PLANS) == ""


def test_no_more_than_a_thousand_names_are_compared_and_no_more_than_their_beginnings() -> None:
    assert nearest_names("x" * 100_000, ["x" * 100_000]) == ["x" * 100_000]
    assert nearest_names("zebra", [*(f"a{number:04}" for number in range(1_000)), "zebras"]) == []


def test_nearest_of_a_thousand_names_that_are_all_alike_is_found() -> None:
    names = [f"{'database-of-the-team-' * 3}{number:04}"[-63:] for number in range(1_000)]
    wanted = names[567]
    assert nearest_names(wanted[:30] + wanted[31:], names)[0] == wanted


def test_list_says_how_many_more_there_are() -> None:
    assert listed(["b", "a", "a"]) == '"a", "b"'
    assert listed([f"p{number}" for number in range(7)]) == '"p0", "p1", "p2", "p3", "p4" and 2 more'
    assert listed(["x" * 300]) == f'"{"x" * 200}…"'
