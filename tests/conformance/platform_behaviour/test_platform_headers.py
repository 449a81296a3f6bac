"""Headers: version, originating identity, request identity, Retry-After, validators of the catalog."""

import base64
import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from tests.conformance.platform import BROKER, INSTANCE, Platform, sequence
from tests.conformance.scripted.scripted_broker import Reply, SeenRequest
from tests.conformance.scripted.scripted_catalog import simple_plan
from tests.conformance.scripted.scripted_templates import (
    BIND,
    DEPROVISION,
    FETCH_BINDING,
    GET_CATALOG,
    POLL_BINDING,
    POLL_INSTANCE,
    PROVISION,
    UNBIND,
    UPDATE,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")

VERSION, IDENTITY = "X-Broker-API-Version", "X-Broker-API-Originating-Identity"
REQUEST_IDENTITY = "X-Broker-API-Request-Identity"
IN_PROGRESS = Reply(200, {"state": "in progress"})


def identity(request: SeenRequest) -> dict[str, Any]:
    """Whom a request names."""
    decoded: dict[str, Any] = json.loads(base64.b64decode(request.headers[IDENTITY].split(" ")[1], validate=True))
    return decoded


def users(platform: Platform, template: str) -> list[str | None]:
    """The name of the user in each request of the template; None where there is none."""
    requests = platform.broker.seen_of(template)
    return [identity(request)["username"] if IDENTITY in request.headers else None for request in requests]


async def test_osb_013_every_request_carries_the_version(lived: Sequence[SeenRequest]) -> None:
    assert {request.headers.get(VERSION) for request in lived} == {"2.17"}


@pytest.mark.parametrize("template", [GET_CATALOG, PROVISION])
async def test_osb_014_refused_version_is_shown_without_clean_up(platform: Platform, template: str) -> None:
    platform.broker.always(template, Reply(412, {"description": "need 2.14, or older"}))
    name = await platform.registers_in_vain()
    if template == GET_CATALOG:
        await platform.until_condition(BROKER, name, "Ready", "False", says="need 2.14, or older")
        platform.broker.always(template, None)
        await platform.until_ready(BROKER, name)
        return
    await platform.creates_instance()
    await platform.until_condition(INSTANCE, "db", "Ready", "False", says="need 2.14, or older")
    platform.broker.always(template, None)
    await platform.annotates(INSTANCE, "db", retry_requested_at="now")
    await platform.until_ready(INSTANCE, "db")
    assert platform.broker.seen_of(DEPROVISION) == []


async def test_osb_015_017_what_a_user_causes_carries_that_users_identity(platform: Platform) -> None:
    platform.offers("small", "large", plan_updateable=True, bindings_retrievable=True)
    for template in (PROVISION, UPDATE, DEPROVISION, BIND, UNBIND):
        platform.broker.script(template, Reply(202, {"operation": "x"}))
    await platform.registers()
    ann, bob, eve = (platform.as_user(name) for name in ("ann", "bob", "eve"))
    await ann.provisions(plan="small")
    await bob.updates(clusterServicePlanExternalName="large")
    await bob.binds()
    await ann.unbinds()
    await eve.deprovisions()
    assert [users(platform, template) for template in (PROVISION, UPDATE, DEPROVISION)] == [["ann"], ["bob"], ["eve"]]
    assert users(platform, POLL_INSTANCE) == ["ann", "bob", "eve"]
    assert [users(platform, template) for template in (BIND, FETCH_BINDING, UNBIND)] == [["bob"], ["bob"], ["ann"]]
    assert users(platform, POLL_BINDING) == ["bob", "ann"]


async def test_osb_016_what_no_user_causes_carries_no_identity(platform: Platform) -> None:
    platform.broker.script(PROVISION, Reply(500))
    await platform.as_user("ann").provisions()
    platform.broker.script(BIND, Reply(500))
    await platform.as_user("ann").binds()
    assert users(platform, GET_CATALOG) == [None]
    assert users(platform, DEPROVISION) == [None]
    assert users(platform, UNBIND) == [None]


async def test_osb_018_identity_is_one_line_however_many_groups_there_are(platform: Platform) -> None:
    await platform.as_user("eve").provisions()
    [put] = platform.broker.seen_of(PROVISION)
    name, _, value = put.headers[IDENTITY].partition(" ")
    assert (name, len(value) > 500) == ("kubernetes", True)
    assert re.fullmatch(r"[A-Za-z0-9+/]+={0,2}", value)
    assert (len(value) % 4, len(identity(put)["groups"])) == (0, 32)


async def test_osb_019_platform_of_the_identity_is_that_of_the_context(lived: Sequence[SeenRequest]) -> None:
    with_context = [request for request in lived if request.body and "context" in request.body]
    assert {request.method for request in with_context} == {"PUT", "PATCH"}
    for request in with_context:
        assert request.headers[IDENTITY].split(" ")[0] == request.body["context"]["platform"]


@pytest.mark.parametrize("name", ["ann", "bob"])
async def test_osb_020_identity_is_of_kubernetes_profile(platform: Platform, name: str) -> None:
    await platform.as_user(name).provisions()
    [put] = platform.broker.seen_of(PROVISION)
    told = identity(put)
    groups = {"ann": ["developers", "dba"], "bob": []}[name]
    assert (told["username"], told["uid"]) == (name, f"uid-of-{name}")
    assert told["groups"] == [*groups, "system:masters", "system:authenticated"]
    assert told["extra"] == {}


async def test_osb_022_every_request_has_an_id(lived: Sequence[SeenRequest]) -> None:
    ids = [request.headers.get(REQUEST_IDENTITY, "") for request in lived]
    assert all(ids)
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("echo", ["", "the-same", "another"])
async def test_osb_023_echo_of_the_request_id_is_welcome_and_not_needed(platform: Platform, echo: str) -> None:
    def reply(seen: SeenRequest) -> Reply:
        value = seen.headers[REQUEST_IDENTITY] if echo == "the-same" else echo
        return Reply(201, headers={REQUEST_IDENTITY: value} if value else {})

    platform.broker.script(PROVISION, reply)
    await platform.provisions()


async def test_osb_024_older_broker_is_sent_nothing_that_it_does_not_know(platform: Platform) -> None:
    platform.offers(simple_plan(maintenance_version="1.0.0"), bindings_retrievable=True)
    await platform.registers(osbAPIVersion="2.12")
    await platform.provisions()
    await platform.binds()
    await platform.unbinds()
    await platform.deprovisions()
    for request in platform.broker.seen:
        assert request.headers[VERSION] == "2.12"
        assert IDENTITY not in request.headers
        assert REQUEST_IDENTITY not in request.headers
    [put], [bind], [unbind] = (platform.broker.seen_of(template) for template in (PROVISION, BIND, UNBIND))
    assert "maintenance_info" not in put.body
    assert put.body["context"]["platform"] == "kubernetes"
    assert "context" not in bind.body
    assert "accepts_incomplete" not in {**bind.query, **unbind.query}


async def test_osb_024_oldest_broker_is_sent_no_context(platform: Platform) -> None:
    await platform.registers(osbAPIVersion="2.11")
    await platform.provisions()
    [put] = platform.broker.seen_of(PROVISION)
    assert "context" not in put.body
    assert put.body["organization_guid"] and put.body["space_guid"]


@pytest.mark.parametrize("form", ["seconds", "date"])
async def test_osb_025_poll_waits_as_long_as_it_is_asked_to(platform: Platform, form: str) -> None:
    # A date has whole seconds: two of them are more than one.
    after = "1" if form == "seconds" else format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
    platform.broker.script(PROVISION, Reply(202, {"operation": "x"}))
    platform.broker.script(POLL_INSTANCE, Reply(200, {"state": "in progress"}, {"Retry-After": after}))
    await platform.provisions()
    first, second = platform.broker.seen_of(POLL_INSTANCE)
    assert second.seen_at - first.seen_at >= (1.0 if form == "seconds" else 0.5)


@pytest.mark.parametrize("after", ["0", "-7", "soon", "", "1e9", "Wed, 21 Oct 2015 07:28:00 GMT"])
async def test_osb_025_nonsense_in_retry_after_counts_as_absent(platform: Platform, after: str) -> None:
    platform.broker.script(PROVISION, Reply(202, {"operation": "x"}))
    platform.broker.script(POLL_INSTANCE, Reply(200, {"state": "in progress"}, {"Retry-After": after}))
    await platform.provisions()
    assert len(platform.broker.seen_of(POLL_INSTANCE)) == 2


async def test_osb_026_catalog_is_fetched_again_with_the_validator_of_the_last_one(platform: Platform) -> None:
    def reply(seen: SeenRequest) -> Reply:
        is_known = seen.headers.get("If-None-Match") == '"v1"'
        return Reply(304, None) if is_known else Reply(200, platform.broker.catalog, {"ETag": '"v1"'})

    platform.broker.always(GET_CATALOG, reply)
    await platform.registers(relistDuration="50ms")
    first, second, third = (await platform.broker.wait_for(GET_CATALOG, 3))[:3]
    sent = [request.headers.get("If-None-Match") for request in (first, second, third)]
    assert sent == [None, '"v1"', '"v1"']
    await platform.until_ready(BROKER, platform.broker_name)
    assert not (await platform.plans())["default"]["status"].get("removedFromBrokerCatalog")


async def test_osb_026_not_modified_out_of_the_blue_is_a_failure(platform: Platform) -> None:
    await platform.registers()
    platform.broker.always(GET_CATALOG, Reply(304, None))
    await platform.relists_in_vain(says="304")
    assert set(await platform.plans()) == {"default"}
    platform.broker.always(GET_CATALOG, None)
    await platform.until_ready(BROKER, platform.broker_name)
    assert sequence(platform.broker.seen_of(GET_CATALOG))[:2] == ["GET catalog", "GET catalog"]
