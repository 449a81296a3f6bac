"""Names of classes and plans, label values, and what Kubernetes accepts as a name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chandlery.model.text.names import label_problem, label_value, name_from_external_id, subdomain_problem

UUID = "4f6e6cf6-ffdd-425f-a2c7-3c9258ad2468"


@pytest.mark.parametrize(
    ("external_id", "name"),
    [
        pytest.param(UUID, UUID, id="a UUID stays as it is"),
        pytest.param("contains-escape-char-z", "contains-escape-char-z7az", id="the escape character"),
        pytest.param("ContainsCaps", "z43zontainsz43zaps", id="capitals"),
        pytest.param(
            ".starts-and-ends-with-periods.", "z2ezstarts-and-ends-with-periodsz2ez", id="periods at the ends"
        ),
        pytest.param("-starts-and-ends-", "z2dzstarts-and-endsz2dz", id="hyphens at the ends"),
        pytest.param("adjacent.-specialchars", "adjacent.z2dzspecialchars", id="hyphen after period"),
        pytest.param(
            "otherorderadjacent-.specialchars", "otherorderadjacent-z2ezspecialchars", id="period after hyphen"
        ),
        pytest.param("two..periods", "two.z2ezperiods", id="period after period"),
        pytest.param("two--hyphens", "two--hyphens", id="hyphen after hyphen"),
        pytest.param("a_b/c d", "az5fzbz2fzcz20zd", id="other characters"),
        pytest.param("größe", "grzf6zzdfze", id="beyond ASCII"),
        pytest.param("⚓", "z2693z", id="beyond Latin"),
        pytest.param("-", "z2dz", id="one hyphen"),
        pytest.param("a", "a", id="one letter"),
        pytest.param("a" * 63, "a" * 63, id="just short enough"),
        pytest.param(
            "thisnameisreallyreallywaytoolonghowcouldanyonepossiblyreadthisplansname",
            "thisnameisreallyreallywaytoolo-3f54131bf8c96c7d946ee1d7a32136dd",
            id="too long",
        ),
    ],
)
def test_an_external_id_becomes_a_name_as_in_the_reference(external_id: str, name: str) -> None:
    assert name_from_external_id(external_id) == name


def test_a_long_name_loses_the_period_before_its_digest() -> None:
    name = name_from_external_id("a" * 29 + "." + "b" * 60)

    assert name.startswith("a" * 29 + "-")
    assert len(name) == 29 + 1 + 32


@given(st.text(min_size=1, max_size=100))
def test_every_external_id_becomes_a_legal_name(external_id: str) -> None:
    name = name_from_external_id(external_id)

    assert subdomain_problem(name) is None
    assert len(name) <= 63


@given(st.lists(st.text(alphabet="az.-Z5", min_size=1, max_size=12), min_size=2, max_size=6, unique=True))
def test_different_external_ids_become_different_names(external_ids: list[str]) -> None:
    assert len({name_from_external_id(external_id) for external_id in external_ids}) == len(external_ids)


def test_a_label_value_is_the_hex_of_sha_224() -> None:
    assert label_value("") == "d14a028c2a3a2bc9476102bb288234c415a2b01f828ea62ac5b3e42f"
    assert label_value("abc") == "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7"


@given(st.text())
def test_every_label_value_is_legal(raw: str) -> None:
    assert len(label_value(raw)) == 56
    assert label_problem(label_value(raw)) is None


@pytest.mark.parametrize("name", ["a", "a-b", "a.b-c.d", "0", "a" * 253])
def test_a_subdomain_is_accepted(name: str) -> None:
    assert subdomain_problem(name) is None


@pytest.mark.parametrize(
    "name", ["", "A", "-a", "a-", "a..b", ".a", "a.", "a_b", "a b", "a/b", "ä", "a\n", "a.-b", "a-.b"]
)
def test_what_is_no_subdomain_is_refused_with_the_rule(name: str) -> None:
    assert "RFC 1123 subdomain" in (subdomain_problem(name) or "")


@pytest.mark.parametrize("name", ["a", "a-b", "0", "a" * 63])
def test_a_label_is_accepted(name: str) -> None:
    assert label_problem(name) is None


@pytest.mark.parametrize("name", ["", "A", "-a", "a-", "a.b", "a_b", "a\n"])
def test_what_is_no_label_is_refused_with_the_rule(name: str) -> None:
    assert "RFC 1123 label" in (label_problem(name) or "")


def test_a_name_that_is_too_long_is_told_its_limit() -> None:
    assert subdomain_problem("a" * 254) == "must be no more than 253 characters"
    assert label_problem("a" * 64) == "must be no more than 63 characters"
