"""What a broker's answer to a bind grants: every kind of binding, what is malformed, and how long it lasts."""

from datetime import UTC, datetime
from typing import Any

import pytest

from chandlery.model.objects.bindings import Endpoint
from chandlery.model.objects.wire import JsonObject
from chandlery.reconcile.answers import Answer, Verb, Verdict
from chandlery.reconcile.offering import Offering
from chandlery_binder.absorb.binding_outcomes import absorb, credentials_of
from chandlery_binder.facts.bind_grants import checked, grant_of
from chandlery_binder.facts.binding_notes import BindingPurpose
from chandlery_binder.facts.binding_snapshot import BindingSnapshot
from tests.unit.binder.binding_builders import (
    MEMORY,
    NOW,
    answered,
    make_binding,
    make_offering,
    make_snapshot,
    reaction,
    sent,
)

MOUNT: JsonObject = {
    "driver": "nfs",
    "container_dir": "/data",
    "mode": "rw",
    "device_type": "shared",
    "device": {"volume_id": "v-1", "mount_config": {"source": "x"}},
}
ENDPOINT: JsonObject = {"host": "rope.example", "ports": ["443", "9000-9010"], "protocol": "udp"}
PLAIN = "2026-03-01T14:00:00Z"
AT_TWO = datetime(2026, 3, 1, 14, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("body", "requires", "values", "ignored"),
    [
        pytest.param({"credentials": {"a": 1}}, (), {"a": 1}, (), id="credentials"),
        pytest.param({}, (), {}, (), id="nothing"),
        pytest.param(
            {"syslog_drain_url": "syslog://x"},
            ("syslog_drain",),
            {"syslog_drain_url": "syslog://x"},
            (),
            id="log drain",
        ),
        pytest.param(
            {"route_service_url": "https://x"},
            ("route_forwarding",),
            {"route_service_url": "https://x"},
            (),
            id="route service",
        ),
        pytest.param({"volume_mounts": [MOUNT]}, ("volume_mount",), {"volume_mounts": [MOUNT]}, (), id="volume mounts"),
        pytest.param(
            {"credentials": {"a": 1}, "syslog_drain_url": "s", "route_service_url": "r", "volume_mounts": [MOUNT]},
            ("something",),
            {"a": 1},
            ("route_service_url", "syslog_drain_url", "volume_mounts"),
            id="without permission",
        ),
        pytest.param({"endpoints": [ENDPOINT]}, None, {"endpoints": [ENDPOINT]}, (), id="endpoints"),
        pytest.param(
            {"credentials": {"endpoints": "mine", "syslog_drain_url": "own"}, "endpoints": [ENDPOINT]},
            (),
            {"endpoints": "mine", "syslog_drain_url": "own"},
            (),
            id="credentials of the same names win",
        ),
        pytest.param(
            {"credentials": {"a": None}, "volume_mounts": None, "endpoints": []}, (), {"a": None}, (), id="nulls"
        ),
    ],
)
def test_grant_has_what_the_offering_may_give(
    body: JsonObject, requires: tuple[str, ...] | None, values: JsonObject, ignored: tuple[str, ...]
) -> None:
    grant = grant_of(body, requires)
    assert (grant.values, grant.ignored) == (values, ignored)


@pytest.mark.parametrize(
    ("entry", "endpoint"),
    [
        pytest.param(
            ENDPOINT, Endpoint(host="rope.example", ports=("443", "9000-9010"), protocol="udp"), id="complete"
        ),
        pytest.param({"host": "h", "ports": ["1"]}, Endpoint(host="h", ports=("1",)), id="tcp by default"),
        pytest.param(
            {"host": "h", "ports": [443, "80"], "protocol": None, "x-more": 1},
            Endpoint(host="h", ports=("443", "80")),
            id="numbers and extensions",
        ),
    ],
)
def test_endpoints_are_read(entry: JsonObject, endpoint: Endpoint) -> None:
    assert checked(_succeeded({"endpoints": [entry]})).verdict == Verdict.SUCCEEDED
    assert grant_of({"endpoints": [entry]}, None).endpoints == (endpoint,)


MALFORMED: list[Any] = [
    pytest.param({"endpoints": {}}, id="endpoints are no list"),
    pytest.param({"endpoints": ["h"]}, id="endpoint is no object"),
    pytest.param({"endpoints": [{"ports": ["1"]}]}, id="endpoint without a host"),
    pytest.param({"endpoints": [{"host": "user:pw@h", "ports": ["1"]}]}, id="endpoint with a password"),
    pytest.param({"endpoints": [{"host": "javascript:x//h", "ports": ["1"]}]}, id="endpoint that is a URL"),
    pytest.param({"endpoints": [{"host": "h\x1b[31m", "ports": ["1"]}]}, id="endpoint that steers a terminal"),
    pytest.param({"endpoints": [{"host": "h" * 254, "ports": ["1"]}]}, id="endpoint with a host that is too long"),
    pytest.param({"endpoints": [{"host": "h"}]}, id="endpoint without ports"),
    pytest.param({"endpoints": [{"host": "h", "ports": []}]}, id="endpoint with no port"),
    pytest.param({"endpoints": [{"host": "h", "ports": ["http"]}]}, id="port by name"),
    pytest.param({"endpoints": [{"host": "h", "ports": [True]}]}, id="port that is a truth"),
    pytest.param({"endpoints": [{"host": "h", "ports": ["1"], "protocol": "sctp"}]}, id="unknown protocol"),
    pytest.param({"syslog_drain_url": 7}, id="log drain that is no text"),
    pytest.param({"route_service_url": ["x"]}, id="route service that is no text"),
    pytest.param({"volume_mounts": "x"}, id="mounts are no list"),
    pytest.param({"volume_mounts": [{**MOUNT, "mode": "w"}]}, id="unknown mode"),
    pytest.param({"volume_mounts": [{**MOUNT, "driver": ""}]}, id="mount without a driver"),
    pytest.param({"volume_mounts": [{**MOUNT, "container_dir": None}]}, id="mount without a directory"),
    pytest.param({"volume_mounts": [{**MOUNT, "device_type": None}]}, id="mount without a type"),
    pytest.param({"volume_mounts": [{**MOUNT, "device": {}}]}, id="mount without a volume"),
    pytest.param({"volume_mounts": [{**MOUNT, "device": {"volume_id": "v", "mount_config": 1}}]}, id="config"),
]


@pytest.mark.parametrize("body", MALFORMED)
@pytest.mark.parametrize(
    ("purpose", "status", "expected"),
    [
        (BindingPurpose.BIND, 200, "fail"),
        (BindingPurpose.BIND, 201, "fail and mitigate"),
        (BindingPurpose.FETCH, 200, "fetch"),
    ],
)
def test_malformed_part_makes_the_answer_malformed(
    body: JsonObject, purpose: BindingPurpose, status: int, expected: str
) -> None:
    binding = make_binding(unbind_status="Required" if purpose == BindingPurpose.FETCH else "NotRequired")
    snapshot = make_snapshot(binding, memory=MEMORY, offering=_requiring("syslog_drain", "volume_mount"))
    answer = answered(purpose, status, {"credentials": {"a": "b"}, **body})
    assert credentials_of(snapshot, sent(purpose), answer) is None
    assert reaction(absorb(snapshot, sent(purpose), answer=answer, now=NOW)) == expected


@pytest.mark.parametrize(
    ("metadata", "expires_at", "renew_before"),
    [
        pytest.param({"expires_at": PLAIN}, AT_TWO, None, id="whole seconds"),
        pytest.param({"expires_at": "2026-03-01T14:00:00.0Z"}, AT_TWO, None, id="one digit"),
        pytest.param({"expires_at": "2026-03-01T14:00:00.00Z"}, AT_TWO, None, id="two digits"),
        pytest.param({"expires_at": "2026-03-01T14:00:00.000000000Z"}, AT_TWO, None, id="nanoseconds"),
        pytest.param({"expires_at": "2026-03-01T16:00:00+02:00"}, AT_TWO, None, id="another zone"),
        pytest.param({"expires_at": "2026-03-01t14:00:00z"}, AT_TWO, None, id="lower case"),
        pytest.param({"expires_at": "2026-03-01T14:00:00"}, AT_TWO, None, id="no zone"),
        pytest.param({"expires_at": "tomorrow"}, None, None, id="no time"),
        pytest.param({"expires_at": 7}, None, None, id="no text"),
        pytest.param({"expires_at": "2026-13-01T14:00:00Z"}, None, None, id="no such month"),
        pytest.param({"renew_before": PLAIN}, None, AT_TWO, id="renewal without an end"),
        pytest.param({"expires_at": PLAIN, "renew_before": PLAIN}, AT_TWO, AT_TWO, id="both at once"),
        pytest.param({"expires_at": PLAIN, "renew_before": "2026-03-01T14:00:01Z"}, AT_TWO, None, id="too late"),
        pytest.param("soon", None, None, id="no object"),
        pytest.param(None, None, None, id="nothing"),
    ],
)
def test_metadata_says_how_long_it_lasts(
    metadata: Any, expires_at: datetime | None, renew_before: datetime | None
) -> None:
    body = {"credentials": {}, "metadata": metadata}
    change = absorb(
        make_snapshot(), sent(BindingPurpose.BIND), answer=answered(BindingPurpose.BIND, 201, body), now=NOW
    )
    status = change.document.status
    assert (status.expires_at, status.renew_before) == (expires_at, renew_before)
    assert (reaction(change), change.next.due_at is not None) == ("ready", bool(expires_at or renew_before))


def test_status_shows_endpoints_and_what_is_ignored_is_told() -> None:
    body = {"credentials": {}, "endpoints": [ENDPOINT], "volume_mounts": [MOUNT]}
    change = absorb(
        make_snapshot(), sent(BindingPurpose.BIND), answer=answered(BindingPurpose.BIND, 201, body), now=NOW
    )
    assert [each.host for each in change.document.status.endpoints or ()] == ["rope.example"]
    told = [fact for fact in change.facts if fact.reason == "IgnoredBindResult"]
    assert [("volume_mounts" in fact.message, fact.is_warning) for fact in told] == [(True, True)]


@pytest.mark.parametrize(("body", "is_lost"), [({}, True), ({"syslog_drain_url": "s"}, False)])
def test_second_showing_is_believed_if_it_shows_anything(body: JsonObject, *, is_lost: bool) -> None:
    snapshot: BindingSnapshot = make_snapshot(
        offering=_requiring("syslog_drain"),
        request=sent(BindingPurpose.BIND),
        binding=make_binding(),
    )
    change = absorb(snapshot, sent(BindingPurpose.BIND), answer=answered(BindingPurpose.BIND, 200, body), now=NOW)
    assert reaction(change) == ("mitigate" if is_lost else "ready")


def _succeeded(body: JsonObject) -> Answer:
    return Answer(verb=Verb.BIND, verdict=Verdict.SUCCEEDED, status=201, body=body)


def _requiring(*permissions: str) -> Offering:
    offering = make_offering()
    spec = offering.service_class.spec.model_copy(update={"requires": permissions})
    return Offering(offering.service_class.model_copy(update={"spec": spec}), offering.plan, offering.broker)
