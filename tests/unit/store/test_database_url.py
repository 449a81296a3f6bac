"""The database's URL is read as libpq reads it, and no password is shown whatever is wrong with it."""

import pytest

from chandlery.model.faults import ConfigurationFault
from chandlery.store.connection.database_url import DatabaseUrl, Host, read_database_url


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+asyncpg", "postgresql+psycopg"])
def test_all_names_of_postgresql_are_taken(scheme: str) -> None:
    url = read_database_url(f"{scheme}://u:p@h:5433/d")

    assert url == DatabaseUrl(backend="postgresql", hosts=(Host("h", 5433),), user="u", password="p", database="d")


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("postgresql://h/d", [Host("h", None)]),
        ("postgresql:///d", [Host(None, None)]),
        ("postgresql://h1,h2:5433/d", [Host("h1", None), Host("h2", 5433)]),
        ("postgresql://[::1]:5433,[fe80::1%25eth0]/d", [Host("::1", 5433), Host("fe80::1%eth0", None)]),
        ("postgresql://%2Frun%2Fpostgresql/d", [Host("/run/postgresql", None)]),
        ("postgresql:///d?host=/run/postgresql&port=5433", [Host("/run/postgresql", 5433)]),
        ("postgresql:///d?host=h1,h2&port=1,2", [Host("h1", 1), Host("h2", 2)]),
        ("postgresql:///d?host=h1,h2&port=5433", [Host("h1", 5433), Host("h2", 5433)]),
        ("postgresql://h1,h2/d?port=5433", [Host("h1", 5433), Host("h2", 5433)]),
    ],
)
def test_hosts_are_found_wherever_they_are_named(text: str, hosts: list[Host]) -> None:
    assert list(read_database_url(text).hosts) == hosts


def test_what_is_encoded_is_decoded_and_a_plus_is_a_plus() -> None:
    url = read_database_url("postgresql://a%40b:p%2Fw%3F@h/my%20db?options=-c%20a%3Db+c&application_name=")

    assert (url.user, url.password, url.database) == ("a@b", "p/w?", "my db")
    assert url.parameters == {"options": "-c a=b+c"}


def test_login_and_database_can_be_parameters() -> None:
    url = read_database_url("postgresql://h/d?user=ann&password=hunter2&dbname=shop")

    assert (url.user, url.password, url.database, url.parameters) == ("ann", "hunter2", "shop", {})


def test_a_file_of_sqlite_is_found() -> None:
    assert read_database_url("sqlite:////var/lib/chandlery.db").database == "/var/lib/chandlery.db"
    assert read_database_url("sqlite:///file.db").place == "file.db"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://u:hunter2@h/d", "postgresql://u@h:5432/d"),
        ("postgresql://u:hunter2@h1,h2:1/d?password=hunter2", "postgresql://u@h1:5432,h2:1/d"),
        ("postgresql://h/d?sslmode=require&sslpassword=hunter2", "postgresql://h:5432/d?sslmode=require"),
        ("sqlite:////tmp/a.db", "sqlite:////tmp/a.db"),
    ],
)
def test_a_url_is_shown_without_what_is_secret(text: str, shown: str) -> None:
    url = read_database_url(text)

    assert url.shown == shown
    assert "hunter2" not in f"{url!r}{url.place}"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "looks like postgresql://user@host/name"),
        ("hunter2", "looks like postgresql://user@host/name"),
        ("mysql://u:hunter2@h/d", "'mysql' are not supported"),
        ("hunter2 hunter2://h", "'this kind' are not supported"),
        ("postgresql://u:p@ss:hunter2@h/d", "%40 for an @"),
        ("postgresql://u:hunter2@h:port/d", "cannot be read"),
        ("postgresql://u:hunter2@[::1/d", "cannot be read"),
        ("postgresql://u:hunter2@h:70000/d", "from 1 to 65535"),
        ("postgresql://u:wh?hunter2@h/d", "not of the form name=value"),
        ("postgresql://u:hunter2@h/d?sslmode", "not of the form name=value"),
        ("postgresql://u:hunter2@h/d?host=a,b&port=1,2,3", "2 hosts and 3 ports"),
        ("postgresql://u:hunter2@h/d?sslmod=require", "unknown parameter 'sslmod'; did you mean \"sslmode\""),
        ("postgresql://u:hunter2@h/d?conect_timeout=3", 'did you mean "connect_timeout"'),
        ("postgresql://u:hunter2@h/d?zzz=3", "unknown parameter 'zzz'; see PostgreSQL's documentation"),
        ("postgresql://u:hunter2@h/d?statement_cache_size=0", "unknown parameter 'statement_cache_size'"),
        ("postgresql://u:hunter2@h/d?sslmode=on", "sslmode is 'on'; it can be: allow, disable"),
        ("postgresql://u:hunter2@h/d?target_session_attrs=rw", "it can be: any, prefer-standby"),
        ("postgresql://u:hunter2@h/d?connect_timeout=3s", "'3s'; it is a whole number"),
        ("postgresql://u:hunter2@h/d?channel_binding=require", "it can be: disable, prefer"),
        ("postgresql://u:hunter2@h/d?hostaddr=127.0.0.1", "does not support"),
        ("postgresql://u:hunter2@h/d?sslrootcert=system&sslmode=require", "needs sslmode=verify-full"),
        ("postgresql://u:hunter2@h/d?sslnegotiation=direct", "needs sslmode=require"),
        ("postgresql://u:hunter2@h/d?tcp_user_timeout=99999999999", "it is a whole number, up to 2147483647"),
        ("postgresql://u:hunter2@h/d?keepalives_idle=40000", "it is a whole number, up to 32767"),
        ("postgresql://u:hunter2@h/d?application_name=%00", "cannot be read"),
        ("postgresql://u:hunter2@h/d%00", "cannot be read"),
        (f"postgresql://u:hunter2@{'x' * 64}/d", "a host whose name is too long"),
        (f"postgresql://u:hunter2@/d?host=h,{'x' * 64}", "a host whose name is too long"),
        ("sqlite:///%00", "cannot be read"),
        ("sqlite://", "must name a file"),
        ("sqlite:///:memory:", "must name a file"),
        ("sqlite:///file.db?hunter=2", "takes no parameters"),
        ("sqlite://u:hunter2@h/file.db", "three slashes"),
    ],
)
def test_a_url_that_cannot_be_used_is_one_sentence_without_the_password(text: str, words: str) -> None:
    with pytest.raises(ConfigurationFault) as raised:
        read_database_url(text)

    assert words in raised.value.message
    assert "hunter2" not in f"{raised.value!r} {raised.value.__cause__!r}"


@pytest.mark.parametrize("name", ["sslmode", "connect_timeout", "zz\x1b[31mz"])
def test_a_message_repeats_no_more_than_a_piece_of_what_is_wrong(name: str) -> None:
    with pytest.raises(ConfigurationFault) as raised:
        read_database_url(f"postgresql://h/d?{name}={'x' * 300_000}")

    assert len(raised.value.message) < 500
    assert raised.value.message.isprintable()
