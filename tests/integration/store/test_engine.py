"""The database's address: read without showing its password, whatever is wrong with it."""

import pytest

from chandlery.model.faults import ConfigurationFault
from chandlery.store.engine import open_engine, parse_url


@pytest.mark.parametrize(
    ("text", "driver"),
    [
        ("postgresql://u:p@h/d", "postgresql+asyncpg"),
        ("postgres://u:p@h/d", "postgresql+asyncpg"),
        ("postgresql+psycopg://u:p@h/d", "postgresql+asyncpg"),
        ("sqlite:///file.db", "sqlite+aiosqlite"),
    ],
)
def test_an_address_gets_the_driver_that_we_have(text: str, driver: str) -> None:
    assert parse_url(text).drivername == driver


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hunter2",
        "mysql://u:hunter2@h/d",
        "postgresql://u:p@ss:hunter2@h/d",
        "postgresql://u:hunter2@h:port/d",
        "postgresql://u:hunter2@[::1/d",
    ],
)
def test_a_bad_address_is_a_configuration_fault_without_the_password(text: str) -> None:
    with pytest.raises(ConfigurationFault) as raised:
        parse_url(text)

    chain = f"{raised.value!r} {raised.value.__cause__!r}"
    assert "hunter2" not in chain


def test_an_engine_shows_no_password() -> None:
    engine = open_engine("postgresql://u:hunter2@127.0.0.1:1/d", application_name="test")

    assert "hunter2" not in repr(engine)
