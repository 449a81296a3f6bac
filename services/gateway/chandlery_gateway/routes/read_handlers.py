"""Handlers that read objects of one kind: get, list, watch. The pipeline has seen to it that the user may."""

from collections.abc import Iterator, Mapping

from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from chandlery.model.objects.instances import UserInfo
from chandlery.model.objects.kinds import SECRET, Kind
from chandlery_gateway.http.pipeline import WATCH_HAS_BEGUN, Handler
from chandlery_gateway.http.rendering import answer_form, list_response, object_response
from chandlery_gateway.identity.audit.audit_event import note_object, note_related
from chandlery_gateway.kube.query.list_options import is_watch, read_list_options, read_number, read_watch_options
from chandlery_gateway.kube.query.selectors import parse_field_selector, parse_label_selector
from chandlery_gateway.read.object_reader import ObjectReader, Page
from chandlery_gateway.read.selection import Selection
from chandlery_gateway.watch.watch_hub import WatchHub
from chandlery_gateway.watch.watch_stream import WatchRequest, WatchStream


class ReadHandlers:
    """The handlers of one kind. None of them asks who the user is: that has been decided."""

    def __init__(self, kind: Kind, *, object_reader: ObjectReader, hub: WatchHub) -> None:
        self._kind = kind
        self._object_reader = object_reader
        self._hub = hub

    @property
    def by_operation(self) -> Mapping[str, Handler]:
        """Each operation's handler."""
        return {"get": self._get, "list": self._list}

    async def _get(self, request: Request, _user: UserInfo) -> Response:
        form, version = answer_form(request), read_number(request.query_params, "resourceVersion")
        params = request.path_params
        found = await self._object_reader.get(self._kind, params.get("namespace", ""), params["name"], version=version)
        note_object(found)
        return await object_response(self._kind, found, form)

    async def _list(self, request: Request, _user: UserInfo) -> Response:
        """Also answers a watch, which is a list with `watch` in its query."""
        if is_watch(request.query_params):
            return await self._watch(request)
        form, selection = answer_form(request), selection_of(self._kind, request)
        page = await self._object_reader.list(selection, read_list_options(request.query_params))
        if self._kind is SECRET:
            note_related(_shown(page))
        return await list_response(self._kind, page, form)

    async def _watch(self, request: Request) -> Response:
        form, selection = answer_form(request, is_stream=True), selection_of(self._kind, request)
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


def _shown(page: Page) -> Iterator[str]:
    """The uids of what a page shows, and of its owners: whoever asks who has read a credential asks by the owner's."""
    for wire in page.items:
        metadata = wire["metadata"]
        yield metadata.get("uid", "")
        yield from (owner["uid"] for owner in metadata.get("ownerReferences", ()))


def selection_of(kind: Kind, request: Request) -> Selection:
    """The objects that the path and the selectors of the query are about."""
    query = request.query_params
    return Selection(
        kind=kind,
        namespace=request.path_params.get("namespace") or None,
        labels=parse_label_selector(query.get("labelSelector", "")),
        fields=parse_field_selector(kind, query.get("fieldSelector", "")),
    )
