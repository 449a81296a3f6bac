"""What becomes of a broker whose way is narrowed, whose credentials change, or that belongs to a namespace."""

import base64
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from chandlery.model.objects.annotations import BROKER_ALLOW, BROKER_DENY
from chandlery.model.objects.brokers import ServiceBroker
from chandlery.model.objects.core import Namespace, Secret
from chandlery.model.objects.metadata import ObjectMeta
from tests.conformance.scripted.scripted_broker import Reply, ScriptedBroker
from tests.conformance.scripted.scripted_templates import GET_CATALOG
from tests.integration.syncer.conftest import Bench
from tests.integration.syncer.syncer_actions import ready, relist, two_plans
from tests.security.egress.egress_programs import program

ALIKE = (
    "Error fetching catalog. Error communicating with the broker: Description: the broker cannot be reached, or what "
    "answers at spec.url is no service broker. It is retried automatically."
)


async def of_team(bench: Bench, url: str, *, annotations: dict[str, str] | None = None, **spec: Any) -> ServiceBroker:
    """A broker of the namespace `team`, which has these annotations."""
    await bench.create(Namespace(metadata=ObjectMeta(name="team", annotations=annotations)))
    metadata = ObjectMeta(name="broker", namespace="team")
    document = ServiceBroker.model_validate({"metadata": metadata, "spec": {"url": url, **spec}})
    created = await bench.create(document)
    assert isinstance(created, ServiceBroker)
    return created


@pytest.mark.parametrize(
    ("annotations", "status"),
    [
        (None, "True"),
        ({BROKER_ALLOW: "127.0.0.0/8"}, "True"),
        ({BROKER_ALLOW: "10.0.0.0/8"}, "False"),
        ({BROKER_ALLOW: "https:"}, "False"),
        ({BROKER_DENY: "127.0.0.1"}, "False"),
        ({BROKER_ALLOW: "127.0.0.0/8", BROKER_DENY: "http:"}, "False"),
        # What nobody can read was meant to deny something.
        ({BROKER_DENY: "10.0.0.0/99"}, "False"),
    ],
)
async def test_annotations_of_the_namespace_say_where_its_brokers_may_be(
    bench: Bench, annotations: dict[str, str] | None, status: str
) -> None:
    async with ScriptedBroker(two_plans()) as server:
        broker = await of_team(bench, server.url, annotations=annotations)
        await bench.round(broker)
        stored = await bench.get(broker)
    assert ready(stored)[0] == status
    assert len(server.seen_of(GET_CATALOG)) == (1 if status == "True" else 0)
    if status == "False":
        assert stored.status.conditions[0].message.startswith(ALIKE)


async def test_condition_and_event_of_a_tenants_broker_quote_nothing_from_inside(bench: Bench) -> None:
    async with ScriptedBroker(two_plans()) as server:
        server.always(GET_CATALOG, Reply(403, b"<html>internal-wiki: log in</html>"))
        broker = await of_team(bench, server.url)
        with capture_logs() as logs:
            await bench.round(broker)
        stored, events = await bench.get(broker), await bench.reasons()
    assert ready(stored) == ("False", "ErrorFetchingCatalog")
    assert stored.status.conditions[0].message.startswith(ALIKE)
    assert "internal-wiki" not in stored.model_dump_json()
    assert events == ["ErrorFetchingCatalog"]
    assert "internal-wiki" in str([line for line in logs if line.get("action") == "call_broker"])


async def test_each_of_several_secrets_wakes_a_broker_that_waits(bench: Bench) -> None:
    here = {"namespace": "ops"}
    auth = {
        "basic": {"secretRef": {**here, "name": "login"}},
        "client_certificate": {"secretRef": {**here, "name": "tls"}},
    }
    broker = await bench.cluster_broker("https://127.0.0.1:1", auth_info=auth)
    await bench.round(broker)
    assert "kubectl create secret generic login -n ops" in (await bench.get(broker)).status.conditions[0].message
    await bench.create(secret("login", username="ann", password="pw"))
    await bench.round(broker)
    message = (await bench.get(broker)).status.conditions[0].message
    assert "kubectl create secret tls tls -n ops --cert=FILE --key=FILE" in message
    bench.take_commands()
    certificate = await bench.create(secret("tls", **{"tls.crt": "no", "tls.key": "pem"}))
    assert bench.take_commands() == {broker.metadata.uid}
    await bench.round(broker)
    message = (await bench.get(broker)).status.conditions[0].message
    assert "the client certificate for the broker cannot be used" in message
    # It has failed with all that it has: whichever of them changes is worth another try.
    bench.take_commands()
    await bench.change(certificate, data=secret("tls", **{"tls.crt": "no", "tls.key": "other"}).data)
    assert bench.take_commands() == {broker.metadata.uid}


def secret(name: str, **values: str) -> Secret:
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    return Secret(metadata=ObjectMeta(name=name, namespace="ops"), data=data)


async def test_broker_is_called_with_the_token_that_its_secret_gets(bench: Bench, tmp_path: Path) -> None:
    behaviour = tmp_path / "behaviour"
    behaviour.write_text('200 {"access_token": "t0ken-NUMBER", "expires_in": 3600}')
    async with ScriptedBroker(two_plans()) as server, program("token_process.py", str(behaviour)) as tokens:
        oauth2 = {
            "token_url": f"http://127.0.0.1:{tokens.port}/token",
            "scopes": ["brokers"],
            "client_authentication": "Post",
            "secret_ref": {"namespace": "ops", "name": "client"},
        }
        broker = await bench.cluster_broker(server.url, auth_info={"oauth2": oauth2})
        await bench.round(broker)
        message = (await bench.get(broker)).status.conditions[0].message
        assert "--from-file=clientID=FILE --from-file=clientSecret=FILE" in message
        # As people make them, with a newline at the end.
        client = await bench.create(secret("client", clientID="me\n", clientSecret="cl1ent\n"))
        await bench.round(broker)
        assert ready(await bench.get(broker)) == ("True", "FetchedCatalog")
        # Another secret counts for the next call, and is no longer called with what the old one got.
        await bench.change(client, data=secret("client", clientID="me", clientSecret="an0ther").data)
        await bench.round(await relist(bench, broker))
    sent = [request.headers["Authorization"] for request in server.seen_of(GET_CATALOG)]
    assert sent[0] == "Bearer t0ken-1"
    assert set(sent[1:]) == {"Bearer t0ken-2"}
    forms = [each["form"] for each in tokens.seen]
    assert [(form["client_id"], form["client_secret"], form["scope"]) for form in forms] == [
        ("me", "cl1ent", "brokers"),
        ("me", "an0ther", "brokers"),
    ]
