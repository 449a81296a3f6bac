"""Bodies that are not small: counted before they are read, read as small ones are, and never more than they may be."""

import json
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chandlery.osb.answers.answers_reading import read_answer
from chandlery.osb.answers.json_bodies import read_large_object, read_object
from chandlery.osb.answers.json_budget import LONGEST_PART, LONGEST_RUN, require_within
from chandlery.osb.faults import TooManyValues, UnreadableText
from chandlery.osb.operations.requests import catalog_call
from chandlery.osb.transport.http_call import CATALOG_LIMIT, HttpCall, HttpReply
from chandlery.reconcile.answers import Verb, Verdict

MIB = 1 << 20
MANY = CATALOG_LIMIT // 32

TEXTS = st.text(alphabet=st.characters(exclude_categories=["Cs"]) | st.sampled_from('"\\{}[],:'))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXTS, inner, max_size=5),
)
OBJECTS = st.dictionaries(TEXTS, VALUES, max_size=5)


@given(document=OBJECTS, spaced=st.booleans(), is_ascii=st.booleans())
def test_large_body_is_read_as_a_small_one_is(document: Any, spaced: bool, is_ascii: bool) -> None:
    separators = (" , ", " : ") if spaced else (",", ":")
    text = json.dumps(document, separators=separators, ensure_ascii=is_ascii).encode()
    assert read_large_object(text, values=10_000) == read_object(text)


@given(document=OBJECTS)
def test_every_value_and_key_is_counted(document: Any) -> None:
    text = orjson.dumps(document) if _fits(document) else json.dumps(document).encode()
    least = _opens_and_commas(document)
    require_within(text, values=least)
    with pytest.raises(TooManyValues):
        require_within(text, values=least - 1)


def _fits(document: Any) -> bool:
    try:
        orjson.dumps(document)
    except TypeError:
        return False
    return True


def _opens_and_commas(value: Any) -> int:
    """What stands between values in JSON: one for each object or array, for each comma and for each colon."""
    if isinstance(value, dict):
        return 1 + max(0, len(value) - 1) + len(value) + sum(map(_opens_and_commas, value.values()))
    if isinstance(value, list):
        return 1 + max(0, len(value) - 1) + sum(map(_opens_and_commas, value))
    return 0


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b'{"a":NaN}', id="NaN"),
        pytest.param(b'{"a":-Infinity}', id="infinity"),
        pytest.param(b'{"a":1e400}', id="beyond a double"),
        pytest.param(b'{"a":"\\ud800"}', id="half a character"),
        pytest.param(b'{"a":"\\ud800x\\udc00"}', id="two halves apart"),
        pytest.param(b'{"a":"\\udc00\\ud800"}', id="two halves the other way round"),
        pytest.param(b'{"a":"\\\\\\ud800"}', id="half a character after a backslash"),
        pytest.param(b'\xef\xbb\xbf{"a":1}', id="byte order mark"),
        pytest.param('{"a":"ü"}'.encode("latin-1"), id="no UTF-8"),
        pytest.param('{"a":1}'.encode("utf-16"), id="UTF-16"),
        pytest.param(b'{"a":' + b"1" * 5000 + b"}", id="5000 digits"),
        pytest.param(b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}", id="5000 levels"),
        pytest.param(b'{"a":' + b"[" * 150 + b"]" * 150 + b"}", id="150 levels"),
        pytest.param(b"[1]", id="no object"),
        pytest.param(b'{"a":1,"a":2}', id="a key twice"),
        pytest.param(b'{"a":"', id="half a text"),
        pytest.param(b'{"a":"\\', id="half an escape"),
    ],
)
def test_large_body_is_refused_where_a_small_one_is(text: bytes) -> None:
    with pytest.raises(UnreadableText):
        read_object(text, unique_keys=True)
    with pytest.raises(UnreadableText):
        read_large_object(text, values=100_000, unique_keys=True)


@pytest.mark.parametrize("text", ["\\ud83d\\ude00", "\\\\ud800", "\\\\\\ud83d\\ude00 \\n"])
def test_whole_characters_and_escaped_backslashes_are_fine(text: str) -> None:
    body = f'{{"a":"{text}"}}'.encode()
    assert read_large_object(body, values=10) == json.loads(body)


def _listed(part: bytes, count: int) -> bytes:
    return b'{"services":[' + (part + b",") * (count - 1) + part + b"]}"


# Made only by the test that sends it: together they are 180 MB, in each process that collects tests.
HOSTILE: dict[str, Callable[[], bytes]] = {
    "empty arrays": lambda: _listed(b"[]", 8_000_000),
    "empty arrays and objects": lambda: _listed(b'[[],[],[],[],{},"}"]', 800_000),
    "empty arrays between texts of braces": lambda: _listed(b'"}",[]', 1_000_000),
    "brackets": lambda: b'{"services":' + b"[" * (16 * MIB),
    "blanks": lambda: b'{"services":[]' + b" " * (15 * MIB) + b"}",
    "one text": lambda: b'{"services":"' + b"x" * (15 * MIB) + b'"}',
    "one text of escapes": lambda: b'{"services":"' + b"\\n" * (7 * MIB) + b'"}',
    "one text of quotes": lambda: b'{"services":"' + b'\\"' * (7 * MIB) + b'"}',
    "texts of escapes without an object": lambda: b'{"services":[' + (b'"' + b"\\n" * 500_000 + b'",') * 15 + b"0]}",
    "one number": lambda: b'{"services":' + b"1" * (15 * MIB) + b"}",
    "one object": lambda: b"{" + b",".join(b'"%d":{}' % number for number in range(200_000)) + b"}",
    "many objects": lambda: _listed(b"{}", 2_000_000),
}


@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE)
def test_catalog_that_would_take_too_much_memory_is_not_made_into_objects(make: Callable[[], bytes]) -> None:
    call = catalog_call(None)
    body = make()[: call.answer_limit]
    tracemalloc.start()
    try:
        answer = read_answer(call, HttpReply(status=200, body=body))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (answer.verdict, answer.is_too_large, answer.body) == (Verdict.MALFORMED, True, {})
    assert peak < 100 * MIB, "the first of these became more than a gigabyte"


@pytest.mark.parametrize("verb", [verb for verb in Verb if verb != Verb.GET_CATALOG])
def test_other_answers_may_have_fewer_values(verb: Verb) -> None:
    call = HttpCall(verb=verb, method="X", target="/", asked_async=True)
    answer = read_answer(call, HttpReply(status=200, body=b'{"credentials":{"a":[' + b"{}," * 60_000 + b"{}]}}"))
    assert answer.verdict == Verdict.MALFORMED
    assert answer.description == "the body of 180,026 bytes has more than 50,000 values"


def test_answer_that_is_too_long_tells_how_long_it_is_and_may_be() -> None:
    told = read_answer(catalog_call(None), HttpReply(status=200, body=None, length=30_000_000))
    assert told.description == "the body has 30,000,000 bytes and may have 16,777,216 bytes"
    untold = read_answer(catalog_call(None, limit=MIB), HttpReply(status=200, body=None))
    assert untold.description == "the body is longer than 1,048,576 bytes"
    assert told.is_too_large and untold.is_too_large


def test_error_with_a_long_body_is_an_error_like_others() -> None:
    answer = read_answer(catalog_call(None), HttpReply(status=500, body=None, length=30_000_000))
    assert (answer.verdict, answer.is_too_large) == (Verdict.BROKEN, False)


@pytest.mark.parametrize(
    ("text", "is_fine"),
    [
        pytest.param(b"[" + b"0," * (LONGEST_RUN - 2) + b"0]", True, id="values in a row"),
        pytest.param(b"[" + b"0," * LONGEST_RUN + b"0]", False, id="one too many in a row"),
        pytest.param(b"[" + b'0,{"a":0},' * LONGEST_RUN + b"0]", True, id="with objects among them"),
        pytest.param(b'"' + b"x" * (LONGEST_PART - 2) + b'"', True, id="long text"),
        pytest.param(b'"' + b"x" * (LONGEST_PART + 2) + b'"', False, id="text that is too long"),
        pytest.param(b'"' + b'\\"' * LONGEST_PART + b'"', False, id="text of escapes that is too long"),
    ],
)
def test_what_is_read_in_one_piece_is_bounded(text: bytes, is_fine: bool) -> None:
    if is_fine:
        require_within(text, values=10 * LONGEST_RUN)
        return
    with pytest.raises(TooManyValues):
        require_within(text, values=10 * LONGEST_RUN)


def test_counting_takes_time_that_grows_with_the_length_only() -> None:
    # Quadratic, these took minutes.
    began = time.process_time()
    for text in (b'"' + b"\\\\" * 500_000 + b'"', b'"\\"' * 300_000, b"}" * MIB, b'""' * (MIB // 2)):
        require_within(text, values=MANY)
    assert time.process_time() - began < 30
