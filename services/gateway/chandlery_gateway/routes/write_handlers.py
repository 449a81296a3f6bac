"""Handlers that change objects of one kind: create, replace, patch and apply, delete.

Each reads what the request says, hands it to `object_writer` and renders what is stored then. The pipeline has seen to
it that the user may; an apply that creates asks again, since creating is something else.
"""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from fastapi import Request, Response

from chandlery.model.faults import AlreadyExists, Forbidden, NotFound
from chandlery.model.objects.instances import UserInfo
from chandlery.model.objects.kinds import SECRET, AnyObject, Kind
from chandlery.model.objects.metadata import ObjectMeta
from chandlery.process.aside import aside_if
from chandlery_gateway.http.pipeline import Handler
from chandlery_gateway.http.rendering import AnswerForm, answer_form, document_response, list_response, object_response
from chandlery_gateway.http.request_bodies import read_body
from chandlery_gateway.identity.audit.audit_event import note_object
from chandlery_gateway.identity.authorization import EVERYTHING, Authorizer, access_to, check_allowed, namespace_asked
from chandlery_gateway.kube.apply.field_shapes import STATUS
from chandlery_gateway.kube.apply.managed_fields import Author
from chandlery_gateway.kube.apply.server_side_apply import parse_configuration
from chandlery_gateway.kube.body.bodies import Body, is_costly
from chandlery_gateway.kube.body.decoding import Decoded, FieldValidation, decode_object
from chandlery_gateway.kube.kinds.regarding_events import REGARDING_EVENT
from chandlery_gateway.kube.patch.patches import APPLY_PATCH, check_patch_type, finds_out
from chandlery_gateway.kube.printing.status_objects import status_success
from chandlery_gateway.kube.query.list_options import read_list_options
from chandlery_gateway.kube.query.negotiation import UnsupportedMediaType
from chandlery_gateway.kube.query.request_options import WriteOptions, author_name, read_write_options
from chandlery_gateway.read.object_reader import ObjectReader, Page
from chandlery_gateway.read.selection import Selection
from chandlery_gateway.routes.delete_options import DeleteOptions, read_delete_options
from chandlery_gateway.routes.read_handlers import reach_of_get, selection_of
from chandlery_gateway.write.mutations import (
    PreparedMutation,
    applying,
    check_replacement,
    created,
    first_applying,
    patching,
    replacing,
)
from chandlery_gateway.write.object_writer import ObjectWriter
from chandlery_gateway.write.write_requests import Deletion, Mutation, Stored, WriteRequest

_CREATED = 201
_TRIES = 10
_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


class WriteHandlers:
    """The handlers of one kind."""

    def __init__(
        self, kind: Kind, *, authorizer: Authorizer, object_writer: ObjectWriter, object_reader: ObjectReader
    ) -> None:
        self._kind = kind
        self._authorizer = authorizer
        self._object_writer = object_writer
        self._object_reader = object_reader

    @property
    def by_operation(self) -> Mapping[str, Handler]:
        """Each operation's handler."""
        return {
            "create": self._create,
            "replace": self._replace,
            "patch": self._patch,
            "delete": self._delete,
            "delete_collection": self._delete_collection,
            "replace_status": self._replace_status,
            "patch_status": self._patch_status,
        }

    async def _create(self, request: Request, user: UserInfo) -> Response:
        form, options = answer_form(request), read_write_options(request.query_params, "CreateOptions")
        payload, decode = await self._decoding(request, options.field_validation)
        author = self._author(request, options)

        def make() -> tuple[Decoded, AnyObject]:
            decoded = decode()
            request.state.object_name = decoded.object.metadata.name
            return decoded, created(decoded, author)

        decoded, document = await aside_if(is_costly(payload), make)
        write = self._write_request(request, user, dry_run=options.dry_run)
        stored = await self._object_writer.create(write, document)
        return await self._answer(form, stored, status=_CREATED, warnings=decoded.warnings)

    async def _replace(self, request: Request, user: UserInfo) -> Response:
        form, write, mutation = await self._replacement(request, user)
        return await self._answer_change(form, write, await self._object_writer.change(write, mutation))

    async def _replace_status(self, request: Request, user: UserInfo) -> Response:
        form, write, mutation = await self._replacement(request, user, subresource=STATUS)
        return await self._answer(form, await self._object_writer.change_status(write, mutation))

    async def _patch(self, request: Request, user: UserInfo) -> Response:
        if self._is_apply(request):
            return await self._apply(request, user)
        form, write, mutation = await self._patching(request, user)
        return await self._answer_change(form, write, await self._object_writer.patch(write, mutation))

    async def _patch_status(self, request: Request, user: UserInfo) -> Response:
        if self._is_apply(request):
            form, options, body, is_large_body = await self._applied(request)
            author = self._author(request, options, subresource=STATUS)
            applied = applying(body, author=author, validation=options.field_validation, force=options.force)
            mutation: Mutation = PreparedMutation(applied, is_costly=is_large_body)
            write = self._write_request(request, user, dry_run=options.dry_run)
        else:
            form, write, mutation = await self._patching(request, user, subresource=STATUS)
        return await self._answer(form, await self._object_writer.change_status(write, mutation, tries=_TRIES))

    async def _apply(self, request: Request, user: UserInfo) -> Response:
        """Server-side apply: changes the object that is there, or creates it."""
        form, options, body, is_large_body = await self._applied(request)
        author, validation = self._author(request, options), options.field_validation
        applied = applying(body, author=author, validation=validation, force=options.force)
        mutation = PreparedMutation(applied, is_costly=is_large_body)
        write = self._write_request(request, user, dry_run=options.dry_run)
        for _ in range(_TRIES):
            try:
                return await self._answer_change(form, write, await self._object_writer.patch(write, mutation))
            except NotFound:
                await self._require_create(write)
                first = await aside_if(
                    is_large_body, lambda: first_applying(body, author=author, validation=validation)
                )
            with contextlib.suppress(AlreadyExists):
                stored = await self._object_writer.create(write, first.object)
                return await self._answer(form, stored, status=_CREATED, warnings=first.warnings)
        raise AlreadyExists

    async def _require_create(self, write: WriteRequest) -> None:
        access = access_to(self._kind, "create", user=write.user, namespace=write.namespace, name=write.name)
        check_allowed(access, await self._authorizer.decide(access))

    async def _delete(self, request: Request, user: UserInfo) -> Response:
        form, options = answer_form(request), await self._delete_options(request)
        write = self._write_request(request, user, dry_run=options.dry_run)
        stored = await self._object_writer.delete(write, options.preconditions, policy=options.policy)
        reach = await reach_of_get(self._authorizer, self._kind, request, user)
        if stored.is_gone or not reach.has(namespace_asked(self._kind, write.namespace, write.name), write.name):
            note_object(stored.object)
            return document_response(status_success(self._kind, write.name, uid=stored.object.metadata.uid))
        return await self._answer(form, stored)

    async def _delete_collection(self, request: Request, user: UserInfo) -> Response:
        form, options = answer_form(request), await self._delete_options(request)
        selection, listing = selection_of(self._kind, request, EVERYTHING), read_list_options(request.query_params)
        reach = await reach_of_get(self._authorizer, self._kind, request, user)
        if not reach.is_everything:
            # The token of the next page would name an object that the answer must not.
            listing = replace(listing, limit=0)
        page = await self._object_reader.list(selection, listing)
        await self._delete_all(page, self._write_request(request, user, dry_run=options.dry_run), options)
        return await list_response(self._kind, _within(page, replace(selection, reach=reach)), form)

    async def _delete_all(self, page: Page, write: WriteRequest, options: DeleteOptions) -> None:
        places = ((wire["metadata"].get("namespace", ""), wire["metadata"]["name"]) for wire in page.items)
        await self._object_writer.delete_all(
            Deletion(
                request=replace(write, namespace=namespace, name=name),
                preconditions=options.preconditions,
                policy=options.policy,
            )
            for namespace, name in places
        )

    async def _delete_options(self, request: Request) -> DeleteOptions:
        payload = await read_body(request)
        return await aside_if(is_costly(payload), lambda: read_delete_options(request, payload))

    async def _decoding(self, request: Request, validation: FieldValidation) -> tuple[bytes, Callable[[], Decoded]]:
        payload, content_type = await read_body(request), request.headers.get("content-type", "")
        return payload, lambda: decode_object(self._kind, payload, content_type, field_validation=validation)

    async def _replacement(
        self, request: Request, user: UserInfo, *, subresource: str = ""
    ) -> tuple[AnswerForm, WriteRequest, Mutation]:
        form, options = answer_form(request), read_write_options(request.query_params, "UpdateOptions")
        payload, decode = await self._decoding(request, options.field_validation)
        decoded = await aside_if(is_costly(payload), decode)
        write = self._write_request(request, user, dry_run=options.dry_run)
        check_replacement(decoded, namespace=write.namespace, name=write.name)
        replacement = replacing(decoded, self._author(request, options, subresource=subresource))
        return form, write, PreparedMutation(replacement, is_costly=is_costly(payload))

    async def _patching(
        self, request: Request, user: UserInfo, *, subresource: str = ""
    ) -> tuple[AnswerForm, WriteRequest, Mutation]:
        form, options = answer_form(request), read_write_options(request.query_params, "PatchOptions")
        author = self._author(request, options, subresource=subresource)
        content_type, payload = request.headers.get("content-type", ""), await read_body(request)
        patch = await aside_if(
            is_costly(payload),
            lambda: patching(payload, content_type, author=author, validation=options.field_validation),
        )
        write = self._write_request(request, user, dry_run=options.dry_run)
        if not await self._may_read(write) and await aside_if(is_costly(payload), lambda: finds_out(payload)):
            raise Forbidden(
                f'User "{user.username}" may not read this Secret, so a JSON patch of it may not test, move or copy; '
                "use add, replace and remove, or another kind of patch"
            )
        return form, write, PreparedMutation(patch, is_costly=is_costly(payload))

    async def _applied(self, request: Request) -> tuple[AnswerForm, WriteOptions, Body, bool]:
        """Also whether the body is large."""
        form, options = answer_form(request), read_write_options(request.query_params, "PatchOptions", is_apply=True)
        find_repeated = options.field_validation is not FieldValidation.IGNORE
        name, payload = request.path_params["name"], await read_body(request)
        body = await aside_if(
            is_costly(payload), lambda: parse_configuration(payload, self._kind, name, find_repeated=find_repeated)
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

    def _write_request(self, request: Request, user: UserInfo, *, dry_run: bool) -> WriteRequest:
        params = request.path_params
        namespace, name = params.get("namespace", ""), params.get("name", "")
        return WriteRequest(
            kind=self._kind, namespace=namespace, name=name, user=user, verb=_VERBS[request.method], dry_run=dry_run
        )

    def _author(self, request: Request, options: WriteOptions, *, subresource: str = "") -> Author:
        manager = author_name(options.field_manager, request.headers.get("user-agent", ""))
        return Author(manager=manager, kind=self._kind, subresource=subresource, now=datetime.now(UTC))

    async def _may_read(self, write: WriteRequest) -> bool:
        """Of other kinds everything is told to whoever may write them, as Kubernetes does."""
        if self._kind is not SECRET:
            return True
        reading = access_to(self._kind, "get", user=write.user, namespace=write.namespace, name="")
        return (await self._authorizer.reach(reading)).has(write.namespace, write.name)

    async def _answer_change(self, form: AnswerForm, write: WriteRequest, stored: Stored) -> Response:
        """Who may not read a Secret is not shown what was in it before."""
        note_object(stored.object)
        if not await self._may_read(write):
            stored = replace(stored, object=_nameplate(stored.object))
        return await self._answer(form, stored)

    async def _answer(
        self, form: AnswerForm, stored: Stored, *, status: int = 200, warnings: tuple[str, ...] = ()
    ) -> Response:
        note_object(stored.object)
        said = (*warnings, *stored.warnings)
        return await object_response(self._kind, stored.object, form, status=status, warnings=said)


def _nameplate(document: AnyObject) -> AnyObject:
    """The object without anything that somebody has put into it."""
    names = ("name", "namespace", "uid", "resource_version", "creation_timestamp")
    metadata = ObjectMeta(**{name: getattr(document.metadata, name) for name in names})
    return type(document)(metadata=metadata)


def _within(page: Page, selection: Selection) -> Page:
    """Of a page what its reader may get."""
    metadata = ((wire, wire["metadata"]) for wire in page.items)
    shown = [wire for wire, meta in metadata if selection.shows(meta.get("namespace", ""), meta["name"])]
    return replace(page, items=shown)
