"""What the settings are told: contradictions, what has no effect, what lets others listen."""

import pytest
from pydantic import SecretStr

from chandlery.messaging.rabbitmq.connecting.rabbitmq_urls import parse_urls
from chandlery.process.commands.doctor.check import State
from chandlery.process.commands.doctor.verdicts import settings_verdicts
from chandlery.settings.settings import Settings
from chandlery.store.connection.database_url import read_database_url


def settings(**given: object) -> Settings:
    urls = {name: SecretStr(str(given.pop(name))) for name in ("database_url", "amqp_url") if name in given}
    return Settings.model_validate({**given, **urls})


CONTRADICTIONS = [
    pytest.param({"port": 8080, "probe_port": 8080}, State.FAIL, "PROBE_PORT and CHANDLERY_PORT are both", id="ports"),
    pytest.param(
        {"probe_port": 9000, "metrics_port": 9000}, State.FAIL, "METRICS_PORT and CHANDLERY_PROBE_PORT", id="metrics"
    ),
    pytest.param(
        {"database_url": "postgresql://h/d", "amqp_url": "memory:"}, State.FAIL, "do not hear of each other", id="bus"
    ),
    pytest.param(
        {"database_url": "sqlite:///a.db", "amqp_url": "amqp://h"}, State.WARN, "SQLite file", id="file for several"
    ),
    pytest.param(
        {"amqp_url": "amqp://a,amqp://b", "amqp_queue_type": "classic"}, State.WARN, "on one node", id="classic cluster"
    ),
    pytest.param({"aws_kms_key_id": "k"}, State.WARN, "AWS_KMS_KEY_ID has no effect", id="provider not named"),
    pytest.param({"broker_no_proxy": "a.example"}, State.WARN, "without CHANDLERY_BROKER_PROXY", id="no proxy"),
    pytest.param(
        {"audit_table": False, "audit_unwritable": "refuse"}, State.WARN, "there is no audit log", id="audit of nothing"
    ),
    pytest.param({"circuit_open_seconds": 0.1}, State.WARN, "which wins", id="circuit"),
    pytest.param({"lease_seconds": 2.0, "sweep_seconds": 1.0}, State.WARN, "only slow", id="lease"),
    pytest.param({"log_level": "debug"}, State.WARN, "fills disks", id="debug"),
]


@pytest.mark.parametrize(("given", "state", "said"), CONTRADICTIONS)
def test_settings_that_cannot_both_be_meant_are_named(given: dict[str, object], state: State, said: str) -> None:
    found = settings_verdicts.contradictions(settings(**given))
    assert (found.state, said in found.message) == (state, True)
    assert found.remedy


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"database_url": "postgresql://h/d", "amqp_url": "amqp://a,amqp://b"},
        {"database_url": "sqlite:///a.db", "amqp_url": "memory:"},
        {"aws_kms_key_id": "k", "encryption_providers": "aws-kms,keys"},
        {"port": 0, "probe_port": 0},
    ],
)
def test_settings_that_fit_together_are_green(given: dict[str, object]) -> None:
    assert settings_verdicts.contradictions(settings(**given)).state is State.OK


@pytest.mark.parametrize(
    ("url", "state"),
    [
        ("postgresql://u@127.0.0.1/d", State.UNUSED),
        ("postgresql://u@/d?host=/run/postgresql", State.UNUSED),
        ("sqlite:///a.db", State.UNUSED),
        ("postgresql://u@db.example/d", State.WARN),
        ("postgresql://u@localhost,db.example/d?sslmode=require", State.WARN),
        ("postgresql://u@db.example/d?sslmode=verify-full", State.OK),
        ("postgresql://u@db.example/d?sslrootcert=system", State.OK),
    ],
)
def test_a_distant_database_should_be_verified(url: str, state: State) -> None:
    assert settings_verdicts.database_tls(read_database_url(url)).state is state


@pytest.mark.parametrize(
    ("url", "state"),
    [
        ("amqp://u:hunter2@localhost", State.UNUSED),
        ("amqp://u:hunter2@bus.example", State.WARN),
        ("amqps://u:hunter2@bus.example", State.OK),
        ("amqps://u:hunter2@bus.example?no_verify_ssl=1", State.WARN),
        ("amqps://u:hunter2@a.example,amqp://u:hunter2@b.example", State.WARN),
    ],
)
def test_a_distant_rabbitmq_should_be_verified(url: str, state: State) -> None:
    found = settings_verdicts.rabbitmq_tls(parse_urls(url))
    assert found.state is state
    assert "hunter2" not in found.message + found.remedy


def test_limits_are_told_and_have_to_fit_together() -> None:
    assert "(the defaults)" in settings_verdicts.request_limits(settings()).message
    narrow = settings_verdicts.request_limits(settings(max_connections=500))
    assert (narrow.state, "1,200 requests and watches" in narrow.message) == (State.WARN, True)


@pytest.mark.parametrize(
    ("given", "listens_beyond", "state"),
    [
        ({}, False, State.OK),
        ({}, True, State.WARN),
        ({"tenant_broker_deny": "10.0.0.0/8"}, True, State.OK),
        ({"broker_allow": "*.example.com"}, True, State.OK),
    ],
)
def test_a_network_that_tenants_may_have_called_is_pointed_out(
    given: dict[str, object], listens_beyond: bool, state: State
) -> None:
    assert settings_verdicts.egress(settings(**given), listens_beyond=listens_beyond).state is state
