"""Handlers that read objects of one kind: get, list, watch. The pipeline has seen to it that the user may."""

from collections.abc import Mapping

from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from chandlery.model.faults import BadRequest
from chandlery.model.objects.instances import UserInfo
from chandlery.model.objects.kinds import SECRET, Kind
from chandlery_gateway.http.pipeline import STILL_KNOWN, WATCH_HAS_BEGUN, WATCH_SHOWS, Handler
from chandlery_gateway.http.rendering import answer_form, list_response, object_response
from chandlery_gateway.identity.audit.audit_event import note_object, note_related, uids_shown
from chandlery_gateway.identity.authorization import Access, Authorizer, Reach, access_to
from chandlery_gateway.kube.query.list_options import is_watch, read_list_options, read_number, read_watch_options
from chandlery_gateway.kube.query.negotiation import Form
from chandlery_gateway.kube.query.selectors import parse_field_selector, parse_label_selector
from chandlery_gateway.read.object_reader import ObjectReader
from chandlery_gateway.read.selection import Selection
from chandlery_gateway.watch.watch_hub import WatchHub
from chandlery_gateway.watch.watch_rights import WatchRights
from chandlery_gateway.watch.watch_stream import WatchRequest, WatchStream

_NO_NAME = frozenset("/%")


class ReadHandlers:
    """The handlers of one kind. That the user may has been decided; lists and watches ask what they may see of it."""

    def __init__(self, kind: Kind, *, authorizer: Authorizer, object_reader: ObjectReader, hub: WatchHub) -> None:
        self._kind = kind
        self._authorizer = authorizer
        self._object_reader = object_reader
        self._hub = hub

    @property
    def by_operation(self) -> Mapping[str, Handler]:
        """Each operation's handler."""
        return {"get": self._get, "get_status": self._get, "list": self._list}

    async def _get(self, request: Request, _user: UserInfo) -> Response:
        form, version = answer_form(request), read_number(request.query_params, "resourceVersion")
        params = request.path_params
        if form.representation.form is Form.METADATA:
            # So the cluster's collector asks, which takes another uid, too, for an owner that is gone.
            await self._object_reader.require_memory(self._kind)
        found = await self._object_reader.get(self._kind, params.get("namespace", ""), params["name"], version=version)
        note_object(found)
        return await object_response(self._kind, found, form)

    async def _list(self, request: Request, user: UserInfo) -> Response:
        """Also answers a watch, which is a list with `watch` in its query."""
        if is_watch(request.query_params):
            return await self._watch(request, user)
        form, reach = answer_form(request), await reach_of_get(self._authorizer, self._kind, request, user)
        selection = selection_of(self._kind, request, reach)
        page = await self._object_reader.list(selection, read_list_options(request.query_params))
        if self._kind is SECRET:
            note_related(uid for wire in page.items for uid in uids_shown(wire))
        return await list_response(self._kind, page, form)

    async def _watch(self, request: Request, user: UserInfo) -> Response:
        form = answer_form(request, is_stream=True)
        rights = WatchRights(
            self._authorizer,
            watching=access_of_list(self._kind, "watch", request, user),
            getting=_getting(self._kind, request, user),
            check_known=request.scope[STILL_KNOWN],
        )
        selection = selection_of(self._kind, request, await rights.begin())
        watch = WatchRequest(
            selection=selection,
            rights=rights,
            options=read_watch_options(request.query_params),
            representation=form.representation,
            include_object=form.include,
            on_begun=request.scope.get(WATCH_HAS_BEGUN, lambda: None),
            on_shown=request.scope[WATCH_SHOWS] if self._kind is SECRET else None,
        )
        stream = WatchStream(watch, self._hub, self._object_reader)
        lines = stream.lines(await stream.start())
        return StreamingResponse(lines, media_type=form.representation.content_type)


def access_of_list(kind: Kind, verb: str, request: Request, user: UserInfo) -> Access:
    """What a list or a watch wants to do. One that is for a single name counts as being about this object.

    Rule: Kubernetes' `RequestInfo`.
    """
    namespace = request.path_params.get("namespace", "")
    return access_to(kind, verb, user=user, namespace=namespace, name=_selected_name(kind, request))


def _selected_name(kind: Kind, request: Request) -> str:
    text = request.query_params.get("fieldSelector", "")
    if not text:
        return ""
    try:
        name = parse_field_selector(kind, text).required_equalities().get("metadata.name", "")
    except BadRequest:
        # Said to those who may list.
        return ""
    return "" if name in (".", "..") or not _NO_NAME.isdisjoint(name) else name


def _getting(kind: Kind, request: Request, user: UserInfo) -> Access:
    return access_to(kind, "get", user=user, namespace=request.path_params.get("namespace", ""), name="")


async def reach_of_get(authorizer: Authorizer, kind: Kind, request: Request, user: UserInfo) -> Reach:
    """Which of the objects that the path is about the user may get."""
    return await authorizer.reach(_getting(kind, request, user))


def selection_of(kind: Kind, request: Request, reach: Reach) -> Selection:
    """The objects that the path and the selectors of the query are about, as far as they are within reach."""
    query = request.query_params
    return Selection(
        kind=kind,
        namespace=request.path_params.get("namespace") or None,
        labels=parse_label_selector(query.get("labelSelector", "")),
        fields=parse_field_selector(kind, query.get("fieldSelector", "")),
        reach=reach,
    )
