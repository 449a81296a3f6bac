"""Sessions of browsers, in a whole gateway that has them composed in: they serve our pages, and no page of others."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any, Final

import pytest
import pytest_asyncio
from starlette.types import Scope

from chandlery.model.faults import BadRequest
from chandlery_gateway import main as gateway_main
from chandlery_gateway.app import create_app
from chandlery_gateway.identity.sessions import sessions as sessions_module
from chandlery_gateway.identity.sessions.session_authenticator import SessionAuthenticator
from chandlery_gateway.identity.sessions.sessions import COOKIE, Session, Sessions
from tests.integration.gateway.api_client import SECRETS, Answer, Api, namespace, secret
from tests.integration.gateway.conftest import TOKEN, Running, migrated_url, serving
from tests.security.fuzz.fuzzed_gateway import fuzz_settings

OURS: Final = "https://console.example.com"
THEIRS: Final = "https://elsewhere.example.com"
KEY: Final = b"k" * 32
ANN: Final = "token-of-ann-the-developer"


AUTHENTICATORS: Final[list[SessionAuthenticator]] = []
"""Of the gateways with sessions that have been started."""


class Clock:
    """Tells the time that a test wants."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def sessions_of(clock: Clock, *keys: bytes) -> Sessions:
    return Sessions(keys or (KEY,), origins=[OURS], idle_seconds=600, most_seconds=3600, clock=clock)


class Browser:
    """Logs in as a page of ours does, and sends what it is told with its cookie."""

    def __init__(self, gateway: Running) -> None:
        self.gateway = gateway
        self.cookie = self.csrf = ""

    async def log_in(self, token: str = TOKEN, **headers: str) -> Answer:
        answer = await Api(self.gateway.session, token).call("POST", "/session", headers={"Origin": OURS, **headers})
        if answer.status == 201:
            self.cookie = answer.headers["Set-Cookie"].partition(";")[0]
            self.csrf = answer.document["csrfToken"]
        return answer

    async def send(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """With the cookie; headers are given by their names, with `_` for `-`, and an empty one is left out."""
        sent = {"Cookie": self.cookie, **{name.replace("_", "-"): value for name, value in headers.items() if value}}
        return await Api(self.gateway.session, None).call(method, path, body, headers=sent)

    async def changes(self, name: str, **headers: str) -> Answer:
        """Create a Secret, as a page of ours does unless headers say otherwise."""
        ours = {"Origin": OURS, "Sec_Fetch_Site": "same-origin", "X_CSRF_Token": self.csrf}
        return await self.send("POST", SECRETS, secret(name, key="value"), **{**ours, **headers})


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def with_sessions(
    request: pytest.FixtureRequest, store: str, clock: Clock, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Running]:
    """A gateway with sessions, and a database of its own."""

    def create(*given: Any, authenticator: Any, **options: Any) -> Any:
        AUTHENTICATORS.append(SessionAuthenticator(authenticator, sessions_of(clock)))
        return create_app(*given, authenticator=AUTHENTICATORS[-1], **options)

    with migrated_url(request, store, tmp_path_factory) as url:
        settings = fuzz_settings(url, tmp_path_factory.mktemp("sessions"), administrator=TOKEN)
        async with AsyncExitStack() as stack:
            with pytest.MonkeyPatch.context() as patch:
                # While it starts: others that start later have no sessions.
                patch.setattr(gateway_main, "create_app", create)
                running = await stack.enter_async_context(serving(settings))
            yield running


@pytest_asyncio.fixture(loop_scope="session")
async def browser(with_sessions: Running) -> Browser:
    await with_sessions.clear()
    await with_sessions.api.made("/api/v1/namespaces", namespace("team"))
    browser = Browser(with_sessions)
    assert (await browser.log_in()).status == 201
    return browser


pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_cookie_is_for_this_host_over_tls_alone_and_for_no_script(browser: Browser) -> None:
    answer = await browser.log_in()
    name, *attributes = answer.headers["Set-Cookie"].split("; ")
    assert name.startswith("__Host-")
    assert set(attributes) == {"Path=/", "Secure", "HttpOnly", "SameSite=Strict", "Max-Age=600"}
    assert TOKEN not in str(answer.headers) + answer.payload.decode()
    assert answer.headers["Cache-Control"] == "no-store"


async def test_page_of_ours_reads_and_changes_as_its_user(browser: Browser) -> None:
    who = await browser.send("GET", "/session", Sec_Fetch_Site="same-origin")
    assert (who.document["username"], who.document["csrfToken"]) == ("admin", browser.csrf)
    assert (await browser.send("GET", SECRETS)).status == 200
    assert (await browser.changes("made-by-a-page")).status == 201


async def test_a_token_can_be_reviewed_where_there_are_sessions(browser: Browser) -> None:
    reviews = "/apis/authentication.k8s.io/v1/tokenreviews"
    told = [
        (await browser.gateway.api.made(reviews, {"spec": {"token": token}}))["status"].get("authenticated", False)
        for token in (TOKEN, "another-token-of-nobody")
    ]
    assert told == [True, False]


@pytest.mark.parametrize(
    ("headers", "says"),
    [
        ({"Origin": THEIRS, "Sec_Fetch_Site": "cross-site"}, "page of another origin"),
        ({"Origin": THEIRS, "Sec_Fetch_Site": ""}, "Origin is not one of"),
        ({"Origin": "null", "Sec_Fetch_Site": ""}, "Origin is not one of"),
        ({"Origin": OURS, "Sec_Fetch_Site": "same-site"}, "page of another origin"),
        ({"Origin": "", "Sec_Fetch_Site": "none"}, "page of another origin"),
        ({"Origin": "", "Sec_Fetch_Site": ""}, "neither Origin nor"),
        ({"Origin": f"{OURS}.example.org", "Sec_Fetch_Site": ""}, "Origin is not one of"),
        ({"Origin": OURS.replace("https", "http"), "Sec_Fetch_Site": ""}, "Origin is not one of"),
        ({"Origin": f"{OURS}:8443", "Sec_Fetch_Site": ""}, "Origin is not one of"),
        ({"X_CSRF_Token": ""}, "X-CSRF-Token"),
        ({"X_CSRF_Token": "guessed"}, "X-CSRF-Token"),
        ({"X_CSRF_Token": "guessed-\u00fc".encode().decode("latin-1")}, "X-CSRF-Token"),
    ],
    ids=str,
)
async def test_change_by_a_page_of_others_is_refused_and_makes_nothing(
    browser: Browser, headers: dict[str, str], says: str
) -> None:
    answer = await browser.changes("made-elsewhere", **headers)
    assert (answer.status, answer.document["reason"]) == (403, "Forbidden")
    assert says in answer.message
    assert (await browser.gateway.api.get(f"{SECRETS}/made-elsewhere")).status == 404


async def test_form_of_another_page_is_refused(browser: Browser) -> None:
    form = {"Content_Type": "application/x-www-form-urlencoded", "Origin": THEIRS, "Sec_Fetch_Site": "cross-site"}
    assert (await browser.send("POST", SECRETS, b"a=b", **form)).status == 403
    assert (await browser.send("DELETE", SECRETS, **form)).status == 403


async def test_csrf_token_is_that_of_one_session(browser: Browser) -> None:
    other = Browser(browser.gateway)
    await other.log_in()
    assert other.csrf != browser.csrf
    assert (await browser.changes("crossed", X_CSRF_Token=other.csrf)).status == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_cookie_does_not_count_for_what_another_page_loads(browser: Browser, site: str) -> None:
    assert (await browser.send("GET", SECRETS, Sec_Fetch_Site=site)).status == 403
    assert (await browser.send("GET", SECRETS, Sec_Fetch_Site="none")).status == 200, "somebody has typed it"


@pytest.mark.parametrize("headers", [{"Origin": THEIRS}, {"Sec-Fetch-Site": "cross-site"}], ids=str)
async def test_nobody_is_logged_in_by_a_page_of_others(browser: Browser, headers: dict[str, str]) -> None:
    answer = await Browser(browser.gateway).log_in(**headers)
    assert answer.status == 403
    assert "Set-Cookie" not in answer.headers


async def test_only_who_has_a_token_begins_a_session(browser: Browser) -> None:
    for token in ("a-token-that-nobody-has", TOKEN[:-1]):
        answer = await Browser(browser.gateway).log_in(token)
        assert (answer.status, "Set-Cookie" in answer.headers) == (401, False)
    again = await browser.send("POST", "/session", Origin=OURS, Sec_Fetch_Site="same-origin", X_CSRF_Token=browser.csrf)
    assert again.status == 403, "a session does not make another one"


async def test_who_logs_out_is_out_whoever_has_a_copy_of_the_cookie(browser: Browser) -> None:
    copied = browser.cookie
    assert (await browser.send("DELETE", "/session", Origin=OURS)).status == 403
    answer = await browser.send("DELETE", "/session", Origin=OURS, X_CSRF_Token=browser.csrf)
    assert answer.status == 204
    assert "Max-Age=0" in answer.headers["Set-Cookie"]
    assert '"cookies"' in answer.headers["Clear-Site-Data"]
    browser.cookie = copied
    assert (await browser.send("GET", SECRETS)).status == 401


async def test_bearer_token_goes_by_itself_whatever_cookie_is_there(browser: Browser) -> None:
    ann = {"Authorization": f"Bearer {ANN}", "Cookie": browser.cookie, "Origin": THEIRS}
    who = await browser.gateway.api.call(
        "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {"kind": "SelfSubjectReview"}, headers=ann
    )
    assert who.document["status"]["userInfo"]["username"] == "ann"
    wrong = {"Authorization": "Bearer a-token-that-nobody-has", "Cookie": browser.cookie}
    assert (await browser.gateway.api.call("GET", SECRETS, headers=wrong)).status == 401


@pytest.mark.parametrize(
    "spoil",
    [
        lambda cookie: cookie[:200] + ("A" if cookie[200] != "A" else "B") + cookie[201:],
        lambda cookie: cookie[:-4],
        lambda cookie: f"{COOKIE}=",
        lambda cookie: f"{COOKIE}={'A' * 5_000}",
        lambda cookie: f"{cookie}; {cookie}",
        lambda cookie: cookie.replace("__Host-", ""),
        lambda cookie: f"{COOKIE}={Sessions([b'o' * 32], origins=[]).cookie(Session('i', TOKEN, 1)).partition('=')[2]}",
    ],
    ids=["changed", "shorter", "empty", "huge", "twice", "other name", "other key"],
)
async def test_cookie_that_was_not_made_here_opens_nothing(browser: Browser, spoil: Any) -> None:
    browser.cookie = spoil(browser.cookie)
    assert (await browser.send("GET", SECRETS)).status == 401


async def test_session_ends_when_it_is_idle_and_at_the_latest_after_some_hours(browser: Browser, clock: Clock) -> None:
    clock.now += 590
    renewed = await browser.send("GET", "/session", Sec_Fetch_Site="same-origin")
    old, browser.cookie = browser.cookie, renewed.headers["Set-Cookie"].partition(";")[0]
    clock.now += 20
    assert (await browser.send("GET", SECRETS)).status == 200
    browser.cookie = old
    assert (await browser.send("GET", SECRETS)).status == 401, "it was not renewed"
    browser.cookie = renewed.headers["Set-Cookie"].partition(";")[0]
    for _ in range(5):
        clock.now += 580
        answer = await browser.send("GET", "/session", Sec_Fetch_Site="same-origin")
        if answer.status == 200:
            browser.cookie = answer.headers["Set-Cookie"].partition(";")[0]
    clock.now += 580
    assert (await browser.send("GET", SECRETS)).status == 401, "an hour is over"


async def test_gateway_without_sessions_takes_no_cookie(gateway: Running, browser: Browser) -> None:
    plain = Browser(gateway)
    plain.cookie = browser.cookie
    assert (await plain.send("GET", SECRETS)).status == 401
    assert (await plain.log_in()).status == 404


async def test_token_that_is_gone_ends_its_sessions(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    ann = Browser(browser.gateway)
    assert (await ann.log_in(ANN)).status == 201
    assert (await ann.send("GET", "/session", Sec_Fetch_Site="same-origin")).status == 200
    asked: list[str] = []

    class Nobody:
        """Knows no token any more."""

        async def authenticate(self, scope: Scope) -> None:
            asked.extend(value.decode() for name, value in scope["headers"] if name == b"authorization")

    monkeypatch.setattr(AUTHENTICATORS[-1], "_authenticator", Nobody())
    assert (await ann.send("GET", "/session", Sec_Fetch_Site="same-origin")).status == 401
    assert asked == [f"Bearer {ANN}"]


async def test_keys_can_be_rotated() -> None:
    clock = Clock()
    old, both, new = (sessions_of(clock, *keys) for keys in ([b"a" * 32], [b"b" * 32, b"a" * 32], [b"b" * 32]))
    session = old.begin("token")
    cookie = old.cookie(session).partition(";")[0].partition("=")[2]
    assert both.open(cookie) == session
    assert both.is_csrf_token(old.csrf_token(session), session)
    assert new.open(cookie) is None
    with pytest.raises(ValueError, match="32 bytes"):
        sessions_of(clock, b"short")


async def test_token_is_not_told_and_one_that_is_too_long_is_refused() -> None:
    sessions = sessions_of(Clock())
    assert "secret" not in repr(sessions.begin("secret"))
    with pytest.raises(BadRequest, match="too long for a session's cookie"):
        sessions.cookie(sessions.begin("x" * 4_000))
    sessions.cookie(sessions.begin("x" * 2_500))


async def test_who_has_logged_out_is_remembered_within_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions_module, "_MOST_ENDED", 3)
    clock = Clock()
    sessions = sessions_of(clock)
    every = [sessions.begin("token") for _ in range(5)]
    clock.now += 1
    for each in every[:4]:
        sessions.end(each)
    assert len(sessions._ended) <= 3
    for each in every:
        cookie = sessions.cookie(each).partition(";")[0].partition("=")[2]
        assert sessions.open(cookie) is None, "who is forgotten does not come back"
    later = sessions.begin("token")
    assert sessions.open(sessions.cookie(later).partition(";")[0].partition("=")[2]) == later
