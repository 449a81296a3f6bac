"""The page `/docs`: Swagger UI with all that it loads, from files of ours. Wants no token, and tells nothing secret.

People paste a token into it. So nothing on it comes from elsewhere or goes there, no other page may frame it, and no
script but these two runs: the headers say so to the browser. See ADR 0019.
"""

import asyncio
import hashlib
from collections.abc import Callable
from functools import cached_property
from importlib.resources import files
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from chandlery.model.json.json_text import write_kept_json
from chandlery_gateway.http.pipeline import Pipeline

OPENAPI_PATH: Final = "/docs/openapi.json"
_FOLDER: Final = files("chandlery_gateway") / "docs_page"
_FILES: Final = {
    "/docs": ("index.html", "text/html; charset=utf-8"),
    "/docs/start.js": ("start.js", "text/javascript; charset=utf-8"),
    "/docs/swagger-ui-bundle.js": ("swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
    "/docs/swagger-ui.css": ("swagger-ui.css", "text/css; charset=utf-8"),
    "/docs/license": ("LICENSE", "text/plain; charset=utf-8"),
    "/docs/notice": ("NOTICE", "text/plain; charset=utf-8"),
    "/docs/licenses": ("swagger-ui-bundle.js.LICENSE.txt", "text/plain; charset=utf-8"),
}
# Its stylesheet has pictures in it. The styles that it sets on elements are set by script, which is no inline style.
_CONTENT_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
PAGE_HEADERS: Final = {
    "Content-Security-Policy": _CONTENT_POLICY,
    # The rest comes with every answer, see web_headers.
    # Asked for again each time, and answered 304 unless the release is another one.
    "Cache-Control": "no-cache",
}


class _Content:
    """One file or document, made when it is first asked for."""

    def __init__(self, make: Callable[[], bytes], media_type: str) -> None:
        self._make = make
        self.media_type = media_type

    @cached_property
    def body(self) -> bytes:
        return self._make()

    @cached_property
    def tag(self) -> str:
        return f'"{hashlib.sha256(self.body).hexdigest()[:32]}"'


def register_docs_page(router: APIRouter, pipeline: Pipeline, describe: Callable[[], dict[str, Any]]) -> None:
    """The routes of the page; `describe` gives the OpenAPI document, which takes a while."""

    def add(path: str, content: _Content) -> None:
        async def handle(request: Request) -> Response:
            # Beside the loop: whoever comes first must not keep everybody else waiting.
            tag = await asyncio.to_thread(lambda: content.tag)
            if request.headers.get("if-none-match") == tag:
                return Response(status_code=304, headers={**PAGE_HEADERS, "ETag": tag})
            return Response(content.body, media_type=content.media_type, headers={**PAGE_HEADERS, "ETag": tag})

        router.add_api_route(
            path, pipeline.open_endpoint(handle, route="docs"), methods=["GET"], include_in_schema=False
        )

    for path, (name, media_type) in _FILES.items():
        add(path, _Content((_FOLDER / name).read_bytes, media_type))
    add(OPENAPI_PATH, _Content(lambda: write_kept_json(describe()), "application/json"))
