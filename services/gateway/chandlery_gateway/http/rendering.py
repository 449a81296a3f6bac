"""Responses: documents in the form a request asked for, faults as `Status` objects."""

import asyncio
import gzip
import re
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import structlog
import yaml
from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from chandlery.model.faults import BadRequest, Fault
from chandlery.model.json.json_text import read_written, write_json
from chandlery.model.objects.kinds import AnyObject, Kind
from chandlery.model.objects.wire import JsonObject
from chandlery.process.aside import aside_if
from chandlery.telemetry.current_trace import current_trace_id
from chandlery_gateway.kube.printing.status_objects import RequestTimeout, Unauthorized, status_of
from chandlery_gateway.kube.printing.tables import IncludeObject, partial_metadata, partial_metadata_list, table
from chandlery_gateway.kube.query.negotiation import JSON, YAML, Form, Representation, negotiate
from chandlery_gateway.read.object_reader import Page
from chandlery_gateway.read.selection import to_client
from chandlery_gateway.write.mutations import is_large

_LISTS: Final = ("items", "rows")
_INTERNAL: Final = 500
_FAST_DUMPER: Final = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def json_text(document: JsonObject) -> bytes:
    """The document as compact JSON."""
    key = next((key for key in _LISTS if document.get(key)), None)
    if key is None:
        return write_json(document)
    empty = write_json({**{name: value for name, value in document.items() if name != key}, key: []})
    return empty[:-2] + b",".join(map(write_json, document[key])) + b"]}"


def yaml_text(document: JsonObject) -> bytes:
    """The document as YAML."""
    plain = {name: _plain(value) for name, value in document.items()}
    text: bytes = yaml.dump(plain, Dumper=_FAST_DUMPER, sort_keys=False, allow_unicode=True, encoding="utf-8")
    return text


def _plain(value: Any) -> Any:
    """As a parser would give it: without tuples and the like, which YAML has tags for."""
    if isinstance(value, list):
        return [read_written(write_json(item)) for item in value]
    return read_written(write_json(value))


_FROM_BYTES = 128 * 1024
_LEVEL = 1
"""The fastest: what is sent to the machine beside this one should not wait for its compression."""


async def compressed(request: Request, response: Response) -> Response:
    """The response as the client wants it; compressed beside the event loop."""
    if isinstance(response, StreamingResponse) or len(response.body) < _FROM_BYTES or not _takes_gzip(request):
        return response
    smaller = await asyncio.to_thread(gzip.compress, bytes(response.body), _LEVEL)
    response.body = smaller
    response.headers["Content-Length"] = str(len(smaller))
    response.headers["Content-Encoding"] = "gzip"
    response.headers.add_vary_header("Accept-Encoding")
    return response


def _takes_gzip(request: Request) -> bool:
    for clause in request.headers.get("accept-encoding", "").split(","):
        coding, _, weight = clause.partition(";")
        if coding.strip().lower() in ("gzip", "*"):
            return weight.replace(" ", "").lower() not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


log = structlog.get_logger(__name__)

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_LONGEST_WARNING = 256
_MOST_WARNINGS = 16
_MANY = 50
"""Objects of a list that are written as JSON while others wait."""


def document_response(
    document: JsonObject,
    *,
    status: int = 200,
    representation: Representation | None = None,
    warnings: Sequence[str] = (),
) -> Response:
    """Any document, as JSON or YAML."""
    wanted = representation or Representation()
    body = yaml_text(document) if wanted.media_type == YAML else json_text(document)
    response = Response(body, status, media_type=wanted.content_type)
    for text in _warning_texts(warnings):
        response.headers.append("Warning", f'299 - "{text}"')
    return response


def _warning_texts(warnings: Sequence[str]) -> Iterator[str]:
    """Quoted for headers, and few enough that clients take them: warnings name fields that somebody made up."""
    for warning in warnings[:_MOST_WARNINGS]:
        text = _CONTROL.sub(" ", warning[:_LONGEST_WARNING]).encode("ascii", "replace").decode()
        yield text.replace("\\", "\\\\").replace('"', '\\"')
    if len(warnings) > _MOST_WARNINGS:
        yield f"and {len(warnings) - _MOST_WARNINGS} more"


@dataclass(frozen=True, slots=True)
class AnswerForm:
    """How to answer. Read before anything is done, so that a request which cannot be answered changes nothing."""

    representation: Representation
    include: IncludeObject


def answer_form(request: Request, *, is_stream: bool = False) -> AnswerForm:
    """How the request wants its objects. Raises BadRequest, NotAcceptable."""
    text = request.query_params.get("includeObject", IncludeObject.METADATA)
    try:
        include = IncludeObject(text)
    except ValueError as error:
        raise BadRequest(f"includeObject must be one of {', '.join(IncludeObject)}") from error
    return AnswerForm(negotiate(request.headers.get("accept", ""), is_stream=is_stream), include)


async def object_response(
    kind: Kind, stored: AnyObject, form: AnswerForm, *, status: int = 200, warnings: Sequence[str] = ()
) -> Response:
    """One object, plain, as a table of one row, or its metadata alone."""

    def render() -> Response:
        return wire_response(kind, to_client(kind, stored), form, status=status, warnings=warnings)

    return await aside_if(is_large(stored), render)


def wire_response(
    kind: Kind, wire: JsonObject, form: AnswerForm, *, status: int = 200, warnings: Sequence[str] = ()
) -> Response:
    """The same for what is in the form that clients see."""
    document = wire
    if form.representation.form is Form.TABLE:
        version = {"resourceVersion": wire["metadata"].get("resourceVersion", "")}
        document = _table(kind, [wire], form, version)
    elif form.representation.form in (Form.METADATA, Form.METADATA_LIST):
        document = partial_metadata(wire, api_version=form.representation.api_version)
    return document_response(document, status=status, representation=form.representation, warnings=warnings)


async def list_response(kind: Kind, page: Page, form: AnswerForm) -> Response:
    """A page of objects."""
    # In YAML each object is costly.
    is_long = len(page.items) > (_MANY if form.representation.media_type == JSON else 0)
    return await aside_if(is_long, lambda: _list_response(kind, page, form))


def _list_response(kind: Kind, page: Page, form: AnswerForm) -> Response:
    metadata: JsonObject = {"resourceVersion": page.resource_version}
    if page.continue_token:
        metadata["continue"] = page.continue_token
    if page.remaining is not None:
        metadata["remainingItemCount"] = page.remaining
    if form.representation.form is Form.TABLE:
        document = _table(kind, page.items, form, metadata)
    elif form.representation.form in (Form.METADATA, Form.METADATA_LIST):
        api_version = form.representation.api_version
        document = partial_metadata_list(page.items, list_metadata=metadata, api_version=api_version)
    else:
        document = {
            "kind": f"{kind.kind}List",
            "apiVersion": kind.api_version,
            "metadata": metadata,
            "items": page.items,
        }
    return document_response(document, representation=form.representation)


def fault_response(fault: Exception, *, kind: Kind | None = None, name: str = "") -> Response:
    """The `Status` of a fault. One that is not the client's names its trace, as whoever looks for it needs that."""
    code, status = status_of(fault, kind=kind, name=name)
    if code >= _INTERNAL and (trace_id := current_trace_id()):
        status["message"] = f"{status['message']} (trace {trace_id})"
    response = document_response(status, status=code)
    if isinstance(fault, Unauthorized):
        response.headers["WWW-Authenticate"] = "Bearer"
    if isinstance(fault, RequestTimeout):
        # The rest of its body may still trickle in.
        response.headers["Connection"] = "close"
    retry_after = status.get("details", {}).get("retryAfterSeconds")
    if retry_after:
        response.headers["Retry-After"] = str(retry_after)
    return response


async def bug_response(request: Request, error: Exception) -> Response:
    """Something that should not happen: the log has what and where, the client gets no detail."""
    log_bug(error, action="serve_request", method=request.method, path=request.scope["path"])
    return fault_response(error if isinstance(error, Fault) else RuntimeError())


def log_bug(error: Exception, *, action: str, **where: str) -> None:
    """Log what should not happen."""
    # Neither the message nor the values in it: those of databases and validators quote what was sent.
    trace, name = "".join(traceback.format_tb(error.__traceback__)), type(error).__name__
    log.error(f"a request failed: {name}", action=action, exception=trace, error_type=name, **where)


def _table(kind: Kind, items: Sequence[JsonObject], form: AnswerForm, metadata: JsonObject) -> JsonObject:
    return table(
        kind,
        items,
        now=datetime.now(UTC),
        api_version=form.representation.api_version,
        include_object=form.include,
        list_metadata=metadata,
    )
