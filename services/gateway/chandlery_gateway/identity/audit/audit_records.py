"""Makes an `Event` of Kubernetes' `audit.k8s.io/v1` of what happened with a request, and the row it is found by. Pure.

Nothing that a client sends is taken over whole: texts are bounded, of the query stays what can be no secret, of a path
that leads nowhere only words that we know. Messages of answers stay out, for they may quote what was sent.
"""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlencode

from chandlery.model.json.json_text import write_json
from chandlery.model.objects.instances import UserInfo
from chandlery.model.text.clean_text import clean_text
from chandlery.store.audit.audit_entries import AuditEntry
from chandlery.store.audit.system_entries import TRACE_ID
from chandlery_gateway.identity.audit.audit_event import AuditEvent, NotedDecision
from chandlery_gateway.identity.audit.policy.audit_policy import RECEIVED, STARTED, Level
from chandlery_gateway.identity.audit.request_attributes import RequestAttributes
from chandlery_gateway.identity.audit.struck_out import MOST_BYTES, STRUCK_OUT, kept_of
from chandlery_gateway.kube.kinds.served_kinds import KNOWN_KINDS

_API_VERSION: Final = "audit.k8s.io/v1"
_ANONYMOUS: Final = "system:anonymous"
_LONGEST_NAME: Final = 253
_LONGEST_TEXT: Final = 512
_LONGEST_AGENT: Final = 256
_LONGEST_URI: Final = 1_024
_MOST_GROUPS: Final = 64
_MOST_EXTRA: Final = 16
_MOST_DECISIONS: Final = 32
_HARMLESS: Final = frozenset(
    {
        "allowWatchBookmarks",
        "dryRun",
        "fieldSelector",
        "fieldValidation",
        "force",
        "gracePeriodSeconds",
        "includeObject",
        "labelSelector",
        "limit",
        "orphanDependents",
        "pretty",
        "propagationPolicy",
        "resourceVersion",
        "resourceVersionMatch",
        "sendInitialEvents",
        "timeout",
        "timeoutSeconds",
        "watch",
    }
)
"""Parameters of the query that are kept; of all others only the names."""
_WORDS: Final = frozenset(
    {"", "api", "apis", "namespaces", "status", "v1", "openapi", "v2", "v3", "version", "docs", "livez", "readyz"}
    | {word for kind in KNOWN_KINDS for word in (kind.group, kind.version, kind.plural)}
)
_SUFFIXES: Final = {RECEIVED: "-received", STARTED: "-started"}
"""Of the names of rows: a request has one id, and a row for each stage that is recorded."""
_DECISION: Final = "authorization.k8s.io/decision"
_REASON: Final = "authorization.k8s.io/reason"
_LATENCY: Final = "apiserver.latency.k8s.io/total"
_FURTHER: Final = "audit.chandlery.io/further-decisions"
_BODY: Final = "audit.chandlery.io/request-object"


def entry_of(event: AuditEvent, asked: RequestAttributes, *, stage: str, level: Level) -> AuditEntry:
    """The row of one stage of a request."""
    object_name = asked.name or event.object_name
    username = event.sender.username if event.sender else _ANONYMOUS
    return AuditEntry(
        name=event.audit_id + _SUFFIXES.get(stage, ""),
        event=write_json(_wire(event, asked, stage, level)).decode(),
        username=_text(username),
        verb=_text(asked.verb),
        resource=_text(asked.resource),
        namespace=_text(asked.namespace),
        object_name=_text(object_name),
        object_uid=_text(event.object_uid),
        code=0 if stage == RECEIVED else event.status,
        related_uids=tuple(map(_text, event.related_uids)) if stage != RECEIVED else (),
    )


def _wire(event: AuditEvent, asked: RequestAttributes, stage: str, level: Level) -> dict[str, Any]:
    elapsed = time.monotonic() - event.began
    wire: dict[str, Any] = {
        "kind": "Event",
        "apiVersion": _API_VERSION,
        "level": level.word,
        "auditID": event.audit_id,
        "stage": stage,
        "requestURI": request_uri(event),
        "verb": _text(asked.verb),
        "user": _user(event.sender) if event.sender else {"username": _ANONYMOUS, "groups": ["system:unauthenticated"]},
    }
    if event.user is not None and event.user is not event.sender:
        wire["impersonatedUser"] = _user(event.user)
    if sources := _sources(event):
        wire["sourceIPs"] = sources
    if event.user_agent:
        wire["userAgent"] = clean_text(event.user_agent, longest=_LONGEST_AGENT)
    if asked.resource:
        wire["objectRef"] = _object_ref(event, asked)
    if stage != RECEIVED:
        wire["responseStatus"] = _status(event)
    if level is Level.REQUEST and event.body and stage != RECEIVED:
        wire |= _request_object(event)
    wire["requestReceivedTimestamp"] = _micro_time(event.received_ns)
    wire["stageTimestamp"] = _micro_time(event.received_ns + round(elapsed * 1e9))
    wire["annotations"] = dict(_annotations(event, elapsed)) | wire.pop("annotations", {})
    return wire


def _sources(event: AuditEvent) -> list[str]:
    """As kube-apiserver lists them: of whoever has asked first, and at the end who has brought it to us."""
    sources = list(event.forwarded)
    if event.address and event.address not in sources[-1:]:
        sources.append(event.address)
    return sources


def request_uri(event: AuditEvent) -> str:
    """Path and query, without what may be a secret."""
    path = event.path
    if not event.has_known_path:
        path = "/".join(word if word in _WORDS else STRUCK_OUT for word in path[:_LONGEST_URI].split("/"))
    path = quote(path[:_LONGEST_URI], safe="/:@!$&'()*+,;=~<>")
    if not event.query:
        return path
    pairs = parse_qsl(event.query[:_LONGEST_URI].decode("latin-1"), keep_blank_values=True)
    kept = [(name, value) if name in _HARMLESS else (_parameter(name), STRUCK_OUT) for name, value in pairs]
    return f"{path}?{urlencode(kept, safe='<>=,!():')}"


def _parameter(name: str) -> str:
    return name if name in ("continue", "fieldManager") else STRUCK_OUT


def _user(user: UserInfo) -> dict[str, Any]:
    wire: dict[str, Any] = {"username": _text(user.username)}
    if user.uid:
        wire["uid"] = _text(user.uid)
    if user.groups:
        wire["groups"] = [_text(group) for group in user.groups[:_MOST_GROUPS]]
    if user.extra:
        few = list(user.extra.items())[:_MOST_EXTRA]
        wire["extra"] = {_text(key): [_text(value) for value in values[:_MOST_EXTRA]] for key, values in few}
    return wire


def _object_ref(event: AuditEvent, asked: RequestAttributes) -> dict[str, str]:
    fields = {
        "resource": asked.resource,
        "namespace": asked.namespace,
        "name": asked.name or event.object_name,
        "uid": event.object_uid,
        "apiGroup": asked.group,
        "apiVersion": asked.version,
        "subresource": asked.subresource,
    }
    return {name: _text(value) for name, value in fields.items() if value}


def _status(event: AuditEvent) -> dict[str, Any]:
    status: dict[str, Any] = {"metadata": {}, "code": event.status}
    if event.reason:
        status |= {"status": "Failure", "reason": event.reason}
    return status


def _request_object(event: AuditEvent) -> dict[str, Any]:
    kept = kept_of(event.body, event.content_type)
    if kept is not None:
        return {"requestObject": kept}
    why = f"larger than {MOST_BYTES} bytes" if len(event.body) > MOST_BYTES else "cannot be read"
    return {"annotations": {_BODY: f"not kept: {why}"}}


def _annotations(event: AuditEvent, elapsed: float) -> Iterator[tuple[str, str]]:
    further = []
    for noted in event.decisions[:_MOST_DECISIONS]:
        if noted.access == event.access:
            yield _DECISION, "allow" if noted.decision.allowed else "forbid"
            yield _REASON, clean_text(noted.decision.reason, longest=_LONGEST_TEXT)
        else:
            further.append(_in_words(noted))
    if further:
        yield _FURTHER, "; ".join(further)
    if event.trace_id:
        yield TRACE_ID, event.trace_id
    yield _LATENCY, f"{elapsed * 1e3:.3f}ms"


def _in_words(noted: NotedDecision) -> str:
    access = noted.access
    resource = f"{access.resource}/{access.subresource}" if access.subresource else access.resource
    where = "/".join(filter(None, (access.namespace, access.name)))
    what = " ".join(filter(None, (access.verb, resource or access.path, where)))
    reason = clean_text(noted.decision.reason, longest=_LONGEST_TEXT)
    told = f"{'allow' if noted.decision.allowed else 'forbid'} {_text(what)}"
    return f"{told} ({reason})" if reason else told


def _text(text: str) -> str:
    if len(text) <= _LONGEST_NAME and text.isprintable():
        return text
    return clean_text(text, longest=_LONGEST_NAME)


def _micro_time(nanoseconds: int) -> str:
    return datetime.fromtimestamp(nanoseconds / 1e9, UTC).isoformat(timespec="microseconds")[:-6] + "Z"
