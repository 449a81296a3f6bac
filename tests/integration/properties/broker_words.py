"""What the model broker may answer to each request, kind words first, and how a word becomes an answer.

A word is an HTTP status, a state of `last_operation`, or a name for something worse. The real reader reads them all.
"""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from chandlery.osb.answers.answers_reading import read_answer
from chandlery.osb.operations.requests import OsbRequest, call_of
from chandlery.osb.transport.http_call import HttpReply
from chandlery.reconcile.answers import Answer, Verb, Verdict

Word = int | str

UNREACHABLE, TIMEOUT, BUSY = "unreachable", "timeout", "busy"
UNUSABLE, UNREPEATABLE, MUTE = "500, unusable", "422, not repeatable", "200 without credentials"
CLEAR_FAILURES: Final[list[Word]] = [422, 400, 401, 404, 409, 429, 302, BUSY, UNREACHABLE]
"""Nothing has changed at the broker."""
UNCLEAR: Final[list[Word]] = [500, 503, 204, TIMEOUT]
"""Nobody knows."""
_MALFORMED: Final[list[Word]] = ["malformed 201", "malformed 202", "malformed 200"]
_CREATIONS: Final[list[Word]] = [
    201,
    201,
    201,
    201,
    201,
    202,
    202,
    202,
    202,
    200,
    *UNCLEAR,
    *CLEAR_FAILURES,
    *_MALFORMED,
]
_DELETIONS: Final[list[Word]] = [200, 200, 200, 202, 202, 202, 410, *UNCLEAR, *CLEAR_FAILURES]
_POLLS: Final[list[Word]] = [
    *["succeeded"] * 4,
    *["failed"] * 3,
    *["in progress"] * 3,
    "weird",
    410,
    *UNCLEAR,
    *CLEAR_FAILURES,
]
WORDS: Final[Mapping[Verb, list[Word]]] = {
    Verb.PROVISION: [*_CREATIONS, 410],
    Verb.BIND: [*_CREATIONS, 410, MUTE, MUTE],
    Verb.UPDATE: [*[200] * 4, *[202] * 4, UNUSABLE, UNREPEATABLE, "malformed 200", 410, *UNCLEAR, *CLEAR_FAILURES],
    Verb.DEPROVISION: _DELETIONS,
    Verb.UNBIND: _DELETIONS,
    Verb.POLL_INSTANCE: _POLLS,
    Verb.POLL_BINDING: _POLLS,
    Verb.GET_INSTANCE: [*[200] * 5, 404, 500],
    Verb.GET_BINDING: [*[200] * 5, MUTE, 404, 404, 410, *UNCLEAR, *CLEAR_FAILURES],
}
CATALOG_WORDS: Final[list[Word]] = [*[200] * 20, 500, 404, TIMEOUT, UNREACHABLE, "malformed 200"]


def is_unclear(word: Word) -> bool:
    """Whether the broker may have done what it was asked for although it does not say so."""
    return word in UNCLEAR or word == UNUSABLE or str(word).startswith("malformed")


def answer_to(request: OsbRequest, word: Word, body: Mapping[str, Any]) -> Answer:
    """The answer that the platform reads; `body` is what a good one says."""
    if word == UNREACHABLE:
        return Answer(verb=request.verb, verdict=Verdict.UNREACHABLE, description="connection refused")
    if word == TIMEOUT:
        return Answer(verb=request.verb, verdict=Verdict.TIMED_OUT, description="no answer in time")
    return read_answer(call_of(request), _reply(word, body))


def _reply(word: Word, body: Mapping[str, Any]) -> HttpReply:
    if word == BUSY:
        return _json(422, {"error": "ConcurrencyError"})
    if word == UNUSABLE:
        return _json(500, {"instance_usable": False})
    if word == UNREPEATABLE:
        return _json(422, {"update_repeatable": False})
    if word == MUTE:
        return _json(200, {})
    if isinstance(word, int):
        return _json(word, body if word < 300 else {"description": "so it is"}, later=word == 429)
    if word.startswith("malformed"):
        return HttpReply(status=int(word.split()[1]), body=b"<html>")
    return _json(200, {"state": word})


def _json(status: int, body: Mapping[str, Any], *, later: bool = False) -> HttpReply:
    return HttpReply(status=status, body=orjson.dumps(body), retry_after="30" if later else None)
