"""Responses: documents in the form a request asked for, faults as `Status` objects."""

from collections.abc import Sequence
from datetime import UTC, datetime

import structlog
import yaml
from fastapi import Request, Response
from pydantic_core import from_json, to_json

from chandlery.model.faults import Fault
from chandlery.model.kinds import Kind
from chandlery.model.wire import JsonObject
from chandlery_gateway.kube.negotiation import YAML, Form, Representation
from chandlery_gateway.kube.status_objects import Unauthorized, status_of
from chandlery_gateway.kube.tables import IncludeObject, partial_metadata, partial_metadata_list, table
from chandlery_gateway.readings import Page

log = structlog.get_logger()


def document_response(
    document: JsonObject,
    *,
    status: int = 200,
    representation: Representation | None = None,
    warnings: Sequence[str] = (),
) -> Response:
    """Any document, as JSON or YAML."""
    wanted = representation or Representation()
    body = to_json(document)
    if wanted.media_type == YAML:
        body = yaml.safe_dump(from_json(body), sort_keys=False, allow_unicode=True).encode()
    response = Response(body, status, media_type=wanted.content_type)
    for warning in warnings:
        quoted = warning.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
        response.headers.append("Warning", f'299 - "{quoted}"'.encode("ascii", "replace").decode())
    return response


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
    retry_after = status.get("details", {}).get("retryAfterSeconds")
    if retry_after:
        response.headers["Retry-After"] = str(retry_after)
    return response


def bug_response(request: Request, error: Exception) -> Response:
    """Something that should not happen: the log has it all, the client gets no detail."""
    log.exception("a request failed", action="serve_request", method=request.method, path=request.url.path)
    return fault_response(error if isinstance(error, Fault) else RuntimeError())


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
