"""Documents that stay the same for a release: kept as bytes, and answered 304 to whoever has them.

kube-apiserver asks every minute for discovery and OpenAPI of each API server behind it, with the tag of what it was
last given; kubectl keeps documents on disk by theirs. Rules: RFC 9110, 13.1.2; kube-openapi's handlers.
"""

from collections.abc import Callable, Mapping
from functools import cached_property
from hashlib import sha512
from typing import Final

from fastapi import Request, Response

from chandlery.model.json.json_text import read_written, write_kept_json
from chandlery.model.objects.wire import JsonObject
from chandlery_gateway.http.rendering import yaml_text
from chandlery_gateway.kube.query.negotiation import JSON, YAML

_NOT_MODIFIED: Final = 304
_ANY: Final = "*"
_MAY_KEEP: Final = {"Cache-Control": "no-cache, private", "Vary": "Accept"}
"""Kept by clients, and asked for again each time: as kube-apiserver says it."""


class KeptDocument:
    """One document, made when it is first asked for: some take a while."""

    def __init__(self, make: Callable[[], bytes], *, media_type: str = JSON) -> None:
        """`media_type` is what the bytes are, with parameters."""
        self._make = make
        self.media_type = media_type

    @classmethod
    def of(cls, document: JsonObject, *, media_type: str = JSON) -> "KeptDocument":
        """Of what is a JSON object."""
        return cls(lambda: write_kept_json(document), media_type=media_type)

    @cached_property
    def body(self) -> bytes:
        """The bytes."""
        return self._make()

    @cached_property
    def digest(self) -> str:
        """128 hexadecimal digits, which differ if the bytes do."""
        return sha512(self.body).hexdigest().upper()

    @cached_property
    def in_yaml(self) -> "KeptDocument":
        """The same as YAML."""
        return KeptDocument(lambda: yaml_text(read_written(self.body)), media_type=YAML)


def kept_response(request: Request, kept: KeptDocument, *, headers: Mapping[str, str] = _MAY_KEEP) -> Response:
    """The document, or 304 if the request says that it has been given this one."""
    tag = f'"{kept.digest}"'
    if _has(request.headers.getlist("if-none-match"), tag):
        return Response(status_code=_NOT_MODIFIED, headers={**headers, "ETag": tag})
    return Response(kept.body, headers={**headers, "ETag": tag}, media_type=kept.media_type)


def _has(given: list[str], tag: str) -> bool:
    """Whether one of the tags is this one; weak ones count as well, since a proxy that compresses makes them weak."""
    tags = (each.strip().removeprefix("W/") for value in given for each in value.split(","))
    return any(each in (tag, _ANY) for each in tags)
