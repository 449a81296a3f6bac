"""What a gateway tells of watches, writes and decisions, and of a change log that stands still."""

import pytest

from chandlery.model.objects import kinds
from chandlery.telemetry.catalog import api_requests as metric
from chandlery_gateway.watch import watch_counts
from tests.integration.gateway.api_client import SECRETS, TEAM, instance, secret
from tests.integration.gateway.conftest import Running
from tests.integration.gateway.measuring.scraping import scraped
from tests.integration.store.samples import held_open, sample
from tests.support.measured.metrics_page import news
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

INSTANCES = f"{TEAM}/serviceinstances"
OPEN, EVENTS = (metric.WATCHES.name, "serviceinstances"), (metric.WATCH_EVENTS.name, "serviceinstances")
LAG = (metric.CHANGE_LOG_LAG_SECONDS.name,)


async def test_watches_are_counted_while_they_are_open_and_so_are_their_events(gateway: Running) -> None:
    api = gateway.api
    before = await scraped(api)
    async with api.watch(INSTANCES) as watch:
        await api.made(INSTANCES, instance("db"))
        await watch.until("db")
        during = await scraped(api)
    assert during[OPEN] - before.get(OPEN, 0) == 1
    assert during[EVENTS] - before.get(EVENTS, 0) == 1
    after = await eventually(
        lambda: scraped(api), lambda seen: seen[OPEN] == before.get(OPEN, 0), what="the end of the watch"
    )
    more = news(before, after)
    assert more[metric.API_REQUESTS.name, "200", "serviceinstances", "watch"] == 1
    assert (f"{metric.API_REQUEST_SECONDS.name}_count", "serviceinstances", "watch") not in after
    assert after[metric.WATCH_HUB_TURN_AGE_SECONDS.name,] < 60


async def test_writes_are_counted_by_kind_and_verb_and_dry_runs_are_not(gateway: Running) -> None:
    api = gateway.api
    before = await scraped(api)
    await api.post(INSTANCES, instance("tried"), dryRun="All")
    await api.made(SECRETS, secret("one"))
    await api.made(SECRETS, secret("two"))
    await api.patch(f"{SECRETS}/one", {"metadata": {"labels": {"a": "b"}}})
    await api.put(f"{SECRETS}/one", secret("one"))
    await api.put(f"{SECRETS}/missing", secret("missing"))
    await api.delete(SECRETS)
    more = news(before, await scraped(api))
    assert {key[1:]: value for key, value in more.items() if key[0] == metric.WRITES.name} == {
        ("Secret", "create"): 2,
        ("Secret", "patch"): 1,
        ("Secret", "update"): 1,
        ("Secret", "delete"): 2,
    }


async def test_decisions_of_the_authorizer_are_counted(gateway: Running) -> None:
    api = gateway.api
    before = await scraped(api)
    await api.acting_as("nobody").get(SECRETS)
    more = news(before, await scraped(api))
    # May the administrator act as somebody else, may somebody else list, may the administrator read the page?
    assert more[metric.AUTHORIZATION_DECISIONS.name, "allow"] == 2
    assert more[metric.AUTHORIZATION_DECISIONS.name, "forbid"] == 1


async def test_seats_and_an_audit_log_without_gaps_are_told_from_the_start(own_gateway: Running) -> None:
    page = await scraped(own_gateway.api)
    settings = own_gateway.resources.settings
    assert page[metric.SEATS.name, "reading"] == settings.max_reading_requests
    assert page[metric.SEATS_TAKEN.name, "reading"] == 1
    assert page[metric.REQUESTS_WAITING.name, "mutating"] == 0
    assert page[metric.REQUESTS_REFUSED.name, "watch"] == 0
    assert page[f"{metric.REQUEST_WAIT_SECONDS.name}_count", "reading"] > 0
    assert page[metric.AUDIT_EVENTS_LOST.name, "table"] == 0


@pytest.mark.both_backends
async def test_changes_that_a_long_transaction_holds_up_show_as_lag(
    own_gateway: Running, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite has one writer at a time, so that nothing is held up there."""
    monkeypatch.setattr(watch_counts, "_MEASURED_EVERY_SECONDS", 0.0)
    api, database = own_gateway.api, own_gateway.resources.database
    if store == "sqlite":
        await api.made(SECRETS, secret("quick"))
        await eventually(lambda: scraped(api), lambda page: page[LAG] == 0, what="no lag")
        return
    async with held_open(database, lambda unit: unit.objects.insert(sample(kinds.SECRET, "slow"))) as transaction:
        await api.made(SECRETS, secret("quick"))
        await eventually(lambda: scraped(api), lambda page: page[LAG] > 0, what="lag")
        await transaction.commit()
    await eventually(lambda: scraped(api), lambda page: page[LAG] == 0, what="no lag")
