"""What the chart does for TLS to PostgreSQL and RabbitMQ, and for a database role for each service."""

import base64
from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.deploy.conftest import Objects

Render = Callable[..., Objects]
SERVICES = ("gateway", "provisioner", "binder", "syncer")


def _container(objects: Objects, service: str) -> dict[str, Any]:
    [found] = [
        pod["containers"][0]
        for (kind, name), each in objects.items()
        if kind in ("Deployment", "Job") and name.endswith(f"-{service}")
        for pod in [each["spec"]["template"]["spec"]]
    ]
    container: dict[str, Any] = found
    return container


def _key_of_database_url(container: dict[str, Any]) -> str:
    [found] = [each for each in container["env"] if each["name"] == "CHANDLERY_DATABASE_URL"]
    key: str = found["valueFrom"]["secretKeyRef"]["key"]
    return key


def _mounts(container: dict[str, Any]) -> dict[str, str]:
    return {each["mountPath"]: each["name"] for each in container["volumeMounts"]}


def test_each_service_gets_the_url_of_its_own_role_and_the_migration_that_of_the_owner(
    render: Render, required: dict[str, Any]
) -> None:
    required["database"]["urls"] = {"gateway": "postgresql://chandlery_gateway:Sesame@h/d"}
    required["migration"] = {"roles": True}
    objects = render(required)

    assert _key_of_database_url(_container(objects, "gateway")) == "database-url-gateway"
    assert _key_of_database_url(_container(objects, "binder")) == "database-url"
    assert _key_of_database_url(_container(objects, "migrate")) == "database-url"
    assert _container(objects, "migrate")["args"] == ["migrate", "--roles"]
    secrets = [each["data"] for (kind, _), each in objects.items() if kind == "Secret"]
    stored = [base64.b64decode(data["database-url-gateway"]) for data in secrets if "database-url-gateway" in data]
    assert stored == [b"postgresql://chandlery_gateway:Sesame@h/d"]


def test_an_existing_secret_may_have_a_url_for_each_service(render: Render) -> None:
    keys = {"databaseUrls": {"binder": "binder-url"}}
    objects = render({"existingSecret": {"name": "given", "keys": keys}})

    assert _key_of_database_url(_container(objects, "binder")) == "binder-url"
    assert _key_of_database_url(_container(objects, "syncer")) == "database-url"


def test_files_for_tls_are_mounted_where_settings_and_urls_name_them(render: Render, required: dict[str, Any]) -> None:
    required["database"]["tls"] = {"secretName": "db-tls", "secretNames": {"binder": "db-tls-of-binder"}}
    required["amqp"]["tls"] = {"secretName": "bus-tls", "clientCertificate": True}
    objects = render(required)

    for service in SERVICES:
        container = _container(objects, service)
        mounts, variables = _mounts(container), {each["name"]: each.get("value", "") for each in container["env"]}
        assert mounts["/etc/chandlery/database"] == "database-tls"
        assert mounts["/etc/chandlery/amqp"] == "amqp-tls"
        named = [variables[f"CHANDLERY_AMQP_{file}_FILE"] for file in ("CA", "CERT", "KEY")]
        assert named == [f"/etc/chandlery/amqp/{file}" for file in ("ca.crt", "tls.crt", "tls.key")]
    assert "/etc/chandlery/amqp" not in _mounts(_container(objects, "migrate"))
    assert _secret_of(objects, "binder", "database-tls") == "db-tls-of-binder"
    assert _secret_of(objects, "migrate", "database-tls") == "db-tls"


def _secret_of(objects: Objects, service: str, volume: str) -> str:
    [found] = [
        each["secret"]["secretName"]
        for (kind, name), workload in objects.items()
        if kind in ("Deployment", "Job") and name.endswith(f"-{service}")
        for each in workload["spec"]["template"]["spec"]["volumes"]
        if each["name"] == volume
    ]
    secret: str = found
    return secret


def test_a_url_of_a_wrong_form_is_named_and_not_shown(render: Render, required: dict[str, Any]) -> None:
    required["database"]["urls"] = {"syncer": "mysql://u:Sesame@h/d"}

    with pytest.raises(Exception, match=r"database\.urls\.syncer has the wrong form") as refused:
        render(required)
    assert "Sesame" not in str(refused.value)
