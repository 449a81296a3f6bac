"""The page `/docs`: all that it loads is ours, and the browser is told to keep it so."""

import hashlib
import re
from collections.abc import Mapping
from html.parser import HTMLParser
from importlib.resources import files
from typing import Final

import pytest

from tests.integration.gateway.api_client import SECRETS, Answer, Api
from tests.integration.gateway.conftest import Running

FOLDER: Final = files("chandlery_gateway") / "docs_page"
SUM: Final = re.compile(r"\| `([^`]+)` \| `([0-9a-f]{64})` \|")

# The page does not depend on the database.
_ON = pytest.mark.parametrize("store", ["sqlite"], indirect=True, scope="session")
pytestmark = [_ON, pytest.mark.usefixtures("store")]


class _Loaded(HTMLParser):
    """What a page loads, and the scripts and styles that are written into it."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.inline: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in ("script", "link", "img", "iframe"):
            address = given.get("src") or given.get("href")
            self.addresses.append(address) if address else self.inline.append(tag)
        self.inline += [name for name in given if name.startswith("on") or name == "style"]


async def _page(gateway: Running, path: str) -> Answer:
    answer = await gateway.as_user(None).get(path)
    assert answer.status == 200
    return answer


def _sniffing(headers: Mapping[str, str]) -> list[str]:
    """What is said about guessing types, as often as it is said."""
    return [value for name, value in headers.items() if name.lower() == "x-content-type-options"]


@pytest.mark.asyncio(loop_scope="session")
async def test_page_loads_nothing_from_elsewhere(gateway: Running) -> None:
    loaded = _Loaded()
    loaded.feed((await _page(gateway, "/docs")).payload.decode())
    assert loaded.inline == []
    scripts = [address for address in loaded.addresses if not address.startswith("data:")]
    assert scripts == ["/docs/swagger-ui.css", "/docs/swagger-ui-bundle.js", "/docs/start.js"]
    for address in (*scripts, "/docs/openapi.json", "/docs/license", "/docs/notice", "/docs/licenses"):
        assert len((await _page(gateway, address)).payload) > 20
    styles = (await _page(gateway, "/docs/swagger-ui.css")).payload.decode()
    assert not re.search(r"@import|url\(\s*(?![\"']?data:)", styles)


@pytest.mark.parametrize("path", ["/docs", "/docs/start.js", "/docs/openapi.json"])
@pytest.mark.asyncio(loop_scope="session")
async def test_browser_is_told_to_load_frame_and_tell_nothing_elsewhere(gateway: Running, path: str) -> None:
    headers = (await _page(gateway, path)).headers
    policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["form-action"] == policy["base-uri"] == "'none'"
    assert "http" not in headers["Content-Security-Policy"]
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert _sniffing(headers) == ["nosniff"]


@pytest.mark.asyncio(loop_scope="session")
async def test_no_answer_is_taken_for_a_page(gateway: Running, api: Api) -> None:
    for answer in (
        await api.get(SECRETS),
        await api.get("/nowhere"),
        await gateway.as_user(None).get(SECRETS),
        await api.get("/readyz"),
    ):
        assert _sniffing(answer.headers) == ["nosniff"]
        assert "html" not in answer.headers["Content-Type"]


@pytest.mark.asyncio(loop_scope="session")
async def test_page_is_sent_once_for_each_release(gateway: Running) -> None:
    first = await _page(gateway, "/docs/swagger-ui-bundle.js")
    again = await gateway.as_user(None).call(
        "GET", "/docs/swagger-ui-bundle.js", headers={"If-None-Match": first.headers["ETag"]}
    )
    assert (again.status, again.payload) == (304, b"")


def test_swagger_ui_is_as_it_was_published() -> None:
    sums = dict(SUM.findall((FOLDER / "README.md").read_text()))
    assert len(sums) == 5
    for name, expected in sums.items():
        assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == expected
