"""Responses: documents in the form a request asked for, faults as `Status` objects."""

import re
import traceback
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import structlog
from fastapi import Request, Response

from chandlery.model.faults import Fault
from chandlery.model.objects.kinds import Kind
from chandlery.model.objects.wire import JsonObject
from chandlery_gateway.http.answer_texts import json_text, yaml_text
from chandlery_gateway.kube.printing.status_objects import RequestTimeout, Unauthorized, status_of
from chandlery_gateway.kube.printing.tables import IncludeObject, partial_metadata, partial_metadata_list, table
from chandlery_gateway.kube.query.negotiation import YAML, Form, Representation
from chandlery_gateway.read.object_reader import Page

log = structlog.get_logger()

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_LONGEST_WARNING = 256
_MOST_WARNINGS = 16


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


def object_response(
    kind: Kind,
    wire: JsonObject,
    representation: Representation,
    include: IncludeObject,
    *,
    status: int = 200,
    warnings: Sequence[str] = (),
) -> Response:
    """One object, plain, as a table of one row, or its metadata alone."""
    document = wire
    if representation.form is Form.TABLE:
        version = {"resourceVersion": wire["metadata"].get("resourceVersion", "")}
        document = _table(kind, [wire], representation, include, version)
    elif representation.form in (Form.METADATA, Form.METADATA_LIST):
        document = partial_metadata(wire, api_version=representation.api_version)
    return document_response(document, status=status, representation=representation, warnings=warnings)


def list_response(kind: Kind, page: Page, representation: Representation, include: IncludeObject) -> Response:
    """A page of objects."""
    metadata: JsonObject = {"resourceVersion": page.resource_version}
    if page.continue_token:
        metadata["continue"] = page.continue_token
    if page.remaining is not None:
        metadata["remainingItemCount"] = page.remaining
    if representation.form is Form.TABLE:
        document = _table(kind, page.items, representation, include, metadata)
    elif representation.form in (Form.METADATA, Form.METADATA_LIST):
        document = partial_metadata_list(page.items, list_metadata=metadata, api_version=representation.api_version)
    else:
        document = {
            "kind": f"{kind.kind}List",
            "apiVersion": kind.api_version,
            "metadata": metadata,
            "items": page.items,
        }
    return document_response(document, representation=representation)


def fault_response(fault: Exception, *, kind: Kind | None = None, name: str = "") -> Response:
    """The `Status` of a fault."""
    code, status = status_of(fault, kind=kind, name=name)
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
    log_bug(error, action="serve_request", method=request.method, path=request.url.path)
    return fault_response(error if isinstance(error, Fault) else RuntimeError())


def log_bug(error: Exception, *, action: str, **where: str) -> None:
    """Log what should not happen."""
    # Neither the message nor the values in it: those of databases and validators quote what was sent.
    trace = "".join(traceback.format_tb(error.__traceback__))
    log.error(f"a request failed: {type(error).__name__}", action=action, trace=trace, **where)


def _table(
    kind: Kind,
    items: Sequence[JsonObject],
    representation: Representation,
    include: IncludeObject,
    metadata: JsonObject,
) -> JsonObject:
    return table(
        kind,
        items,
        now=datetime.now(UTC),
        api_version=representation.api_version,
        include_object=include,
        list_metadata=metadata,
    )
