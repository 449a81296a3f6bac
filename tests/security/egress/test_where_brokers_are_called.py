"""Where connections to service brokers lead, whatever names and servers say."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from chandlery.osb.client import OsbClient
from chandlery.osb.endpoint import NOWHERE, BasicAuth, Tenancy
from chandlery.osb.transport import name_lookups
from chandlery.osb.transport.egress import TRUSTING_LOOPBACK, Egress
from chandlery.reconcile.answers import Verdict
from chandlery.reconcile.egress.egress_policy import EgressPolicy
from chandlery.reconcile.egress.egress_rules import parse_rules
from tests.security.egress.egress_programs import answer, broker, catalog

pytestmark = pytest.mark.asyncio(loop_scope="session")

TRUSTED = parse_rules("127.0.0.1/32")


@pytest_asyncio.fixture(loop_scope="session")
async def strict() -> AsyncIterator[OsbClient]:
    client = OsbClient(Egress())
    yield client
    await client.close()


@pytest_asyncio.fixture(loop_scope="session")
async def trusting() -> AsyncIterator[OsbClient]:
    client = OsbClient(TRUSTING_LOOPBACK)
    yield client
    await client.close()


def slow_names(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Every name leads to this machine, those that begin with `slow` not before the event is set."""
    going_on = asyncio.Event()
    loop = asyncio.get_running_loop()

    def look_up(name: str, _family: int) -> list[str]:
        if name.startswith("slow"):
            asyncio.run_coroutine_threadsafe(going_on.wait(), loop).result()
        return ["127.0.0.1"]

    monkeypatch.setattr(name_lookups, "_look_up", look_up)
    return going_on


class Names:
    """A name server of the test's own, in place of the system's."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **answers: list[list[str]]) -> None:
        self.asked: list[str] = []
        self._answers = {name.replace("_", "."): iter(each) for name, each in answers.items()}
        monkeypatch.setattr(name_lookups, "_look_up", self._look_up)

    def _look_up(self, name: str, _family: int) -> list[str]:
        self.asked.append(name)
        try:
            return next(self._answers[name])
        except (KeyError, StopIteration):
            raise socket.gaierror(socket.EAI_NONAME, "unknown") from None


class Counting:
    """A broker that counts who comes."""

    def __init__(self) -> None:
        self.heads: list[str] = []

    async def __call__(self, head: str) -> bytes:
        self.heads.append(head)
        return answer()


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "0",
        "0.0.0.0",
        "localhost",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[::1]",
        "[::]",
        "\uff11\uff12\uff17.0.0.1",
    ],
)
async def test_this_machine_is_not_called_by_any_of_its_names(strict: OsbClient, host: str) -> None:
    seen = Counting()
    async with broker(seen) as port:
        told = await catalog(strict, f"http://{host}:{port}")
    assert (told.verdict, seen.heads) == (Verdict.UNREACHABLE, [])


async def test_a_name_is_judged_by_what_it_resolves_to(strict: OsbClient, monkeypatch: pytest.MonkeyPatch) -> None:
    Names(monkeypatch, innocent_example=[["127.0.0.1"]], mapped_example=[["::ffff:127.0.0.1"]])
    seen = Counting()
    async with broker(seen) as port:
        told = [await catalog(strict, f"http://{name}.example:{port}") for name in ("innocent", "mapped")]
    assert [each.verdict for each in told] == [Verdict.UNREACHABLE] * 2
    assert "is a loopback address, where no service broker is called" in str(told[0].description)
    assert seen.heads == []


async def test_a_name_is_resolved_once_for_a_connection(trusting: OsbClient, monkeypatch: pytest.MonkeyPatch) -> None:
    # The second answer would lead elsewhere; it is never asked for ("DNS rebinding").
    names = Names(monkeypatch, broker_example=[["127.0.0.1"], ["169.254.169.254"]])
    seen = Counting()
    async with broker(seen) as port:
        told = [await catalog(trusting, f"http://broker.example:{port}") for _ in range(3)]
    assert [each.verdict for each in told] == [Verdict.SUCCEEDED] * 3
    assert (names.asked, len(seen.heads)) == (["broker.example"], 3)


async def test_only_the_allowed_ones_of_a_names_addresses_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    Names(monkeypatch, both_example=[["127.0.0.2", "127.0.0.1"]], none_example=[["127.0.0.2", "127.0.0.3"]])
    client = OsbClient(Egress(cluster=EgressPolicy(trusted=TRUSTED)))
    seen = Counting()
    async with broker(seen) as port:
        told = [await catalog(client, f"http://{name}.example:{port}") for name in ("both", "none")]
    await client.close()
    assert [each.verdict for each in told] == [Verdict.SUCCEEDED, Verdict.UNREACHABLE]


async def test_redirects_lead_nowhere(trusting: OsbClient) -> None:
    seen = Counting()
    async with broker(seen) as inner:

        async def redirect(_head: str) -> bytes:
            return answer(b"", status="307 Temporary Redirect", more=f"Location: http://127.0.0.1:{inner}/\r\n")

        async with broker(redirect) as port:
            told = await catalog(trusting, f"http://127.0.0.1:{port}")
    assert (told.status, seen.heads) == (307, [])


async def test_a_connection_is_not_shared_with_a_broker_that_may_not_have_it(trusting: OsbClient) -> None:
    seen = Counting()
    async with broker(seen) as port:
        url = f"http://127.0.0.1:{port}"
        places = (None, Tenancy("ours"), Tenancy("theirs"), NOWHERE)
        told = [await catalog(trusting, url, tenancy=tenancy) for tenancy in places]
    assert [each.verdict for each in told] == [*[Verdict.SUCCEEDED] * 3, Verdict.TIMED_OUT]
    assert len(seen.heads) == 3


async def test_names_that_nobody_answers_for_hold_up_tenants_alone(
    trusting: OsbClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    going_on = slow_names(monkeypatch)
    async with broker(Counting()) as port:
        slow = [
            asyncio.create_task(catalog(trusting, f"http://slow-{number}.example:{port}", tenancy=Tenancy()))
            for number in range(40)
        ]
        told = await catalog(trusting, f"http://quick.example:{port}")
        assert told.verdict == Verdict.SUCCEEDED
        going_on.set()
        assert {each.verdict for each in await asyncio.gather(*slow)} == {Verdict.SUCCEEDED}


async def test_names_of_one_tenant_that_nobody_answers_for_hold_up_no_other_tenant(
    trusting: OsbClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    going_on = slow_names(monkeypatch)
    async with broker(Counting()) as port:
        slow = [
            asyncio.create_task(catalog(trusting, f"http://slow-{number}.example:{port}", tenancy=Tenancy("theirs")))
            for number in range(40)
        ]
        await asyncio.sleep(0)
        for each in slow[:20]:
            # Whoever has given up leaves a thread that goes on.
            each.cancel()
        told = await catalog(trusting, f"http://quick.example:{port}", tenancy=Tenancy("ours"))
        assert told.verdict == Verdict.SUCCEEDED
        going_on.set()
        assert {each.verdict for each in await asyncio.gather(*slow[20:])} == {Verdict.SUCCEEDED}


@pytest.mark.parametrize(("tenancy", "is_called"), [(None, True), (Tenancy("theirs"), False)])
async def test_a_tenant_does_not_see_by_a_second_address_whether_the_first_one_answers(
    trusting: OsbClient, monkeypatch: pytest.MonkeyPatch, tenancy: Tenancy | None, is_called: bool
) -> None:
    monkeypatch.setattr(name_lookups, "_look_up", lambda *_: ["127.0.0.2", "127.0.0.1"])
    seen = Counting()
    async with broker(seen) as port:
        # Nothing listens there on the first one.
        await catalog(trusting, f"http://two-addresses.example:{port}", tenancy=tenancy)
    assert bool(seen.heads) is is_called


@pytest.mark.parametrize("found", [[], ["fe80::1%eth0"]])
async def test_a_name_without_an_address_is_told_as_one(
    trusting: OsbClient, monkeypatch: pytest.MonkeyPatch, found: list[str]
) -> None:
    monkeypatch.setattr(name_lookups, "_look_up", lambda *_: found)
    told = await catalog(trusting, "http://broker.example")
    assert (told.verdict, "its name cannot be resolved" in str(told.description)) == (Verdict.UNREACHABLE, True)


@pytest.mark.parametrize(
    ("policy", "more", "words"),
    [
        (
            EgressPolicy(trusted=TRUSTED, may_send_plain_credentials=False),
            {"authorization": BasicAuth("ann", "hunter2")},
            "credentials are not sent over plain http",
        ),
        (
            EgressPolicy(trusted=TRUSTED, may_skip_verification=False),
            {"skip_tls_verify": True},
            "remove spec.insecureSkipTLSVerify",
        ),
        (EgressPolicy(trusted=TRUSTED).narrowed(allow=parse_rules("https:")), {}, "uses http"),
        (EgressPolicy(trusted=TRUSTED).narrowed(deny=parse_rules("127.0.0.0/8")), {}, "does not allow"),
    ],
)
async def test_what_is_forbidden_is_refused_at_each_call(
    policy: EgressPolicy, more: dict[str, object], words: str
) -> None:
    # A broker that was stored before the operator decided so.
    client, seen = OsbClient(Egress(cluster=policy)), Counting()
    async with broker(seen) as port:
        told = [await catalog(client, f"http://127.0.0.1:{port}", **more) for _ in range(2)]
    await client.close()
    assert [each.verdict for each in told] == [Verdict.UNREACHABLE] * 2
    assert words in str(told[0].description)
    assert "hunter2" not in str(told)
    assert seen.heads == []
