"""JSON in and out: exact for integers of any size, strict about everything else."""

import json
from typing import Any

import pytest

from chandlery.model.json.json_text import MOST_DIGITS, NotJson, read_json, write_json

TOO_LARGE = "a number in it is too large: integers may have 1300 digits, fractions must fit a double"


@pytest.mark.parametrize(
    "number",
    [
        0,
        2**63 - 1,
        2**63,
        2**64 - 1,
        2**64,
        -(2**63),
        -(2**63) - 1,
        123456789012345678901,
        10**308,
        10**309,
        10**MOST_DIGITS - 1,
        -(10**MOST_DIGITS) + 1,
        1.5,
        1e22,
        1e308,
        5e-324,
    ],
    ids=lambda number: str(number)[:24],
)
def test_a_number_comes_out_as_it_went_in(number: float) -> None:
    text = write_json({"number": number, "numbers": [number]})
    assert text == b'{"number":%s,"numbers":[%s]}' % ((repr(number).encode(),) * 2)
    for form in (text, text.decode()):
        read = read_json(form)
        assert read == {"number": number, "numbers": [number]}
        assert type(read["number"]) is type(number)


def test_a_number_beyond_64_bits_leaves_all_else_as_it_is() -> None:
    document = {"ü": "✓\u2028", "real": 1.5e-7, "list": [1, [], {}, None, True], "digits": "1" * 30, "huge": 2**70}
    assert read_json(write_json(document)) == document
    assert read_json(json.dumps(document)) == document


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"1" * (MOST_DIGITS + 1), TOO_LARGE),
        (b"[1e400]", TOO_LARGE),
        (b"[-1e400]", TOO_LARGE),
        (b"[1e400,%d]" % 2**64, TOO_LARGE),
        (b"%d.5" % 10**400, TOO_LARGE),
        (b"[NaN]", "expected a JSON value"),
        (b"[Infinity]", "expected a JSON value"),
        (b"[NaN,%d]" % 2**64, "expected"),
        (b'"\\ud800"', "surrogate"),
        (b'["\\ud800",%d]' % 2**64, ""),
        (b'"\xff"', "UTF-8"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        (b"", "empty"),
        (b"[1,]", "comma"),
        (b"[%d,]" % 2**64, "comma"),
        (b"01", "leading zero"),
        (b"[" * 2000 + b"]" * 2000, "depth"),
    ],
    ids=lambda text: repr(text[:16]),
)
def test_what_is_no_json_is_refused_with_a_reason_that_quotes_nothing(text: bytes, problem: str) -> None:
    for form in (text, text.decode(errors="surrogateescape")):
        with pytest.raises(NotJson) as refused:
            read_json(form)
        assert problem in refused.value.problem
        assert refused.value.is_number == (problem == TOO_LARGE)
        assert refused.value.__cause__ is refused.value.__context__ is None


def test_place_of_a_fault_is_told() -> None:
    with pytest.raises(NotJson) as refused:
        read_json(b'{"a": 1,\n "b": oops}')
    assert (refused.value.line, refused.value.column) == (2, 7)


def test_half_a_character_is_written_as_an_escape() -> None:
    assert write_json({"half": "\ud800", "huge": 2**70}) == b'{"half":"\\ud800","huge":1180591620717411303424}'


@pytest.mark.parametrize("inner", [1, 2**70])
def test_keys_are_sorted_on_demand(inner: int) -> None:
    assert write_json({"b": {"d": inner, "c": 2}, "a": 3}, sort_keys=True) == (b'{"a":3,"b":{"c":2,"d":%d}}' % inner)


def test_what_is_too_deep_is_not_written() -> None:
    deep: Any = 1
    for _ in range(300):
        deep = [deep]
    with pytest.raises(RecursionError):
        write_json(deep)
