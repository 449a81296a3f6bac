"""Parameters: merged, shown, and told apart by a checksum that Go would compute as well."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chandlery.model.faults import ParametersFault
from chandlery.reconcile.parameters.parameters import NO_PARAMETERS, checksum, merge_parameters

SECRET = 'Secret "ns/db" key "json"'
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def test_no_parameters_have_no_checksum() -> None:
    assert merge_parameters(None, ()) == merge_parameters({}, ()) == NO_PARAMETERS
    assert checksum({}) == ""


def test_parameters_of_the_manifest_and_of_secrets_are_merged() -> None:
    merged = merge_parameters({"size": 3}, [(SECRET, b'{"user": "admin"}'), ("other", b'{"word": "sesame"}')])

    assert merged.sent == {"user": "admin", "word": "sesame", "size": 3}
    assert merged.shown == {"user": "<redacted>", "word": "<redacted>", "size": 3}


def test_a_secret_changes_the_checksum_but_not_what_is_shown() -> None:
    before = merge_parameters(None, [(SECRET, b'{"word": "sesame"}')])
    after = merge_parameters(None, [(SECRET, b'{"word": "mellon"}')])

    assert before.checksum != after.checksum
    assert before.shown == after.shown


def test_nested_values_of_a_secret_are_hidden_as_a_whole() -> None:
    assert merge_parameters(None, [(SECRET, b'{"db": {"user": "admin"}}')]).shown == {"db": "<redacted>"}


@pytest.mark.parametrize(
    ("inline", "secrets"),
    [
        pytest.param({"word": 1}, [(SECRET, b'{"word": 1}')], id="manifest and secret"),
        pytest.param(None, [(SECRET, b'{"word": 1}'), ("other", b'{"word": 2}')], id="two secrets"),
        pytest.param(None, [(SECRET, b'{"word": 1}'), (SECRET, b'{"word": 1}')], id="one secret twice"),
    ],
)
def test_a_key_given_twice_is_refused_by_its_name(
    inline: dict[str, int] | None, secrets: list[tuple[str, bytes]]
) -> None:
    with pytest.raises(ParametersFault, match="duplicate entry for parameter word"):
        merge_parameters(inline, secrets)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"sesame", id="no JSON"),
        pytest.param(b'"sesame"', id="string"),
        pytest.param(b"[1]", id="list"),
        pytest.param(b"null", id="null"),
        pytest.param(b'{"word": "sesame"', id="cut off"),
        pytest.param(b'{"word": "sesame\xff"}', id="not UTF-8"),
        pytest.param(b'{"word": NaN}', id="NaN"),
        pytest.param(b'{"word": -Infinity}', id="infinity"),
        pytest.param(b'{"word": 1e999}', id="beyond any float"),
        pytest.param(b'{"word": "\\ud800 sesame"}', id="half a character"),
        pytest.param(b'{"word": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", id="too deep"),
    ],
)
def test_a_secret_without_a_json_object_is_refused_without_showing_it(text: bytes) -> None:
    with pytest.raises(ParametersFault) as caught:
        merge_parameters(None, [(SECRET, text)])

    assert SECRET in caught.value.message
    assert "sesame" not in caught.value.message
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        pytest.param({"b": 1, "a": [True, None]}, '{"a":[true,null],"b":1}', id="sorted and compact"),
        pytest.param({"a": {"z": 1, "b": 2}}, '{"a":{"b":2,"z":1}}', id="sorted inside"),
        pytest.param({"a": "<&>"}, r'{"a":"\u003c\u0026\u003e"}', id="HTML characters"),
        pytest.param({"a": "\u2028\u2029"}, r'{"a":"\u2028\u2029"}', id="line separators"),
        pytest.param({"a": "größe ⚓"}, '{"a":"größe ⚓"}', id="UTF-8"),
        pytest.param({"a": 'q"\\'}, r'{"a":"q\"\\"}', id="quotes"),
    ],
)
def test_the_checksum_is_that_of_the_text_that_go_writes(parameters: dict[str, object], text: str) -> None:
    assert checksum(parameters) == hashlib.sha256(text.encode()).hexdigest()


@given(st.dictionaries(st.text(), JSON, min_size=1))
def test_the_checksum_does_not_depend_on_the_order_of_keys(parameters: dict[str, object]) -> None:
    backwards = dict(reversed(parameters.items()))

    assert checksum(parameters) == checksum(backwards)
    assert len(checksum(parameters)) == 64


def test_half_a_character_in_the_manifest_stops_nothing() -> None:
    assert len(checksum({"a": "\ud800"})) == 64


def test_parameters_stay_out_of_the_repr() -> None:
    assert "sesame" not in repr(merge_parameters({"word": "sesame"}, ()))


def test_merging_leaves_the_manifest_as_it_is() -> None:
    inline = {"size": 3}

    merge_parameters(inline, [(SECRET, b'{"word": 1}')])

    assert inline == {"size": 3}
