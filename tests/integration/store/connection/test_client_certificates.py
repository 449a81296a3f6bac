"""PostgreSQL that asks its clients for certificates (`cert`, `clientcert`): each service logs in by its own."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from chandlery.model.faults import ConfigurationFault, Refused, Unavailable
from chandlery.store.connection.engine import open_engine
from chandlery.store.revisions import current_revision
from machine.ports import LOOPBACK
from tests.integration.store.connection.private_postgres import PrivatePostgres, private_postgres
from tests.support.authority import Authority

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), "company")


@pytest.fixture(scope="module")
def server(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivatePostgres]:
    with private_postgres(tmp_path_factory.mktemp("postgres")) as running:
        running.trust(authority, LOOPBACK)
        running.tell(
            "CREATE ROLE shop_gateway LOGIN",
            "CREATE ROLE shop_binder LOGIN PASSWORD 'hunter2'",
            "CREATE ROLE unused LOGIN",
        )
        running.allow(
            f"hostssl all shop_gateway {LOOPBACK}/32 cert",
            f"hostssl all shop_binder {LOOPBACK}/32 scram-sha-256 clientcert=verify-full",
        )
        yield running


def _url(
    server: PrivatePostgres, authority: Authority, user: str, pair: tuple[Path, Path] | None, *, host: str = LOOPBACK
) -> str:
    files = f"&sslcert={pair[0]}&sslkey={pair[1]}" if pair else ""
    query = f"sslmode=verify-full&sslrootcert={authority.certificate}{files}"
    return server.url(user, host=host, query=query)


async def _user(url: str) -> str:
    engine = open_engine(url, application_name="chandlery-test")
    try:
        async with asyncio.timeout(60), engine.connect() as connection:
            return str((await connection.execute(text("SELECT current_user"))).scalar())
    finally:
        await engine.dispose()


async def _refusal(url: str) -> str:
    engine = open_engine(url, application_name="chandlery-test")
    try:
        async with asyncio.timeout(60):
            with pytest.raises(Refused) as refused:
                await current_revision(engine)
    finally:
        await engine.dispose()
    assert refused.value.is_setting
    assert "hunter2" not in refused.value.message
    assert "\n" not in refused.value.message
    return refused.value.message


@pytest.mark.parametrize("user", ["shop_gateway", "shop_binder"])
async def test_a_certificate_lets_its_role_in(server: PrivatePostgres, authority: Authority, user: str) -> None:
    assert await _user(_url(server, authority, user, authority.issue(user))) == user


async def test_a_renewed_certificate_counts_for_new_connections_of_the_same_pool(
    server: PrivatePostgres, authority: Authority
) -> None:
    pair = authority.issue("shop_gateway", file="renewed")
    engine = open_engine(_url(server, authority, "shop_gateway", pair), application_name="chandlery-test")
    try:
        authority.issue("somebody", file="renewed")
        with pytest.raises(Refused, match="certificate authentication failed"):
            await current_revision(engine)
        authority.issue("shop_gateway", file="renewed")
        assert await current_revision(engine) is None
    finally:
        await engine.dispose()


async def test_who_has_no_certificate_or_that_of_another_role_is_told_what_to_check(
    server: PrivatePostgres, authority: Authority
) -> None:
    without = await _refusal(_url(server, authority, "shop_binder", None))
    other = await _refusal(_url(server, authority, "shop_gateway", authority.issue("shop_binder", file="other")))

    for message in (without, other):
        assert "check the user, sslcert and sslkey in CHANDLERY_DATABASE_URL" in message


async def test_a_certificate_of_an_unknown_authority_is_named_with_its_file(
    server: PrivatePostgres, authority: Authority, tmp_path: Path
) -> None:
    pair = Authority(tmp_path, "unknown").issue("shop_gateway")

    engine = open_engine(_url(server, authority, "shop_gateway", pair), application_name="chandlery-test")
    try:
        async with asyncio.timeout(60):
            with pytest.raises(Unavailable, match=rf"certificate: unknown ca|may refuse the certificate {pair[0]}"):
                await current_revision(engine)
    finally:
        await engine.dispose()


async def test_a_certificate_that_has_expired_is_named_before_anything_is_waited_for(
    server: PrivatePostgres, authority: Authority
) -> None:
    pair = authority.issue("shop_gateway", file="expired", is_expired=True)

    with pytest.raises(ConfigurationFault, match=rf"sslcert {pair[0]} cannot be used: it expired on 20"):
        open_engine(_url(server, authority, "shop_gateway", pair), application_name="chandlery-test")


async def test_a_server_of_another_authority_or_name_is_refused_with_the_file(
    server: PrivatePostgres, authority: Authority, tmp_path: Path
) -> None:
    pair, other = authority.issue("shop_gateway"), Authority(tmp_path, "stranger")

    unknown = await _refusal(_url(server, other, "shop_gateway", pair))
    misnamed = await _refusal(_url(server, authority, "shop_gateway", pair, host="localhost"))

    assert f"check sslrootcert ({other.certificate}), sslmode and the host's name" in unknown
    assert "certificate is not valid for 'localhost'" in misnamed


async def test_a_server_without_tls_is_refused(postgresql_url: str, authority: Authority) -> None:
    engine = open_engine(
        f"{postgresql_url}?sslmode=verify-full&sslrootcert={authority.certificate}", application_name="chandlery-test"
    )
    try:
        with pytest.raises(
            Unavailable, match="does not support TLS, but sslmode in CHANDLERY_DATABASE_URL requires it"
        ):
            await current_revision(engine)
    finally:
        await engine.dispose()
