"""The engine: what it shows, and what it is refused for."""

import pytest
from sqlalchemy import text

from chandlery.model.faults import ConfigurationFault
from chandlery.store.connection.engine import open_engine


def test_an_engine_shows_no_password() -> None:
    engine = open_engine("postgresql://u:hunter2@127.0.0.1:1/d", application_name="test")

    assert "hunter2" not in f"{engine!r}{engine.url!r}"
    assert "127.0.0.1:1" in repr(engine.url.host)


@pytest.mark.parametrize("text", ["postgresql://u:hunter2@h:port/d", "postgresql://u:hunter2@h/d?sslmod=require"])
def test_an_address_that_cannot_be_used_opens_no_engine(text: str) -> None:
    with pytest.raises(ConfigurationFault):
        open_engine(text, application_name="test")


async def test_what_sqlite_has_committed_is_on_the_disk(sqlite_url: str) -> None:
    """FULL (2): the log is written through at each commit. With NORMAL a power cut takes the last commits back."""
    engine = open_engine(sqlite_url, application_name="test")
    async with engine.connect() as connection:
        assert (await connection.execute(text("PRAGMA synchronous"))).scalar() == 2
        assert (await connection.execute(text("PRAGMA journal_mode"))).scalar() == "wal"
    await engine.dispose()
