"""Requests for objects of one kind: read one, hand it to intake, readings or a watch, render the answer."""

import contextlib
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from chandlery.model.faults import AlreadyExists, BadRequest, Fault, NotFound
from chandlery.model.objects.kinds import AnyObject, Kind
from chandlery.process.aside import aside_if
from chandlery_gateway.http.overload_guard import WATCH_HAS_BEGUN
from chandlery_gateway.http.rendering import (
    bug_response,
    compressed,
    document_response,
    fault_response,
    list_response,
    object_response,
)
from chandlery_gateway.http.request_bodies import read_body
from chandlery_gateway.identity.permissions import Permissions, access_to
from chandlery_gateway.kube.apply.field_shapes import STATUS
from chandlery_gateway.kube.apply.managed_fields import Author
from chandlery_gateway.kube.apply.server_side_apply import parse_configuration
from chandlery_gateway.kube.body.bodies import Body, is_costly
from chandlery_gateway.kube.body.decoding import Decoded, FieldValidation, decode_object
from chandlery_gateway.kube.kinds.regarding_events import REGARDING_EVENT
from chandlery_gateway.kube.patch.patches import APPLY_PATCH, check_patch_type
from chandlery_gateway.kube.printing.status_objects import status_success
from chandlery_gateway.kube.printing.tables import IncludeObject
from chandlery_gateway.kube.query.list_options import is_watch, read_list_options, read_number, read_watch_options
from chandlery_gateway.kube.query.negotiation import JSON, Representation, UnsupportedMediaType, negotiate
from chandlery_gateway.kube.query.request_options import WriteOptions, author_name, read_write_options
from chandlery_gateway.kube.query.selectors import parse_field_selector, parse_label_selector
from chandlery_gateway.read.object_reader import ObjectReader, Page
from chandlery_gateway.read.selection import Selection, to_client
from chandlery_gateway.routes.delete_options import DeleteOptions, read_delete_options
from chandlery_gateway.watch.watch_hub import WatchHub
from chandlery_gateway.watch.watch_stream import WatchRequest, WatchStream
from chandlery_gateway.write.mutations import (
    PreparedMutation,
    applying,
    check_replacement,
    created,
    first_applying,
    is_large,
    patching,
    replacing,
)
from chandlery_gateway.write.object_writer import ObjectWriter
from chandlery_gateway.write.write_requests import Mutation, Stored
from chandlery_gateway.write.write_requests import WriteRequest as Wish

Endpoint = Callable[[Request], Coroutine[Any, Any, Response]]

_CREATED = 201
_TRIES = 10
_MANY = 50
"""Objects of a list that are written as JSON while others wait."""


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
        permissions: Permissions,
        object_writer: ObjectWriter,
        object_reader: ObjectReader,
        hub: WatchHub,
    ) -> None:
        self._kind = kind
        self._permissions = permissions
        self._object_writer = object_writer
        self._object_reader = object_reader
        self._hub = hub

    def endpoint(self, name: str) -> Endpoint:
        """The endpoint of that name, with authentication before it and faults rendered after it."""
        work = getattr(self, f"_{name}")

        async def answer(request: Request) -> Response:
            try:
                wish = self._wish(request)
                verb = "watch" if name == "list" and is_watch(request.query_params) else name
                await self._require(verb, wish)
                response: Response = await work(request, wish)
            except Fault as fault:
                return fault_response(fault, kind=self._kind, name=_name(request))
            except Exception as error:  # noqa: BLE001 - further up it would be logged with what was sent
                return await bug_response(request, error)
            return await compressed(request, response)

        answer.__name__ = f"{name}_{self._kind.singular}"
        return answer

    def _wish(self, request: Request) -> Wish:
        params = request.path_params
        wish = Wish(
            kind=self._kind,
            namespace=params.get("namespace", ""),
            name=params.get("name", ""),
            user=self._permissions.user(request),
        )
        if "\0" in wish.namespace + wish.name:
            # PostgreSQL would refuse to look for it.
            raise NotFound
        return wish

    async def _require(self, endpoint: str, wish: Wish) -> None:
        access = access_to(self._kind, endpoint, user=wish.user, namespace=wish.namespace, name=wish.name)
        await self._permissions.require(access)

    async def _list(self, request: Request, wish: Wish) -> Response:
        query = request.query_params
        is_stream = is_watch(query)
        form, selection = _form(request, is_stream=is_stream), self._selection(request, wish)
        if is_stream:
            return await self._watch(request, selection, form)
        page = await self._object_reader.list(selection, read_list_options(query))
        return await self._list_answer(form, page)

    async def _list_answer(self, form: _Form, page: Page) -> Response:
        # In YAML each object is costly.
        is_long = len(page.items) > (_MANY if form.representation.media_type == JSON else 0)
        return await aside_if(is_long, lambda: list_response(self._kind, page, form.representation, form.include))

    def _selection(self, request: Request, wish: Wish) -> Selection:
        return Selection(
            kind=self._kind,
            namespace=wish.namespace or None,
            labels=parse_label_selector(request.query_params.get("labelSelector", "")),
            fields=parse_field_selector(self._kind, request.query_params.get("fieldSelector", "")),
        )

    async def _watch(self, request: Request, selection: Selection, form: _Form) -> Response:
        watch = WatchRequest(
            selection=selection,
            options=read_watch_options(request.query_params),
            representation=form.representation,
            include_object=form.include,
            on_begun=request.scope.get(WATCH_HAS_BEGUN, lambda: None),
        )
        stream = WatchStream(watch, self._hub, self._object_reader)
        lines = stream.lines(await stream.start())
        return StreamingResponse(lines, media_type=form.representation.content_type)

    async def _get(self, request: Request, wish: Wish) -> Response:
        form, version = _form(request), read_number(request.query_params, "resourceVersion")
        found = await self._object_reader.get(self._kind, wish.namespace, wish.name, version=version)
        return await self._answer(form, Stored(found))

    async def _create(self, request: Request, wish: Wish) -> Response:
        form, options = _form(request), read_write_options(request.query_params, "CreateOptions")
        payload, decode = await self._decoding(request, options.field_validation)
        author = self._author(request, options)

        def make() -> tuple[Decoded, AnyObject]:
            decoded = decode()
            request.state.object_name = decoded.object.metadata.name
            return decoded, created(decoded, author)

        decoded, document = await aside_if(is_costly(payload), make)
        stored = await self._object_writer.create(replace(wish, dry_run=options.dry_run), document)
        return await self._answer(form, stored, status=_CREATED, warnings=decoded.warnings)

    async def _replace(self, request: Request, wish: Wish) -> Response:
        form, wish, change = await self._replacement(request, wish)
        return await self._answer(form, await self._object_writer.change(wish, change))

    async def _replace_status(self, request: Request, wish: Wish) -> Response:
        form, wish, change = await self._replacement(request, wish, subresource=STATUS)
        return await self._answer(form, await self._object_writer.change_status(wish, change))

    async def _patch(self, request: Request, wish: Wish) -> Response:
        if self._is_apply(request):
            return await self._apply(request, wish)
        form, wish, change = await self._patching(request, wish)
        return await self._answer(form, await self._object_writer.patch(wish, change))

    async def _patch_status(self, request: Request, wish: Wish) -> Response:
        if self._is_apply(request):
            form, options, body, is_large_body = await self._applied(request, wish)
            author = self._author(request, options, subresource=STATUS)
            change = applying(body, author=author, validation=options.field_validation, force=options.force)
            change = PreparedMutation(change, is_costly=is_large_body)
            wish = replace(wish, dry_run=options.dry_run)
        else:
            form, wish, change = await self._patching(request, wish, subresource=STATUS)
        return await self._answer(form, await self._object_writer.change_status(wish, change, tries=_TRIES))

    async def _apply(self, request: Request, wish: Wish) -> Response:
        """Server-side apply: changes the object that is there, or creates it."""
        form, options, body, is_large_body = await self._applied(request, wish)
        author, validation = self._author(request, options), options.field_validation
        change = applying(body, author=author, validation=validation, force=options.force)
        change = PreparedMutation(change, is_costly=is_large_body)
        wish = replace(wish, dry_run=options.dry_run)
        for _ in range(_TRIES):
            try:
                return await self._answer(form, await self._object_writer.patch(wish, change))
            except NotFound:
                await self._require("create", wish)
                first = await aside_if(
                    is_large_body, lambda: first_applying(body, author=author, validation=validation)
                )
            with contextlib.suppress(AlreadyExists):
                stored = await self._object_writer.create(wish, first.object)
                return await self._answer(form, stored, status=_CREATED, warnings=first.warnings)
        raise AlreadyExists

    async def _delete(self, request: Request, wish: Wish) -> Response:
        form, options = _form(request), await self._delete_options(request)
        stored = await self._object_writer.delete(
            replace(wish, dry_run=options.dry_run), options.preconditions, policy=options.policy
        )
        if stored.is_gone:
            return document_response(status_success(self._kind, wish.name, uid=stored.object.metadata.uid))
        return await self._answer(form, stored)

    async def _delete_collection(self, request: Request, wish: Wish) -> Response:
        form, options = _form(request), await self._delete_options(request)
        selection = self._selection(request, wish)
        page = await self._object_reader.list(selection, read_list_options(request.query_params))
        await self._delete_all(page, replace(wish, dry_run=options.dry_run), options)
        return await self._list_answer(form, page)

    async def _delete_all(self, page: Page, wish: Wish, options: DeleteOptions) -> None:
        for wire in page.items:
            meta = wire["metadata"]
            # What has gone by itself is gone.
            with contextlib.suppress(NotFound):
                one = replace(wish, namespace=meta.get("namespace", ""), name=meta["name"])
                await self._object_writer.delete(one, options.preconditions, policy=options.policy)

    async def _delete_options(self, request: Request) -> DeleteOptions:
        payload = await read_body(request)
        return await aside_if(is_costly(payload), lambda: read_delete_options(request, payload))

    async def _decoding(self, request: Request, validation: FieldValidation) -> tuple[bytes, Callable[[], Decoded]]:
        payload, content_type = await read_body(request), request.headers.get("content-type", "")
        return payload, lambda: decode_object(self._kind, payload, content_type, field_validation=validation)

    async def _replacement(
        self, request: Request, wish: Wish, *, subresource: str = ""
    ) -> tuple[_Form, Wish, Mutation]:
        form, options = _form(request), read_write_options(request.query_params, "UpdateOptions")
        payload, decode = await self._decoding(request, options.field_validation)
        decoded = await aside_if(is_costly(payload), decode)
        check_replacement(decoded, namespace=wish.namespace, name=wish.name)
        change = replacing(decoded, self._author(request, options, subresource=subresource))
        prepared = PreparedMutation(change, is_costly=is_costly(payload))
        return form, replace(wish, dry_run=options.dry_run), prepared

    async def _patching(self, request: Request, wish: Wish, *, subresource: str = "") -> tuple[_Form, Wish, Mutation]:
        form, options = _form(request), read_write_options(request.query_params, "PatchOptions")
        author = self._author(request, options, subresource=subresource)
        content_type, payload = request.headers.get("content-type", ""), await read_body(request)
        change = await aside_if(
            is_costly(payload),
            lambda: patching(payload, content_type, author=author, validation=options.field_validation),
        )
        prepared = PreparedMutation(change, is_costly=is_costly(payload))
        return form, replace(wish, dry_run=options.dry_run), prepared

    async def _applied(self, request: Request, wish: Wish) -> tuple[_Form, WriteOptions, Body, bool]:
        """Also whether the body is large."""
        form, options = _form(request), read_write_options(request.query_params, "PatchOptions", is_apply=True)
        find_repeated = options.field_validation is not FieldValidation.IGNORE
        payload = await read_body(request)
        body = await aside_if(
            is_costly(payload),
            lambda: parse_configuration(payload, self._kind, wish.name, find_repeated=find_repeated),
        )
        return form, options, body, is_costly(payload)

    def _is_apply(self, request: Request) -> bool:
        """Which kind of patch it is; raises UnsupportedMediaType before anything else is looked at."""
        content_type = request.headers.get("content-type", "")
        is_apply = check_patch_type(content_type, api_version=self._kind.api_version) == APPLY_PATCH
        if is_apply and self._kind == REGARDING_EVENT:
            raise UnsupportedMediaType(
                "events of this group do not support server-side apply; apply them as core v1 events"
            )
        return is_apply

    def _author(self, request: Request, options: WriteOptions, *, subresource: str = "") -> Author:
        manager = author_name(options.field_manager, request.headers.get("user-agent", ""))
        return Author(manager=manager, kind=self._kind, subresource=subresource, now=datetime.now(UTC))

    async def _answer(
        self, form: _Form, stored: Stored, *, status: int = 200, warnings: tuple[str, ...] = ()
    ) -> Response:
        def render() -> Response:
            wire, said = to_client(self._kind, stored.object), (*warnings, *stored.warnings)
            return object_response(self._kind, wire, form.representation, form.include, status=status, warnings=said)

        return await aside_if(is_large(stored.object), render)


def _name(request: Request) -> str:
    """The object that a request is about; of a creation once its body has been read."""
    return str(request.path_params.get("name") or getattr(request.state, "object_name", ""))


def _form(request: Request, *, is_stream: bool = False) -> _Form:
    text = request.query_params.get("includeObject", IncludeObject.METADATA)
    try:
        include = IncludeObject(text)
    except ValueError as error:
        raise BadRequest(f"includeObject must be one of {', '.join(IncludeObject)}") from error
    return _Form(negotiate(request.headers.get("accept", ""), is_stream=is_stream), include)
