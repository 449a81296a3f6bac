"""What is counted of transactions, of connections and of what is sealed, on both databases."""

from collections.abc import AsyncIterator

import pytest

from chandlery.model.faults import Conflict, NotFound, Unavailable
from chandlery.model.objects.core import Secret
from chandlery.model.objects.kinds import SECRET
from chandlery.model.objects.metadata import ObjectMeta
from chandlery.store.connection.engine import open_engine
from chandlery.store.database import Database, UnitOfWork
from chandlery.store.database_errors import LostRace
from chandlery.store.sealing.data_keys import DataKeyLimits
from chandlery.store.sealing.providers.key_provider import KeyProviders
from chandlery.store.sealing.sealing import Keyring, new_key, parse_keys
from chandlery.telemetry.prometheus_metrics import PrometheusMetrics
from tests.integration.store.samples import NOON
from tests.integration.store.sealing.key_hall import Vault
from tests.support.measured.metrics_page import Told, told

TRANSACTIONS, SECONDS = (
    "chandlery_database_transactions_total",
    ("chandlery_database_transaction_duration_seconds_count",),
)
META = ObjectMeta(name="words", namespace="ns", uid="uid", creation_timestamp=NOON)


@pytest.fixture
def metrics() -> PrometheusMetrics:
    return PrometheusMetrics()


@pytest.fixture
async def counted(database_url: str, metrics: PrometheusMetrics) -> AsyncIterator[Database]:
    """A database that tells what it does."""
    engine = open_engine(database_url, application_name="chandlery-test", pool_size=3)
    database = Database(engine, Keyring.parse(new_key("test")), metrics=metrics)
    yield database
    await database.close()


def page(metrics: PrometheusMetrics) -> Told:
    return told(metrics.render()[0].decode())


def ends(metrics: PrometheusMetrics) -> dict[str, float]:
    return {key[1]: value for key, value in page(metrics).items() if key[0] == TRANSACTIONS}


async def _nothing(unit: UnitOfWork) -> None:
    """Neither reads nor writes."""


async def test_transactions_are_counted_by_how_they_end(counted: Database, metrics: PrometheusMetrics) -> None:
    tries = iter([LostRace(), None])

    async def race(unit: UnitOfWork) -> None:
        if lost := next(tries):
            raise lost

    async def refuse(unit: UnitOfWork) -> None:
        raise NotFound

    await counted.run(_nothing)
    await counted.run(_nothing, dry_run=True)
    await counted.run(race)
    with pytest.raises(NotFound):
        await counted.run(refuse)

    assert ends(metrics) == {"committed": 2, "rolled back": 2, "repeated": 1}
    assert page(metrics)[SECONDS] == 5


async def test_a_transaction_that_is_repeated_in_vain_has_failed(counted: Database, metrics: PrometheusMetrics) -> None:
    async def lose(unit: UnitOfWork) -> None:
        raise LostRace

    with pytest.raises(Conflict):
        await counted.run(lose)

    assert ends(metrics) == {"repeated": 8, "failed": 1}


async def test_a_server_that_is_away_fails_transactions(metrics: PrometheusMetrics) -> None:
    engine = open_engine("postgresql://nobody@127.0.0.1:9/none", application_name="chandlery-test")
    database = Database(engine, Keyring.parse(new_key("test")), metrics=metrics)

    with pytest.raises(Unavailable):
        await database.run(_nothing)

    assert ends(metrics) == {"failed": 1}
    await database.close()


async def test_connections_are_told_by_what_they_do(
    counted: Database, metrics: PrometheusMetrics, database_url: str
) -> None:
    most = 1 if database_url.startswith("sqlite") else 3
    seen: list[Told] = []

    async def look(unit: UnitOfWork) -> None:
        seen.append(page(metrics))

    await counted.run(look)

    during, after = seen[0], page(metrics)
    for told_then, in_use, idle in ((during, 1, 0), (after, 0, 1)):
        assert told_then["chandlery_database_connections", "in use"] == in_use
        assert told_then["chandlery_database_connections", "idle"] == idle
        assert told_then["chandlery_database_connections_limit",] == most


async def test_what_is_sealed_and_what_does_not_open_is_counted(counted: Database, metrics: PrometheusMetrics) -> None:
    secret = Secret(metadata=META, data={"word": "aHVudGVyMg=="})
    created = await counted.run(lambda unit: unit.objects.insert(secret))
    await counted.run(lambda unit: unit.objects.get(SECRET, "ns", "words"))
    before = page(metrics)
    counted.keyring.replace_keys(parse_keys(new_key("another")))
    await counted.run(lambda unit: unit.objects.get(SECRET, "ns", created.metadata.name))
    after = page(metrics)

    assert before["chandlery_sealed_texts_total", "encrypt"] >= 1
    assert before["chandlery_sealed_texts_total", "decrypt"] == 1
    assert after["chandlery_unreadable_texts_total", "key missing"] == 1


async def test_uses_of_the_key_provider_are_counted_and_data_keys_by_provider(
    database_url: str, metrics: PrometheusMetrics
) -> None:
    vault = Vault()
    engine = open_engine(database_url, application_name="chandlery-test")
    limits = DataKeyLimits(wait_seconds=0.0)
    database = Database(engine, Keyring([]), providers=KeyProviders({"vault": vault}), limits=limits, metrics=metrics)
    await database.data_keys.start()
    started = page(metrics)
    vault.is_away = True
    with pytest.raises(Unavailable):
        await database.data_keys.turn()
    await database.close()

    # The root secret is read back; the data key was made here.
    uses = "chandlery_key_uses_total"
    assert {key[1:]: value for key, value in started.items() if key[0] == uses} == {
        ("wrap", "done", "vault"): 2,
        ("unwrap", "done", "vault"): 1,
    }
    assert started["chandlery_data_keys", "vault"] == 1
    assert page(metrics)[uses, "wrap", "failed", "vault"] == 1
