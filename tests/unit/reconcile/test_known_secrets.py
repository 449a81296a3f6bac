"""Secret values are struck out of a broker's words, in every form in which one quotes them."""

import base64
import html
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from chandlery.model.text.clean_text import clean_text
from chandlery.reconcile.answers import Answer, Verb, Verdict
from chandlery.reconcile.secrecy.known_secrets import FORGOTTEN, STRUCK, WITHHELD, KnownSecrets

ODD = 'p@ss "word"/<ä>'
PEM = "-----BEGIN KEY-----\nMIIEvQIBADANBg\nkqhkiG9w0BAQEF\n-----END KEY-----\n"


@pytest.mark.parametrize(
    "quoted",
    [
        pytest.param(ODD, id="as it is"),
        pytest.param(json.dumps({"password": ODD}), id="JSON"),
        pytest.param(json.dumps({"password": ODD}, ensure_ascii=False), id="JSON in UTF-8"),
        pytest.param(f"https://example.com/?q={quote(ODD, safe='')}", id="percent-encoded"),
        pytest.param(quote(ODD, safe="").lower(), id="percent-encoded in lower case"),
        pytest.param(quote_plus(ODD), id="a form's value"),
        pytest.param(html.escape(ODD), id="HTML"),
        pytest.param(base64.b64encode(ODD.encode()).decode(), id="base64"),
        pytest.param(base64.urlsafe_b64encode(ODD.encode()).decode().rstrip("="), id="base64 for URLs"),
        pytest.param(ODD.encode().hex(), id="hex"),
        pytest.param(json.dumps(json.dumps({"password": ODD})), id="JSON in JSON"),
        pytest.param(repr(ODD + "'")[:-2], id="Python"),
        pytest.param(html.escape(ODD).replace("&quot;", "&#34;"), id="HTML with numbers"),
    ],
)
def test_a_value_is_struck_however_it_is_quoted(quoted: str) -> None:
    struck = KnownSecrets([{"password": ODD}]).strike(f"no such user: {quoted}!")
    assert STRUCK in struck
    assert quoted not in struck
    assert "word" not in struck.replace("password", "")
    assert struck.startswith("no such user: ")


@pytest.mark.parametrize(
    ("secrets", "words", "struck"),
    [
        pytest.param(["abc"], "abc", "abc", id="three characters are left"),
        pytest.param(["abcd"], "xabcdx", f"x{STRUCK}x", id="four are struck, within words too"),
        pytest.param([4711], "pin 4711, port 47110, v1.4711", f"pin {STRUCK}, port 47110, v1.4711", id="whole numbers"),
        pytest.param([True, None, ""], "True None", "True None", id="nothing to look for"),
        pytest.param([{"a": [{"b": "deep-down"}]}], "is deep-down", f"is {STRUCK}", id="at any depth"),
        pytest.param(["secret", "secret-longer"], "secret-longer", STRUCK, id="the longest first"),
        pytest.param([PEM], f"bad key: {clean_text(PEM, longest=999)}", f"bad key: {STRUCK}", id="lines made one"),
        pytest.param([PEM], "at MIIEvQIBADANBg", f"at {STRUCK}", id="a line of several"),
        pytest.param(["hunter2-value"], "wrong: hunter2-v…", f"wrong: {STRUCK}…", id="cut off at the end"),
        pytest.param(["hunter2-value"], "wrong: hun…", "wrong: hun…", id="too little of it to tell"),
        pytest.param([" padded \n"], "is padded", f"is {STRUCK}", id="without its margins"),
    ],
)
def test_words_are_left_but_for_the_values(secrets: list[object], words: str, struck: str) -> None:
    assert KnownSecrets(secrets).strike(words) == struck


@given(value=st.text(min_size=4), before=st.text(), after=st.text())
def test_no_value_is_left_wherever_it_stands(value: str, before: str, after: str) -> None:
    value = value.strip()
    assume(len(value) >= 4 and value not in STRUCK)
    struck = KnownSecrets([value]).strike(before + value + after)
    assert value not in struck.replace(STRUCK, "\0")


def test_more_values_than_can_be_looked_for_have_the_words_withheld() -> None:
    many = KnownSecrets([{str(number): f"value-{number}" for number in range(501)}])
    assert many.strike("value-1 is wrong") == WITHHELD


def test_credentials_of_an_answer_are_struck_from_its_words_and_left_in_its_body() -> None:
    body = {"credentials": {"password": "hunter2"}, "description": "use hunter2"}
    answer = Answer(verb=Verb.BIND, verdict=Verdict.SUCCEEDED, error="hunter2", description="use hunter2", body=body)
    told = answer.knowing(KnownSecrets(["other-secret"])).struck()
    assert (told.error, told.description, told.body) == (STRUCK, f"use {STRUCK}", body)
    assert told.secrets.strike("hunter2 other-secret") == f"{STRUCK} {STRUCK}"
    assert "hunter2" not in repr(told)


def test_texts_of_a_document_are_struck_at_any_depth() -> None:
    document = {"labels": {"a": "hunter2"}, "list": ["x hunter2", 1], "n": None}
    expected = {"labels": {"a": STRUCK}, "list": [f"x {STRUCK}", 1], "n": None}
    assert KnownSecrets(["hunter2"]).struck_from(document) == expected


def test_where_not_all_values_are_known_nothing_that_is_said_is_shown() -> None:
    some = KnownSecrets(["value"], are_all=False)
    for known in (some, some.and_those_of("another")):
        assert known.strike("not while old-password is in use") == FORGOTTEN
        assert known.strike("") == ""
        assert known.struck_from({"description": "old-password"}) == {}
