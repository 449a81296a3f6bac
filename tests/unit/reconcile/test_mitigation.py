"""The table of orphan mitigation, row by row (OSB v2.17): verb, answer, whether a deletion follows."""

from typing import Any

import orjson
import pytest

from chandlery.osb.answers.answers_reading import read_answer
from chandlery.osb.transport.http_call import HttpCall, HttpReply
from chandlery.reconcile.answers import Answer, Verb, Verdict
from chandlery.reconcile.operation.mitigation import needs_mitigation

PROVISION, BIND, UPDATE = Verb.PROVISION, Verb.BIND, Verb.UPDATE
DEPROVISION, UNBIND = Verb.DEPROVISION, Verb.UNBIND
POLL_INSTANCE, POLL_BINDING = Verb.POLL_INSTANCE, Verb.POLL_BINDING
CREATIONS = [PROVISION, BIND]
DELETIONS = [DEPROVISION, UNBIND]
POLLS = [POLL_INSTANCE, POLL_BINDING]
READS = [Verb.GET_CATALOG, Verb.GET_INSTANCE, Verb.GET_BINDING]
CHANGES = [*CREATIONS, UPDATE, *DELETIONS]
EVERYTHING = list(Verb)
VALID: dict[Verb, Any] = {verb: {"state": "succeeded"} if verb in POLLS else {} for verb in EVERYTHING}
BAD = b"<html>"
REDIRECTS = [300, 301, 302, 303, 307, 308]
REJECTIONS = [400, 401, 403, 404, 405, 409, 410, 412, 413, 415, 418, 422, 429, 431, 451]
SERVER_ERRORS = [500, 501, 502, 503, 504, 507, 599]
OTHER_SUCCESSES = [203, 204, 205, 206, 226, 299]


def answer(verb: Verb, status: int, body: Any = None) -> Answer:
    """As the client reads it."""
    text = body if isinstance(body, bytes) else orjson.dumps(VALID[verb] if body is None else body)
    return read_answer(
        HttpCall(verb=verb, method="X", target="/", asked_async=verb not in POLLS), HttpReply(status=status, body=text)
    )


def rows(number: int, verbs: list[Verb], statuses: list[int], body: Any = None, *, mitigate: bool) -> list[Any]:
    """One row of the table, for each verb and status it speaks of."""
    return [
        pytest.param(verb, status, body, mitigate, id=f"row {number} {verb} {status}")
        for verb in verbs
        for status in statuses
    ]


TABLE: list[Any] = [
    *rows(147, EVERYTHING, [200], mitigate=False),
    *rows(148, EVERYTHING, [200], BAD, mitigate=False),
    *rows(149, [POLL_INSTANCE], [200], {"state": "failed"}, mitigate=True),
    *rows(150, [POLL_BINDING], [200], {"state": "failed"}, mitigate=True),
    *rows(151, EVERYTHING, [201], mitigate=False),
    *rows(152, [PROVISION], [201], BAD, mitigate=True),
    *rows(153, [BIND], [201], BAD, mitigate=True),
    *rows(154, CHANGES, [202], {"operation": "key"}, mitigate=False),
    *rows(155, [PROVISION], [202], BAD, mitigate=True),
    *rows(156, [BIND], [202], BAD, mitigate=True),
    *rows(157, [PROVISION], OTHER_SUCCESSES, mitigate=True),
    *rows(158, [BIND], OTHER_SUCCESSES, mitigate=True),
    *rows(159, [UPDATE, *POLLS, *READS], OTHER_SUCCESSES, mitigate=False),
    *rows(160, EVERYTHING, [408], mitigate=False),
    *rows(161, EVERYTHING, REJECTIONS, mitigate=False),
    *rows(162, [PROVISION], SERVER_ERRORS, mitigate=True),
    *rows(163, [BIND], SERVER_ERRORS, mitigate=True),
    *rows(164, [UPDATE, *POLLS, *READS], SERVER_ERRORS, mitigate=False),
    *rows(170, EVERYTHING, REDIRECTS, mitigate=False),
    # What is being deleted anyway is deleted again by the state machine, which needs no mitigation for that.
    *rows(157, DELETIONS, OTHER_SUCCESSES, mitigate=False),
    *rows(162, DELETIONS, SERVER_ERRORS, mitigate=False),
]


@pytest.mark.parametrize(("verb", "status", "body", "mitigate"), TABLE)
def test_an_answer_leads_to_a_mitigation_as_the_table_says(
    verb: Verb, status: int, body: Any, *, mitigate: bool
) -> None:
    assert needs_mitigation(answer(verb, status, body)) is mitigate


@pytest.mark.parametrize("verb", EVERYTHING)
def test_osb_166_to_168_a_timeout_leads_to_a_mitigation_only_of_a_creation(verb: Verb) -> None:
    assert needs_mitigation(Answer(verb=verb, verdict=Verdict.TIMED_OUT)) is (verb in CREATIONS)


@pytest.mark.parametrize("verb", EVERYTHING)
def test_osb_170_what_was_never_sent_leaves_no_orphan(verb: Verb) -> None:
    assert not needs_mitigation(Answer(verb=verb, verdict=Verdict.UNREACHABLE))


@pytest.mark.parametrize(
    "error", ["AsyncRequired", "ConcurrencyError", "RequiresApp", "MaintenanceInfoConflict", "Other"]
)
@pytest.mark.parametrize("verb", CHANGES)
def test_osb_053_and_064_an_error_code_leads_to_no_mitigation(verb: Verb, error: str) -> None:
    assert not needs_mitigation(answer(verb, 422, {"error": error}))


@pytest.mark.parametrize("verdict", [verdict for verdict in Verdict if verdict != Verdict.OPERATION_FAILED])
@pytest.mark.parametrize("verb", [UPDATE, *POLLS, *READS])
def test_osb_097_nothing_else_leads_to_a_mitigation_of_what_is_no_creation(verb: Verb, verdict: Verdict) -> None:
    for status in (None, 200, 201, 202, 204, 500):
        assert not needs_mitigation(Answer(verb=verb, verdict=verdict, status=status))
