"""Every row of the reaction matrix: which HTTP reply to which request means what (OSB v2.17, "Orphan Mitigation")."""

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from chandlery.osb.answers.answers_reading import read_answer
from chandlery.osb.transport.http_call import HttpCall, HttpReply
from chandlery.reconcile.answers import NO_REASON, Verb, Verdict
from chandlery.reconcile.operation.mitigation import needs_mitigation

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
EVERYTHING = list(Verb)
CREATIONS = [Verb.PROVISION, Verb.BIND]
DELETIONS = [Verb.DEPROVISION, Verb.UNBIND]
CHANGES = [*CREATIONS, Verb.UPDATE, *DELETIONS]
POLLS = [Verb.POLL_INSTANCE, Verb.POLL_BINDING]
READS = [Verb.GET_CATALOG, Verb.GET_INSTANCE, Verb.GET_BINDING]
UNREADABLE = [b"", b"OK", b"<html>", b"[]", b"null", b'"text"', b"{", b"\xff{}", b'\xef\xbb\xbf{"a":1}', b'{"a":NaN}']


def call(verb: Verb, *, asked_async: bool = True, conditional: bool = False) -> HttpCall:
    return HttpCall(verb=verb, method="X", target="/", asked_async=asked_async, conditional=conditional)


def verdict(verb: Verb, status: int, body: Any = b"{}", **asked: bool) -> Verdict:
    text = body if isinstance(body, bytes) or body is None else orjson.dumps(body)
    return read_answer(call(verb, **asked), HttpReply(status=status, body=text), now=NOW).verdict


@pytest.mark.parametrize("verb", [*CHANGES, *READS])
def test_200_with_an_object_succeeds(verb: Verb) -> None:
    assert verdict(verb, 200, {"x-acme": [1], "operation": 17}) == Verdict.SUCCEEDED


@pytest.mark.parametrize("body", UNREADABLE)
@pytest.mark.parametrize("verb", [*CREATIONS, Verb.UPDATE, *READS, *POLLS])
def test_200_with_an_unreadable_body_is_malformed(verb: Verb, body: bytes) -> None:
    answer = read_answer(call(verb), HttpReply(status=200, body=body))
    assert answer.verdict == Verdict.MALFORMED
    assert answer.body == {}
    assert answer.description is not None
    assert not needs_mitigation(answer)


@pytest.mark.parametrize("body", [b"", b" \n", b"{}"])
@pytest.mark.parametrize("verb", DELETIONS)
def test_200_to_a_deletion_needs_no_body(verb: Verb, body: bytes) -> None:
    assert verdict(verb, 200, body) == Verdict.SUCCEEDED


@pytest.mark.parametrize("body", [*(body for body in UNREADABLE if body.strip()), None])
@pytest.mark.parametrize("verb", DELETIONS)
def test_200_with_something_else_in_it_is_no_word_of_the_broker_that_something_is_gone(
    verb: Verb, body: bytes | None
) -> None:
    """A proxy that wants people to log in answers so."""
    assert verdict(verb, 200, body) == Verdict.MALFORMED


@pytest.mark.parametrize(
    ("verb", "expected"),
    [
        *((verb, Verdict.SUCCEEDED) for verb in CREATIONS),
        *((verb, Verdict.UNEXPECTED) for verb in EVERYTHING if verb not in CREATIONS),
    ],
)
def test_201_is_a_success_for_creations_only(verb: Verb, expected: Verdict) -> None:
    assert verdict(verb, 201) == expected


@pytest.mark.parametrize("status", [201, 202])
@pytest.mark.parametrize("verb", CREATIONS)
def test_unreadable_201_or_202_to_a_creation_needs_mitigation(verb: Verb, status: int) -> None:
    answer = read_answer(call(verb), HttpReply(status=status, body=b"not json"))
    assert answer.verdict == Verdict.MALFORMED
    assert needs_mitigation(answer)


PAGE = b"<!doctype html><html><head><style>b{}</style><title>Sign\x1b[31m in</title></head><body>to <b>Acme</b></body>"


@pytest.mark.parametrize("verb", [verb for verb in EVERYTHING if verb not in DELETIONS])
def test_page_is_told_by_its_type_and_its_first_words(verb: Verb) -> None:
    answer = read_answer(call(verb), HttpReply(status=200, body=PAGE, content_type="text/html; charset=utf-8"))
    assert answer.verdict == Verdict.MALFORMED
    assert answer.description == 'the body is not valid JSON: it is text/html and begins with "Sign in to Acme"'


def test_body_without_a_type_is_told_by_its_first_words_and_cut() -> None:
    answer = read_answer(call(Verb.GET_CATALOG), HttpReply(status=200, body=b"hello " * 10_000))
    assert answer.description is not None
    assert answer.description.startswith('the body is not valid JSON: it has no content type and begins with "hello ')
    assert answer.description.endswith('…"')
    assert len(answer.description) < 220


@pytest.mark.parametrize("verb", [Verb.BIND, Verb.GET_BINDING])
def test_half_an_answer_with_credentials_is_not_quoted(verb: Verb) -> None:
    body = b'{"credentials": {"password": "hunter2"'
    answer = read_answer(call(verb), HttpReply(status=200, body=body, content_type="application/json"))
    assert answer.description == "the body is not valid JSON: it is application/json"


@pytest.mark.parametrize("verb", CHANGES)
@pytest.mark.parametrize("operation", [None, "", "svc 42", "o" * 10_000])
def test_202_with_a_legal_operation_is_accepted(verb: Verb, operation: str | None) -> None:
    answer = read_answer(call(verb), HttpReply(status=202, body=orjson.dumps({"operation": operation})))
    assert (answer.verdict, answer.operation) == (Verdict.ACCEPTED, operation)


@pytest.mark.parametrize("verb", CHANGES)
@pytest.mark.parametrize("body", [{"operation": 7}, {"operation": {}}, {"operation": "o" * 10_001}, b"", b"[]", None])
def test_202_is_malformed_when_it_cannot_be_polled(verb: Verb, body: Any) -> None:
    assert verdict(verb, 202, body) == Verdict.MALFORMED


@pytest.mark.parametrize("verb", [*CHANGES, *READS, *POLLS])
def test_202_is_unexpected_when_it_was_not_asked_for(verb: Verb) -> None:
    assert verdict(verb, 202, {"operation": "op"}, asked_async=False) == Verdict.UNEXPECTED


@pytest.mark.parametrize("status", [203, 204, 206, 226])
@pytest.mark.parametrize("verb", EVERYTHING)
def test_any_other_2xx_is_unexpected(verb: Verb, status: int) -> None:
    assert verdict(verb, status) == Verdict.UNEXPECTED
    assert verdict(verb, status, b"") == Verdict.UNEXPECTED


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
@pytest.mark.parametrize("verb", EVERYTHING)
def test_3xx_is_a_rejection(verb: Verb, status: int) -> None:
    assert verdict(verb, status, b"") == Verdict.REJECTED


def test_304_means_unchanged_only_when_a_validator_was_sent() -> None:
    assert verdict(Verb.GET_CATALOG, 304, b"", conditional=True) == Verdict.UNCHANGED
    assert verdict(Verb.GET_CATALOG, 304, b"") == Verdict.REJECTED


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 408, 409, 412, 413, 422, 429, 431])
@pytest.mark.parametrize("verb", EVERYTHING)
def test_4xx_is_a_rejection_without_mitigation(verb: Verb, status: int) -> None:
    answer = read_answer(call(verb), HttpReply(status=status, body=b"<html>no</html>"))
    assert answer.verdict == Verdict.REJECTED
    assert not needs_mitigation(answer)


@pytest.mark.parametrize("body", [*UNREADABLE, None, {"state": "in progress"}])
@pytest.mark.parametrize("verb", EVERYTHING)
def test_410_means_gone_whatever_the_body(verb: Verb, body: Any) -> None:
    assert verdict(verb, 410, body) == Verdict.GONE


@pytest.mark.parametrize("status", [500, 501, 502, 503, 504, 599])
@pytest.mark.parametrize("verb", EVERYTHING)
def test_5xx_means_broken_and_mitigation_for_creations(verb: Verb, status: int) -> None:
    answer = read_answer(call(verb), HttpReply(status=status, body=b"<h1>oops</h1>"))
    assert answer.verdict == Verdict.BROKEN
    assert needs_mitigation(answer) == (verb in CREATIONS)


@pytest.mark.parametrize("verb", POLLS)
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"state": "in progress"}, Verdict.IN_PROGRESS),
        ({"state": "succeeded", "description": ""}, Verdict.SUCCEEDED),
        ({"state": "failed", "description": "disk full"}, Verdict.OPERATION_FAILED),
        ({"state": "weird"}, Verdict.MALFORMED),
        ({"state": "Succeeded"}, Verdict.MALFORMED),
        ({"state": ["failed"]}, Verdict.MALFORMED),
        ({}, Verdict.MALFORMED),
    ],
)
def test_last_operation_is_read_by_its_state(verb: Verb, body: Any, expected: Verdict) -> None:
    assert verdict(verb, 200, body) == expected


@pytest.mark.parametrize("verb", [Verb.BIND, Verb.GET_BINDING])
@pytest.mark.parametrize("credentials", ["text", [], 0, False])
def test_credentials_that_are_no_object_are_malformed(verb: Verb, credentials: Any) -> None:
    assert verdict(verb, 200, {"credentials": credentials}) == Verdict.MALFORMED
    assert verdict(verb, 200, {"credentials": None}) == Verdict.SUCCEEDED


def test_error_code_and_description_come_from_the_broker() -> None:
    body = {"error": "ConcurrencyError", "description": "busy", "instance_usable": False}
    answer = read_answer(call(Verb.UPDATE), HttpReply(status=422, body=orjson.dumps(body)))
    assert (answer.error, answer.description, answer.body["instance_usable"]) == ("ConcurrencyError", "busy", False)
    assert answer.sentence == "Status: 422; ErrorMessage: ConcurrencyError; Description: busy"


@pytest.mark.parametrize(
    ("body", "error", "description"),
    [
        (b"<html><h1>boom</h1></html>", None, 'a page that begins with "boom"'),
        (b"<html>", None, NO_REASON),
        (b"", None, NO_REASON),
        ({"error": {"foo": "bar"}, "description": "d"}, None, "d"),
        ({"error": "E", "description": 7}, "E", None),
        ({"error": "E", "message": "no room"}, "E", "no room"),
        ({"Error": "no room"}, None, "no room"),
        ({"message": "no room", "status": 500}, None, "no room"),
        ({"detail": [{"loc": ["body"], "msg": "no room"}]}, None, "no room"),
        ({"error": {"code": 7, "message": "no room"}}, None, "no room"),
        ({"errors": ["no room", "no time"]}, None, "no room; no time"),
        ({"description": "", "message": "no\x1b[2J room"}, None, "no room"),
        ({"message": {"message": {"message": {"message": {"message": "deep"}}}}}, None, NO_REASON),
        ({"credentials": {"message": "secret"}}, None, NO_REASON),
        (b"no room\r\n", None, "no room"),
        (b"no \xff room", None, "no \ufffd room"),
        (b"x" * 100_000, None, "x" * 999 + "\u2026"),
        (b'{"credentials": {"password": "torn', None, NO_REASON),
        ({"description": "a\r\nb\x1b[31mc\x00\u202ed"}, None, "a bcd"),
        ({"description": "x" * 5000}, None, "x" * 999 + "…"),
        ({"description": " \n "}, None, NO_REASON),
    ],
)
def test_osb_012_description_is_fit_for_people_whatever_came(
    body: Any, error: str | None, description: str | None
) -> None:
    text = body if isinstance(body, bytes) else orjson.dumps(body)
    answer = read_answer(call(Verb.PROVISION), HttpReply(status=500, body=text))
    assert (answer.error, answer.description) == (error, description)


def test_our_remark_comes_before_the_brokers_words_when_the_reply_is_odd() -> None:
    answer = read_answer(call(Verb.UNBIND), HttpReply(status=204, body=b'{"description": "bye"}'))
    assert answer.description == "204 is not an answer to Unbind: bye"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        (" 120 ", 120.0),
        ("Sun, 01 Mar 2026 12:00:30 GMT", 30.0),
        ("Sunday, 01-Mar-26 12:01:00 GMT", 60.0),
        ("Sun, 01 Mar 2026 11:59:00 GMT", None),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 604_800.0),
        ("9" * 400, 604_800.0),
        ("0", None),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("7, 8", None),
        ("0x10", None),
        ("+7", None),
        ("7 seconds", None),
        ("1e3", None),
        ("Sun, 99 Mar 2026 12:00:30 GMT", None),
        ("Sun, 01 Mar 99999 12:00:30 GMT", None),
        ("Sun, 01 Mar 2026 13:00:30 +0100", 30.0),
        ("Sun Mar  1 12:00:30 2026", 30.0),
        ("2026-03-01T12:00:30Z", None),
        ("\ud800", None),
        ("x" * 100_000, None),
        ("²", None),
        ("", None),
        (None, None),
    ],
)
def test_osb_025_retry_after_becomes_seconds_from_now(header: str | None, seconds: float | None) -> None:
    reply = HttpReply(status=200, body=b'{"state": "in progress"}', retry_after=header)
    assert read_answer(call(Verb.POLL_INSTANCE), reply, now=NOW).retry_after_seconds == seconds


def test_large_integers_in_credentials_stay_exact() -> None:
    reply = HttpReply(status=201, body=b'{"credentials": {"n": 123456789012345678901234567890, "f": 1.5}}')
    assert read_answer(call(Verb.BIND), reply).body == {"credentials": {"n": 123456789012345678901234567890, "f": 1.5}}


@pytest.mark.parametrize("text", [b'{"services": [], "services": []}', b'{"services": [{"id": 1, "id": 2}]}'])
def test_catalog_with_a_key_given_twice_is_malformed(text: bytes) -> None:
    assert verdict(Verb.GET_CATALOG, 200, text) == Verdict.MALFORMED
    assert verdict(Verb.PROVISION, 200, text) == Verdict.SUCCEEDED


@pytest.mark.parametrize("verb", EVERYTHING)
def test_deeply_nested_json_is_malformed_and_not_a_crash(verb: Verb) -> None:
    text = b'{"a":' * 100_000 + b"1" + b"}" * 100_000
    assert verdict(verb, 200, text) == Verdict.MALFORMED
    assert verdict(Verb.GET_CATALOG, 200, b'{"a":' * 1000 + b"1" + b"}" * 1000) in (
        Verdict.SUCCEEDED,
        Verdict.MALFORMED,
    )


def test_credentials_are_not_in_the_repr_of_reply_or_answer() -> None:
    reply = HttpReply(status=201, body=b'{"credentials": {"password": "s3cret"}}')
    assert "s3cret" not in repr(reply) + repr(read_answer(call(Verb.BIND), reply))


@pytest.mark.parametrize(
    ("etag", "kept"), [('W/"7"', 'W/"7"'), ("", None), (None, None), ("a\udcff", None), ("a\x01", None)]
)
def test_etag_is_kept_only_when_it_can_be_sent_back(etag: str | None, kept: str | None) -> None:
    assert read_answer(call(Verb.GET_CATALOG), HttpReply(status=200, body=b"{}", etag=etag)).etag == kept


def test_a_reason_phrase_is_no_reason() -> None:
    failed = read_answer(call(Verb.POLL_INSTANCE), HttpReply(status=200, body=b'{"state": "failed"}'))
    refused = read_answer(call(Verb.PROVISION), HttpReply(status=400, body=b"{}"))
    assert failed.description == NO_REASON
    assert refused.sentence == "Status: 400; Description: the broker gave no reason"


def test_an_operation_that_failed_is_told_in_the_brokers_words_wherever_they_stand() -> None:
    body = {"state": "failed", "message": "no room"}
    answer = read_answer(call(Verb.POLL_BINDING), HttpReply(status=200, body=orjson.dumps(body)))
    assert answer.description == "no room"


@pytest.mark.parametrize("status", [200, 201, 202])
def test_what_else_a_success_says_is_not_quoted(status: int) -> None:
    answer = read_answer(call(Verb.BIND), HttpReply(status=status, body=b"password: secret"))
    assert "secret" not in answer.sentence
