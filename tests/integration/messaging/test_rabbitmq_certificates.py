"""RabbitMQ over TLS that asks its clients for certificates: on a real server, with certificates good and bad."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from yarl import URL

from chandlery.messaging.rabbitmq.connecting.rabbitmq_urls import TlsFiles
from chandlery.messaging.rabbitmq.rabbitmq_bus import RabbitBus
from chandlery.model.faults import ConfigurationFault, Refused
from tests.integration.messaging.conftest import Recorder, command
from tests.integration.messaging.private_rabbitmq import PrivateRabbitmq, private_rabbitmq
from tests.support.authority import Authority
from tests.support.waiting import SOON

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateRabbitmq]:
    with private_rabbitmq(tmp_path_factory.mktemp("rabbitmq")) as running:
        yield running


def _files(server: PrivateRabbitmq, pair: tuple[Path, Path] | None = None, *, ca: Path | None = None) -> TlsFiles:
    certificate, key = pair or (None, None)
    return TlsFiles(ca=ca or server.authority.certificate, certificate=certificate, key=key)


def _bus(url: str, tls: TlsFiles) -> RabbitBus:
    return RabbitBus(url, connection_name="test", prefix="test-", patience_seconds=SOON, tls=tls)


async def _works(bus: RabbitBus) -> None:
    recorder = Recorder()
    try:
        async with asyncio.timeout(SOON):
            await bus.start()
            await bus.consume(["ServiceInstance"], "lane-1", recorder, concurrency=1)
            await bus.publish([command(1)])
        await recorder.until_finished(1)
    finally:
        await bus.close()


async def _refusal(url: str, tls: TlsFiles) -> str:
    bus = _bus(url, tls)
    try:
        async with asyncio.timeout(SOON):
            with pytest.raises(Refused) as refused:
                await bus.start()
    finally:
        await bus.close()
    message = refused.value.message
    assert refused.value.is_setting
    assert (URL(url).password or "hunter2") not in message
    assert "\n" not in message
    return message


async def test_a_certificate_is_shown_beside_a_password(server: PrivateRabbitmq) -> None:
    await _works(_bus(server.url, _files(server, server.authority.issue("anybody"))))


async def test_a_certificate_is_the_login_where_the_url_names_no_user(server: PrivateRabbitmq) -> None:
    await _works(_bus(server.url_without_user, _files(server, server.authority.issue("chandlery"))))


async def test_a_renewed_certificate_counts_for_the_next_connection(server: PrivateRabbitmq, tmp_path: Path) -> None:
    unknown = Authority(tmp_path, "unknown")
    certificate, key = server.authority.issue("chandlery", file="renewed")
    bus = _bus(server.url_without_user, _files(server, (certificate, key)))
    # The files change after the settings were read: it is connections that read them.
    for source, target in zip(unknown.issue("chandlery"), (certificate, key), strict=True):
        target.write_bytes(source.read_bytes())
    try:
        async with asyncio.timeout(SOON):
            with pytest.raises(Refused, match="unknown ca"):
                await bus.start()
    finally:
        await bus.close()
    server.authority.issue("chandlery", file="renewed")

    await _works(_bus(server.url_without_user, _files(server, (certificate, key))))


async def test_a_certificate_of_an_unknown_authority_is_named(server: PrivateRabbitmq, tmp_path: Path) -> None:
    certificate, key = Authority(tmp_path, "unknown").issue("chandlery")

    message = await _refusal(server.url, _files(server, (certificate, key)))

    assert f"refuses the certificate {certificate} (CHANDLERY_AMQP_CERT_FILE): unknown ca" in message


async def test_a_certificate_that_has_expired_is_named_before_anything_is_waited_for(server: PrivateRabbitmq) -> None:
    expired = server.authority.issue("chandlery", file="expired", is_expired=True)

    with pytest.raises(ConfigurationFault, match=rf"CHANDLERY_AMQP_CERT_FILE {expired[0]} .* expired on 20"):
        _bus(server.url, _files(server, expired))


async def test_a_certificate_that_expires_between_two_connections_is_named(server: PrivateRabbitmq) -> None:
    certificate, key = server.authority.issue("chandlery", file="ageing")
    bus = _bus(server.url, _files(server, (certificate, key)))
    server.authority.issue("chandlery", file="ageing", is_expired=True)
    try:
        async with asyncio.timeout(SOON):
            with pytest.raises(Refused, match=rf"refuses the certificate {certificate} .*: it expired on 20"):
                await bus.start()
    finally:
        await bus.close()


async def test_a_server_whose_authority_is_not_ours_is_refused(server: PrivateRabbitmq, tmp_path: Path) -> None:
    other = Authority(tmp_path, "other").certificate

    message = await _refusal(server.url, _files(server, server.authority.issue("chandlery"), ca=other))

    assert f"check CHANDLERY_AMQP_CA_FILE ({other}) and the host's name in CHANDLERY_AMQP_URL" in message


async def test_a_server_of_another_name_is_refused(server: PrivateRabbitmq) -> None:
    url = str(URL(server.url).with_host("localhost"))

    message = await _refusal(url, _files(server, server.authority.issue("chandlery")))

    assert "is refused: Hostname mismatch, certificate is not valid for 'localhost'" in message


async def test_a_server_without_tls_is_named(server: PrivateRabbitmq) -> None:
    url = str(URL(server.plain_url).with_scheme("amqps"))

    message = await _refusal(url, _files(server, server.authority.issue("chandlery")))

    assert "does not speak TLS; check amqps:// and the port in CHANDLERY_AMQP_URL" in message


def test_a_key_without_a_certificate_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationFault, match="CHANDLERY_AMQP_KEY_FILE needs CHANDLERY_AMQP_CERT_FILE"):
        _bus("amqps://u:p@h/", TlsFiles(key=tmp_path / "key"))


def test_files_for_tls_without_tls_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationFault, match="CHANDLERY_AMQP_CERT_FILE has an effect only with amqps://"):
        _bus("amqp://u:hunter2@h/", TlsFiles(certificate=tmp_path / "certificate"))
