"""From an HTTP reply to an answer: a pure function. The client calls it; the state machines act on what comes out.

Source: OSB v2.17, the response tables of each request and "Orphan Mitigation". Where the table there and a section
differ (201 to an update or a deletion), the section wins: a status it does not list is no success. After which verdicts
something may be left at the broker is told in `reconcile/operation/mitigation.py`.
"""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from chandlery.model.objects.wire import JsonObject
from chandlery.osb.answers.broker_words import cleaned, reason_in
from chandlery.osb.answers.json_bodies import SMALL, read_large_object, read_object, told_of
from chandlery.osb.faults import TooManyValues, UnreadableText
from chandlery.osb.operations.requests import catalog_digest
from chandlery.osb.transport.http_call import HttpCall, HttpReply
from chandlery.reconcile.answers import NO_REASON, Answer, Verb, Verdict

LONGEST_SECONDS = 7 * 24 * 3600.0
"""No wait is longer than the longest operation."""


def seconds_until(header: str | None, now: datetime) -> float | None:
    """Seconds from now, for a number of seconds or an HTTP date; None where it is absent, past or unreadable."""
    if header is None:
        return None
    text = header.strip()
    seconds = float(text) if text.isascii() and text.isdigit() else _until_date(text, now)
    return min(seconds, LONGEST_SECONDS) if seconds is not None and seconds > 0 else None


def _until_date(text: str, now: datetime) -> float | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - now).total_seconds()


OPERATION_LIMIT = 10_000
"""Characters that `operation` may have (OSB v2.17, "Asynchronous Operations")."""

_OK, _CREATED, _ACCEPTED = 200, 201, 202
_REDIRECTS, _UNCHANGED = 300, 304
_ERRORS, _REQUEST_TIMEOUT, _GONE = 400, 408, 410
_SERVER_ERRORS = 500
_DELETIONS = frozenset({Verb.DEPROVISION, Verb.UNBIND})
_POLLS = frozenset({Verb.POLL_INSTANCE, Verb.POLL_BINDING})
_CREATIONS = frozenset({Verb.PROVISION, Verb.BIND})
_WITH_CREDENTIALS = frozenset({Verb.BIND, Verb.GET_BINDING})
_NEEDS_NO_WORDS = frozenset({Verdict.SUCCEEDED, Verdict.ACCEPTED, Verdict.IN_PROGRESS})
_STATES = {
    "in progress": Verdict.IN_PROGRESS,
    "succeeded": Verdict.SUCCEEDED,
    "failed": Verdict.OPERATION_FAILED,
}


def read_answer(call: HttpCall, reply: HttpReply, *, now: datetime | None = None) -> Answer:
    """What the reply means as an answer to this call. Never raises, whatever the broker sent.

    For a thread if the body is larger than `SMALL`: it lets others go on, and takes up to seconds.

    `body` is whatever JSON object came, on errors too: `instance_usable` and `update_repeatable` are in there.
    """
    digest = _digest(call, reply)
    if digest is not None and digest == call.known_digest:
        return Answer(
            verb=call.verb,
            verdict=Verdict.UNCHANGED,
            status=reply.status,
            etag=_validator(reply.etag),
            last_modified=_validator(reply.last_modified),
            digest=digest,
        )
    body, complaint, is_too_large = _parsed(call, reply)
    verdict, remark = _verdict(call, reply, body, complaint)
    description = _description(reply, body, verdict, remark=remark)
    wait = None if reply.retry_after is None else seconds_until(reply.retry_after, now or datetime.now(UTC))
    return Answer(
        verb=call.verb,
        verdict=verdict,
        status=reply.status,
        error=cleaned(body.get("error")) if body and reply.status >= _REDIRECTS else None,
        description=description,
        body=body or {},
        retry_after_seconds=wait,
        etag=_validator(reply.etag),
        last_modified=_validator(reply.last_modified),
        digest=digest,
        is_too_large=is_too_large and verdict == Verdict.MALFORMED,
    )


def _description(reply: HttpReply, body: JsonObject | None, verdict: Verdict, *, remark: str | None) -> str | None:
    """The broker's own words, or that there are none."""
    words = cleaned(body.get("description")) if body else None
    if words is None and (reply.status >= _ERRORS or verdict == Verdict.OPERATION_FAILED):
        words = reason_in(body, reply.body)
    if remark:
        return f"{remark}: {words}" if words else remark
    has_code = body is not None and reply.status >= _REDIRECTS and cleaned(body.get("error")) is not None
    return words if words or has_code or verdict in _NEEDS_NO_WORDS else NO_REASON


def _digest(call: HttpCall, reply: HttpReply) -> str | None:
    if call.verb != Verb.GET_CATALOG or reply.status != _OK or not reply.body:
        return None
    return catalog_digest(reply.body)


def _parsed(call: HttpCall, reply: HttpReply) -> tuple[JsonObject | None, str | None, bool]:
    """The body, or why there is none, and whether that is its size. The content type is not asked: it may be wrong."""
    if reply.body is None:
        size = (
            f"has {reply.length:,} bytes and may have" if (reply.length or 0) > call.answer_limit else "is longer than"
        )
        return None, f"the body {size} {call.answer_limit:,} bytes", True
    if not reply.body:
        return None, "the body is empty", False
    unique_keys = call.verb == Verb.GET_CATALOG and reply.status == _OK
    try:
        if len(reply.body) > SMALL:
            return read_large_object(reply.body, values=call.answer_values, unique_keys=unique_keys), None, False
        return read_object(reply.body, unique_keys=unique_keys), None, False
    except UnreadableText as fault:
        return None, _told(call, reply, fault.message), False
    except TooManyValues as fault:
        return None, f"the body of {len(reply.body):,} bytes has {fault.message}", True


def _told(call: HttpCall, reply: HttpReply, complaint: str) -> str:
    # Half an answer to a bind may hold credentials; a page of HTML is no answer to it.
    is_page = reply.body is not None and reply.body.lstrip().startswith(b"<")
    return told_of(reply, complaint, may_be_quoted=is_page or call.verb not in _WITH_CREDENTIALS)


def _validator(text: str | None) -> str | None:
    """A validator that can be sent back; what is none cannot make later requests fail."""
    return text if text and text.isascii() and text.isprintable() else None


def _verdict(
    call: HttpCall, reply: HttpReply, body: JsonObject | None, complaint: str | None
) -> tuple[Verdict, str | None]:
    """The verdict and our own remark on it, if it needs one."""
    if reply.status >= _REDIRECTS:
        return _refusal(call, reply.status)
    if reply.status == _OK and call.verb in _DELETIONS and reply.body is not None and not reply.body.strip():
        # Many brokers have nothing to say here. But a page of HTML is no broker: some proxy wants people to log in.
        return Verdict.SUCCEEDED, None
    if reply.status == _ACCEPTED and call.asked_async:
        return _accepted(body, complaint)
    if reply.status == _OK or (reply.status == _CREATED and call.verb in _CREATIONS):
        return _done(call, body, complaint)
    if reply.status == _ACCEPTED and call.verb in _CREATIONS | _DELETIONS:
        return Verdict.UNEXPECTED, "the broker works asynchronously, although the request did not allow it"
    return Verdict.UNEXPECTED, f"{reply.status} is not an answer to {call.verb}"


def _refusal(call: HttpCall, status: int) -> tuple[Verdict, str | None]:
    """What needs no body."""
    if status >= _SERVER_ERRORS:
        return Verdict.BROKEN, None
    if status == _REQUEST_TIMEOUT and call.verb in _CREATIONS and not call.certain_timeout:
        return Verdict.TIMED_OUT, None
    if status >= _ERRORS:
        return (Verdict.GONE if status == _GONE else Verdict.REJECTED), None
    if status == _UNCHANGED:
        unasked = "the broker answered 304, although the request was not conditional"
        return (Verdict.UNCHANGED, None) if call.conditional else (Verdict.REJECTED, unasked)
    return Verdict.REJECTED, f"the broker answered {status}, and redirects are not followed"


def _accepted(body: JsonObject | None, complaint: str | None) -> tuple[Verdict, str | None]:
    if body is None:
        return Verdict.MALFORMED, complaint
    operation = body.get("operation")
    if operation is None:
        return Verdict.ACCEPTED, None
    if not isinstance(operation, str):
        return Verdict.MALFORMED, "`operation` is not a string"
    if len(operation) > OPERATION_LIMIT:
        return Verdict.MALFORMED, f"`operation` is longer than {OPERATION_LIMIT} characters"
    return Verdict.ACCEPTED, None


def _done(call: HttpCall, body: JsonObject | None, complaint: str | None) -> tuple[Verdict, str | None]:
    if body is None:
        return Verdict.MALFORMED, complaint
    if call.verb in _POLLS:
        state = body.get("state")
        verdict = _STATES.get(state) if isinstance(state, str) else None
        return (
            (verdict, None)
            if verdict
            else (Verdict.MALFORMED, "`state` is not one of in progress, succeeded and failed")
        )
    if call.verb in _WITH_CREDENTIALS and not isinstance(body.get("credentials"), dict | None):
        return Verdict.MALFORMED, "`credentials` is not an object"
    return Verdict.SUCCEEDED, None
