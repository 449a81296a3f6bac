"""Requests for objects of one kind: read one, hand it to intake, readings or a watch, render the answer."""

import contextlib
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any

from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from chandlery.model.faults import BadRequest, Fault, FieldProblem, Invalid, NotFound
from chandlery.model.kinds import AnyObject, Kind
from chandlery.model.wire import JsonObject
from chandlery.store.rows import RowCodec
from chandlery_gateway.authentication import Authenticator
from chandlery_gateway.intake import Intake
from chandlery_gateway.kube.bodies import parse_body
from chandlery_gateway.kube.decoding import decode_dict, decode_object, parse_field_validation
from chandlery_gateway.kube.negotiation import Representation, negotiate
from chandlery_gateway.kube.patches import apply_patch, check_patch_type
from chandlery_gateway.kube.selectors import parse_field_selector, parse_label_selector
from chandlery_gateway.kube.status_objects import RequestTooLarge, status_success
from chandlery_gateway.kube.tables import IncludeObject
from chandlery_gateway.readings import Readings, Selection, to_client
from chandlery_gateway.rendering import (
    bug_response,
    document_response,
    fault_response,
    list_response,
    object_response,
)
from chandlery_gateway.watch_hub import WatchHub
from chandlery_gateway.watch_stream import WatchRequest, WatchStream
from chandlery_gateway.wishes import Preconditions, Stored
from chandlery_gateway.wishes import Request as Wish

Endpoint = Callable[[Request], Coroutine[Any, Any, Response]]

_MOST_BYTES = 3 * 1024 * 1024
_LONGEST_WATCH = 3600.0
_CREATED = 201
_YES = frozenset({"true", "1"})
_MOST_DIGITS = 19


@dataclass(frozen=True)
class _Form:
    """How to answer. Read before anything is done, so that a request which cannot be answered changes nothing."""

    representation: Representation
    include: IncludeObject


class ResourceEndpoints:
    """The endpoints of one kind. Each takes a request and returns a response, whatever goes wrong on purpose."""

    def __init__(
        self,
        kind: Kind,
        *,
        authenticator: Authenticator,
        intake: Intake,
        readings: Readings,
        hub: WatchHub,
        codec: RowCodec,
    ) -> None:
        self._kind = kind
        self._authenticator = authenticator
        self._intake = intake
        self._readings = readings
        self._hub = hub
        self._codec = codec

    def endpoint(self, name: str) -> Endpoint:
        """The endpoint of that name, with authentication before it and faults rendered after it."""
        work = getattr(self, f"_{name}")

        async def answer(request: Request) -> Response:
            try:
                response: Response = await work(request, self._wish(request))
            except Fault as fault:
                return fault_response(fault, kind=self._kind, name=_name(request))
            except Exception as error:  # noqa: BLE001 - further up it would be logged with what was sent
                return await bug_response(request, error)
            return response

        answer.__name__ = f"{name}_{self._kind.singular}"
        return answer

    def _wish(self, request: Request) -> Wish:
        params = request.path_params
        wish = Wish(
            kind=self._kind,
            namespace=params.get("namespace", ""),
            name=params.get("name", ""),
            user=self._authenticator.user(request.headers.get("authorization")),
            dry_run=_dry_run(request.query_params.getlist("dryRun")),
        )
        if "\0" in wish.namespace + wish.name:
            # PostgreSQL would refuse to look for it.
            raise NotFound
        return wish

    async def _list(self, request: Request, wish: Wish) -> Response:
        query, form = request.query_params, _form(request)
        selection = self._selection(request, wish)
        if query.get("watch", "").lower() in _YES:
            return await self._watch(request, selection, form)
        limit, token = _number(request, "limit"), query.get("continue", "")
        page = await self._readings.list(selection, limit=limit, token=token)
        return list_response(self._kind, page, form.representation, form.include)

    def _selection(self, request: Request, wish: Wish) -> Selection:
        return Selection(
            kind=self._kind,
            namespace=wish.namespace or None,
            labels=parse_label_selector(request.query_params.get("labelSelector", "")),
            fields=parse_field_selector(self._kind, request.query_params.get("fieldSelector", "")),
        )

    async def _watch(self, request: Request, selection: Selection, form: _Form) -> Response:
        query = request.query_params
        sends_initial = query.get("sendInitialEvents", "").lower() in _YES
        # Zero is Kubernetes' word for whatever version there is.
        after = None if sends_initial else _number(request, "resourceVersion") or None
        watch = WatchRequest(
            selection=selection,
            after=after,
            representation=form.representation,
            include_object=form.include,
            wants_bookmarks=query.get("allowWatchBookmarks", "").lower() in _YES,
            timeout_seconds=min(_number(request, "timeoutSeconds") or _LONGEST_WATCH, _LONGEST_WATCH),
            marks_initial_end=sends_initial,
        )
        start = await self._hub.start_position(after)
        stream = WatchStream(watch, self._hub, self._readings, self._codec)
        return StreamingResponse(stream.lines(start), media_type=form.representation.content_type)

    async def _get(self, request: Request, wish: Wish) -> Response:
        form = _form(request)
        wire = await self._readings.get(self._kind, wish.namespace, wish.name)
        return object_response(self._kind, wire, form.representation, form.include)

    async def _create(self, request: Request, wish: Wish) -> Response:
        form = _form(request)
        decoded = decode_object(
            self._kind,
            await _body(request),
            request.headers.get("content-type", ""),
            field_validation=parse_field_validation(request.query_params.get("fieldValidation")),
        )
        request.state.object_name = decoded.object.metadata.name
        stored = await self._intake.create(wish, decoded.object)
        return self._answer(form, Stored(stored.object, decoded.warnings), status=_CREATED)

    async def _replace(self, request: Request, wish: Wish) -> Response:
        form, change = _form(request), await self._replacement(request, wish)
        return self._answer(form, await self._intake.change(wish, change))

    async def _patch(self, request: Request, wish: Wish) -> Response:
        form, change = _form(request), await self._patching(request)
        return self._answer(form, await self._intake.patch(wish, change))

    async def _replace_status(self, request: Request, wish: Wish) -> Response:
        form, change = _form(request), await self._replacement(request, wish)
        return self._answer(form, await self._intake.change_status(wish, change))

    async def _patch_status(self, request: Request, wish: Wish) -> Response:
        form, change = _form(request), await self._patching(request)
        return self._answer(form, await self._intake.change_status(wish, change, tries=10))

    async def _delete(self, request: Request, wish: Wish) -> Response:
        form, options = _form(request), await _delete_options(request)
        wish = replace(wish, dry_run=wish.dry_run or _dry_run(options.get("dryRun") or []))
        stored = await self._intake.delete(wish, _preconditions(options))
        if stored.is_gone:
            return document_response(status_success(self._kind, wish.name, uid=stored.object.metadata.uid))
        return self._answer(form, stored)

    async def _delete_collection(self, request: Request, wish: Wish) -> Response:
        form, options = _form(request), await _delete_options(request)
        dry_run, preconditions = wish.dry_run or _dry_run(options.get("dryRun") or []), _preconditions(options)
        page = await self._readings.list(self._selection(request, wish), limit=0, token="")
        for wire in page.items:
            meta = wire["metadata"]
            one = replace(wish, namespace=meta.get("namespace", ""), name=meta["name"], dry_run=dry_run)
            with contextlib.suppress(NotFound):
                await self._intake.delete(one, preconditions)
        return list_response(self._kind, page, form.representation, form.include)

    async def _replacement(self, request: Request, wish: Wish) -> "Callable[[AnyObject], Any]":
        decoded = decode_object(
            self._kind,
            await _body(request),
            request.headers.get("content-type", ""),
            field_validation=parse_field_validation(request.query_params.get("fieldValidation")),
        )
        meta = decoded.object.metadata
        if meta.name != wish.name:
            raise BadRequest(f"the name of the object ({meta.name}) does not match the name on the URL ({wish.name})")
        if meta.namespace and meta.namespace != wish.namespace:
            raise BadRequest(
                f"the namespace of the object ({meta.namespace}) does not match the URL's ({wish.namespace})"
            )
        if not meta.resource_version and self._kind.group:
            # As for custom resources; Kubernetes' own core kinds can be replaced blindly.
            sentence = "must be specified for an update; read the object first"
            raise Invalid(problems=(FieldProblem("metadata.resourceVersion", "FieldValueInvalid", sentence),))
        return lambda _old: (decoded.object, decoded.warnings)

    async def _patching(self, request: Request) -> "Callable[[AnyObject], Any]":
        content_type = request.headers.get("content-type", "")
        check_patch_type(content_type, api_version=self._kind.api_version)
        payload = await _body(request)
        validation = parse_field_validation(request.query_params.get("fieldValidation"))

        def patch(old: AnyObject) -> tuple[AnyObject, tuple[str, ...]]:
            patched = apply_patch(to_client(self._kind, old), payload, content_type)
            decoded = decode_dict(self._kind, patched, field_validation=validation)
            return decoded.object, decoded.warnings

        return patch

    def _answer(self, form: _Form, stored: Stored, *, status: int = 200) -> Response:
        wire = to_client(self._kind, stored.object)
        return object_response(
            self._kind, wire, form.representation, form.include, status=status, warnings=stored.warnings
        )


def _name(request: Request) -> str:
    """The object that a request is about; of a creation once its body has been read."""
    return str(request.path_params.get("name") or getattr(request.state, "object_name", ""))


def _form(request: Request) -> _Form:
    text = request.query_params.get("includeObject", IncludeObject.METADATA)
    try:
        include = IncludeObject(text)
    except ValueError as error:
        raise BadRequest(f"includeObject must be one of {', '.join(IncludeObject)}") from error
    return _Form(negotiate(request.headers.get("accept", "")), include)


def _number(request: Request, name: str) -> int:
    text = request.query_params.get(name, "")
    if not text:
        return 0
    if not text.isascii() or not text.isdigit() or len(text) > _MOST_DIGITS:
        raise BadRequest(f"{name}: Invalid value: must be a whole number of at most {_MOST_DIGITS} digits")
    return int(text)


def _dry_run(values: object) -> bool:
    if not isinstance(values, list) or any(value != "All" for value in values):
        raise BadRequest("dryRun: Unsupported value: supported values: All")
    return bool(values)


async def _body(request: Request) -> bytes:
    if int(request.headers.get("content-length") or 0) > _MOST_BYTES:
        raise RequestTooLarge(f"the request body may have at most {_MOST_BYTES} bytes")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BYTES:
            raise RequestTooLarge(f"the request body may have at most {_MOST_BYTES} bytes")
    return bytes(body)


async def _delete_options(request: Request) -> JsonObject:
    payload = await _body(request)
    if not payload.strip():
        return {}
    content_type = request.headers.get("content-type", "")
    return parse_body(payload, content_type, find_repeated=False, takes_protobuf=True).document


def _preconditions(options: JsonObject) -> Preconditions:
    wanted = options.get("preconditions") or {}
    if not isinstance(wanted, dict):
        raise BadRequest("preconditions: must be an object")
    return Preconditions(uid=wanted.get("uid"), resource_version=wanted.get("resourceVersion"))
