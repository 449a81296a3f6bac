"""Calls through a proxy that is a process of its own: it resolves names, and sees no more than it must."""

import os
import socket
from pathlib import Path

import pytest

from chandlery.lookup.broker_egress import egress_of
from chandlery.model.faults import ConfigurationFault
from chandlery.osb.client import OsbClient
from chandlery.osb.endpoint import BasicAuth
from chandlery.osb.transport.egress import Egress
from chandlery.osb.transport.egress_proxy import EgressProxy
from chandlery.reconcile.answers import Answer, Verdict
from chandlery.reconcile.egress.egress_policy import EgressPolicy
from chandlery.reconcile.egress.egress_rules import LOOPBACK, NO_RULES, EgressRules, parse_rules
from chandlery.settings.settings import Settings
from tests.security.egress import egress_programs
from tests.security.egress.egress_programs import RunningProgram, answer, broker, issue, program, server_tls
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

ANN = BasicAuth("ann", "hunter2")


def through(
    port: int, file: Path | None = None, *, bypass: EgressRules = NO_RULES, policy: EgressPolicy | None = None
) -> OsbClient:
    proxy = EgressProxy(f"http://127.0.0.1:{port}", credentials_file=file, bypass=bypass)
    return OsbClient(Egress(cluster=policy or EgressPolicy(), proxy=proxy))


async def catalog(client: OsbClient, url: str, **more: object) -> Answer:
    return await egress_programs.catalog(client, url, authorization=ANN, **more)


async def seen_by(proxy: RunningProgram, count: int) -> list[tuple[str, str, bool]]:
    await eventually(lambda: len(proxy.seen) >= count, what="requests at the proxy")
    return [(each["method"], each["target"], each["has_credentials"]) for each in proxy.seen]


async def test_http_and_https_go_through_the_proxy_which_alone_knows_the_name(tmp_path: Path) -> None:
    file = tmp_path / "credentials"
    file.write_text("chandlery:pr0xy\n")
    issued, heads = issue("tls.brokers.test"), []

    async def respond(head: str) -> bytes:
        heads.append(head)
        return answer()

    async with (
        program("proxy_process.py", str(file)) as proxy,
        broker(respond) as plain,
        broker(respond, tls=server_tls(tmp_path, issued)) as secure,
    ):
        client = through(proxy.port, file)
        told = [
            await catalog(client, f"http://plain.brokers.test:{plain}"),
            await catalog(client, f"https://tls.brokers.test:{secure}", ca_bundle=issued.bundle),
            await catalog(client, f"https://tls.brokers.test:{secure}", ca_bundle=issued.bundle),
        ]
        await client.close()
        assert [each.verdict for each in told] == [Verdict.SUCCEEDED] * 3
        # The tunnel is used for both calls, and the broker never sees what is for the proxy.
        assert await seen_by(proxy, 2) == [
            ("GET", f"http://plain.brokers.test:{plain}/v2/catalog", True),
            ("CONNECT", f"tls.brokers.test:{secure}", True),
        ]
        assert [each["broker_sees"] for each in proxy.seen] == [True, False]
    assert len(heads) == 3
    assert all("proxy-authorization" not in head.lower() and ANN.header in head for head in heads)


async def test_credentials_of_the_proxy_are_read_again_when_they_change(tmp_path: Path) -> None:
    file = tmp_path / "credentials"
    file.write_text("chandlery:pr0xy")

    async def respond(_head: str) -> bytes:
        return answer()

    async with program("proxy_process.py", str(file)) as proxy, broker(respond) as port:
        client = through(proxy.port, file)
        url = f"http://plain.brokers.test:{port}"
        assert (await catalog(client, url)).verdict == Verdict.SUCCEEDED
        replaced = tmp_path / "new"
        replaced.write_text("chandlery:an0ther")
        os.replace(replaced, file)  # noqa: PTH105 - as Kubernetes does
        # The proxy goes by the new ones at once; we look at the file every two seconds.
        again = await eventually(lambda: catalog(client, url), lambda told: told.verdict == Verdict.SUCCEEDED)
        assert "an0ther" not in repr(again)
        await client.close()
        assert {each["has_credentials"] for each in proxy.seen} == {True}


async def test_proxy_that_refuses_or_is_away_is_told_apart_from_the_broker(tmp_path: Path) -> None:
    file, wrong = tmp_path / "credentials", tmp_path / "wrong"
    file.write_text("chandlery:pr0xy")
    wrong.write_text("chandlery:wr0ng")
    async with program("proxy_process.py", str(file)) as proxy:
        client = through(proxy.port, wrong)
        told = await catalog(client, "https://tls.brokers.test:1")
        await client.close()
    assert told.verdict == Verdict.UNREACHABLE
    assert "the egress proxy answered 407" in str(told.description)
    with socket.socket() as nobody:
        # Bound, and not listened on.
        nobody.bind(("127.0.0.1", 0))
        client = through(nobody.getsockname()[1])
        told = await catalog(client, "https://tls.brokers.test:1")
        await client.close()
    assert "the egress proxy cannot be reached (connection refused)" in str(told.description)


async def test_policy_holds_through_a_proxy_for_addresses_and_names(tmp_path: Path) -> None:
    async with program("proxy_process.py") as proxy:
        client = through(proxy.port, policy=EgressPolicy().narrowed(allow=parse_rules("*.brokers.test 10.0.0.0/8")))
        hosts = ("127.0.0.1:1", "169.254.169.254", "localhost:1", "elsewhere.test", "0x7f.1")
        told = [await catalog(client, f"http://{host}") for host in hosts]
        await client.close()
        assert proxy.seen == []
    assert [each.verdict for each in told] == [Verdict.UNREACHABLE] * len(hosts)


async def test_what_is_to_bypass_the_proxy_is_called_directly() -> None:
    async def respond(_head: str) -> bytes:
        return answer()

    async with program("proxy_process.py") as proxy, broker(respond) as port:
        policy = EgressPolicy(trusted=parse_rules(LOOPBACK))
        client = through(proxy.port, bypass=parse_rules("127.0.0.0/8"), policy=policy)
        assert (await catalog(client, f"http://127.0.0.1:{port}")).verdict == Verdict.SUCCEEDED
        await client.close()
        assert proxy.seen == []


@pytest.mark.parametrize("text", [None, "no colon", "two:lines\nof:it", b"\xff\xfe:x"])
async def test_file_with_credentials_that_cannot_be_used_is_told_without_its_text(
    tmp_path: Path, text: str | bytes | None
) -> None:
    file = tmp_path / "credentials"
    if text is not None:
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
    client = through(1, file)
    told = await catalog(client, "https://tls.brokers.test")
    await client.close()
    assert told.verdict == Verdict.UNREACHABLE
    assert "the file with the egress proxy's credentials" in str(told.description)
    assert not text or str(text) not in str(told)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"broker_proxy": "https://proxy:1"}, "CHANDLERY_BROKER_PROXY: must be http://host:port"),
        ({"broker_proxy": "http://u:pw@proxy:1"}, "credentials go into CHANDLERY_BROKER_PROXY_CREDENTIALS_FILE"),
        ({"broker_proxy": "proxy:1"}, "CHANDLERY_BROKER_PROXY: must be an absolute URL"),
        ({"broker_no_proxy": "a/b"}, "CHANDLERY_BROKER_NO_PROXY: 'a/b' is not a network"),
        ({"broker_deny": "10.0.0.1/8"}, "CHANDLERY_BROKER_DENY: '10.0.0.1/8' is not a network"),
        ({"tenant_broker_allow": "?"}, "CHANDLERY_TENANT_BROKER_ALLOW: '?' is not a network"),
    ],
)
async def test_settings_that_cannot_be_meant_are_named(given: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigurationFault) as caught:
        egress_of(Settings(**given))  # type: ignore[arg-type]
    assert words in caught.value.message
    assert "pw" not in caught.value.message
