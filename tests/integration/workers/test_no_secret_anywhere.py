"""Invariant 6: a whole walk with secrets that are easy to recognize, and a search of everything it leaves behind."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aio_pika
import aiohttp
import pytest
from pydantic import SecretStr
from sqlalchemy import text

from chandlery.contracts import topology
from chandlery.model.objects.bindings import ServiceBinding, ServiceBindingSpec
from chandlery.model.objects.brokers import (
    ClusterServiceBroker,
    ClusterServiceBrokerSpec,
    LocalObjectReference,
)
from chandlery.model.objects.core import Secret
from chandlery.model.objects.instances import ParametersFromSource, SecretKeyReference
from chandlery.model.objects.metadata import ObjectMeta
from chandlery.process.http.http_server import listen, serve_http
from chandlery.store.schema import METADATA
from chandlery_gateway.app import create_app
from chandlery_gateway.identity.audit.audit_log import AuditLog
from chandlery_gateway.identity.authenticators.token_authenticator import TokenAuthenticator, read_users
from chandlery_gateway.identity.authenticators.union_authenticator import UnionAuthenticator
from chandlery_gateway.identity.rbac.rule_keeper import RuleKeeper
from chandlery_gateway.watch.watch_hub import WatchHub
from tests.conformance.scripted import scripted_templates as osb
from tests.conformance.scripted.scripted_broker import Reply, ScriptedBroker, simple_catalog
from tests.conformance.scripted.scripted_catalog import simple_service
from tests.integration.workers.fleet import BINDING, INSTANCE, NS, SECRET, Fleet, ended, instance
from tests.support.all_logs import all_logs
from tests.support.allow_everything import AllowEverything

BROKER_PASSWORD = "wort-des-maklers"
CREDENTIAL = "zugang-zur-datenbank"
FROM_SECRET = "wert-aus-dem-geheimnis"
BIND_FROM_SECRET = "wert-fuer-die-bindung"
INLINE = "wert-im-klartext"
ADMIN_TOKEN = "wort-der-verwalterin"
NEVER_PLAIN = (BROKER_PASSWORD, CREDENTIAL, FROM_SECRET, BIND_FROM_SECRET, ADMIN_TOKEN)
"""May be stored sealed, and read by who may read the Secret; nothing else."""
PLACES = {"message", "log", "library's", "body", "error", "row"}
CATALOG = "/apis/servicecatalog.k8s.io/v1beta1"


@dataclass
class Found:
    """Everything that was left behind, by where."""

    texts: list[tuple[str, str]] = field(default_factory=list)

    def add(self, where: str, value: object) -> None:
        self.texts.append((where, value if isinstance(value, str) else repr(value)))

    def with_any_of(self, secrets: tuple[str, ...]) -> list[str]:
        """Where one of them is, in plain text or in base64."""
        return [f"{where}: {secret}" for where, content in self.texts for secret in secrets if holds(content, secret)]


@pytest.fixture
def logged() -> Any:
    """Every log line, of ours (first) and of libraries."""
    with all_logs() as (ours, lines):
        yield lambda: ([repr(entry) for entry in ours], lines)


async def test_no_secret_is_left_anywhere_after_a_whole_walk(fleet: Fleet, logged: Any) -> None:
    found = Found()
    async with scripted_broker() as broker, spy(fleet) as overheard, api_of(fleet) as session:
        await walk(fleet, broker, session, found)
        for body in await overheard():
            found.add("message", body.decode())
    for process in fleet.processes:
        for message in process.line.published:
            found.add("message", message.model_dump_json())
    ours, of_libraries = logged()
    for line in ours:
        found.add("log", line)
    for line in of_libraries:
        found.add("library's log", line)
    await search_database(fleet, found)
    assert {where.partition(" ")[0] for where, _ in found.texts} == PLACES
    assert found.with_any_of(NEVER_PLAIN) == []
    # What stands in a specification is for everybody who may read the object, and for nobody else.
    elsewhere = Found([each for each in found.texts if each[0].partition(" ")[0] in ("message", "log", "error")])
    assert elsewhere.with_any_of((INLINE,)) == []


async def walk(fleet: Fleet, broker: ScriptedBroker, session: aiohttp.ClientSession, found: Found) -> None:
    """Register, provision, update, bind with bad luck, bind, look at everything, unbind, deprovision."""
    await fleet.worker("ClusterServiceBroker")
    worker = await fleet.worker("ServiceInstance", "ServiceBinding")
    await fleet.create(
        secret("login", username="user", password=BROKER_PASSWORD),
        secret("settings", json=json.dumps({"key": FROM_SECRET})),
        secret("bind-settings", json=json.dumps({"role": BIND_FROM_SECRET})),
        registration(broker.url),
    )
    one = instance("one", "db", parameters={"open": INLINE}, parameters_from=(source("settings"),))
    knot = binding("knot")
    await fleet.create(one)
    await fleet.until_ready(INSTANCE, "one")
    quoting = f"cannot set {json.dumps({'key': FROM_SECRET})} for user:{BROKER_PASSWORD}, {encoded(FROM_SECRET)}"
    broker.script(osb.UPDATE, Reply(400, {"error": FROM_SECRET, "description": f"open is {INLINE}: {quoting}"}))
    await fleet.change_spec(one, open=INLINE, size="large")
    await broker.wait_for(osb.UPDATE)
    await fleet.until_ready(INSTANCE, "one")

    torn = b'{"credentials": {"password": "' + CREDENTIAL.encode()
    broker.script(osb.BIND, Reply(201, torn))
    await fleet.create(binding("torn"))
    await fleet.until_condition(BINDING, "torn", ("False", "BindCallFailed"))
    refusal = {"description": f"no {encoded(BIND_FROM_SECRET)} for {BIND_FROM_SECRET}", "credentials": CREDENTIAL}
    broker.script(osb.BIND, Reply(500, refusal))
    await fleet.create(knot)
    await fleet.ready_in_time(BINDING, "knot", worker.sweep(), seconds=15)
    assert len(broker.seen_of(osb.BIND)) == 3
    await sent_all_secrets(fleet, broker)
    await search_api(session, found)
    await search_database(fleet, found)

    held = asyncio.Event()
    broker.script(osb.UNBIND, Reply(200, gate=held))
    unbinds = len(broker.seen_of(osb.UNBIND))
    await fleet.delete(knot)
    await broker.wait_for(osb.UNBIND, unbinds + 1)
    await search_database(fleet, found)
    held.set()
    await fleet.until_gone(BINDING, "knot")
    await fleet.delete(binding("torn"))
    await fleet.until_gone(BINDING, "torn")
    await fleet.delete(one)
    await fleet.until_gone(INSTANCE, "one")
    await search_api(session, found)


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


async def sent_all_secrets(fleet: Fleet, broker: ScriptedBroker) -> None:
    """The search is worth something only if the secrets went where they belong."""
    told = [row["spec"]["message"] for row in await fleet.rows("events")]
    assert any(f"open is {INLINE}: cannot set" in message and "<redacted>" in message for message in told)
    assert any("no <redacted> for <redacted>" in message for message in told)
    provision = broker.seen_of(osb.PROVISION)[0]
    assert provision.body["parameters"] == {"open": INLINE, "key": FROM_SECRET}
    assert holds(provision.headers["Authorization"], f"user:{BROKER_PASSWORD}")
    assert broker.seen_of(osb.BIND)[-1].body["parameters"] == {"role": BIND_FROM_SECRET}
    delivered = await fleet.find(SECRET, "knot")
    assert base64.b64decode(delivered.data["password"]).decode() == CREDENTIAL


async def search_api(session: aiohttp.ClientSession, found: Found) -> None:
    """Every list of the API but that of Secrets, and what is said to bad requests that hold secrets."""
    team = f"/namespaces/{NS}"
    plurals = [
        f"{CATALOG}/{each}" for each in ("clusterservicebrokers", "clusterserviceclasses", "clusterserviceplans")
    ]
    plurals += [f"{CATALOG}{team}/{each}" for each in ("serviceinstances", "servicebindings")]
    for path in (*plurals, f"/api/v1{team}/events", "/api/v1/namespaces"):
        for accept in ("application/json", "application/json;as=Table;v=v1;g=meta.k8s.io", "application/yaml"):
            async with session.get(path, headers={"Accept": accept}) as response:
                found.add(f"body of {path}", await response.text())
                assert response.status == 200
    for path, sent in bad_requests(team):
        async with session.post(path, data=sent, headers={"Content-Type": "application/json"}) as response:
            found.add(f"error of {path}", await response.text() + repr(response.headers))
            assert 400 <= response.status < 500, await response.text()


def bad_requests(team: str) -> list[tuple[str, bytes]]:
    """Requests that are refused, with secrets where they do and where they do not belong."""
    metadata = {"name": "bad", "namespace": NS}
    secret_with_numbers = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {"key": FROM_SECRET}}
    secret_of_a_wrong_type = {**secret_with_numbers, "data": {"key": [FROM_SECRET]}}
    in_a_name = {**secret_with_numbers, "metadata": {"name": "bad"}, "stringData": {"a b": FROM_SECRET}, "data": {}}
    instance_of_nothing = {
        "apiVersion": "servicecatalog.k8s.io/v1beta1",
        "kind": "ServiceInstance",
        "metadata": metadata,
        "spec": {"parameters": FROM_SECRET},
    }
    half = json.dumps(secret_with_numbers).encode()[:-3]
    return [
        *((f"/api/v1{team}/secrets", json.dumps(each).encode()) for each in (secret_of_a_wrong_type, in_a_name)),
        (f"/api/v1{team}/secrets", json.dumps(secret_with_numbers).encode()),
        (f"/api/v1{team}/secrets", half),
        (f"{CATALOG}{team}/serviceinstances", json.dumps(instance_of_nothing).encode()),
    ]


async def search_database(fleet: Fleet, found: Found) -> None:
    """Every column of every row, as the database itself would show it."""
    async with fleet.front.engine.connect() as connection:
        for table in METADATA.sorted_tables:
            rows = (await connection.execute(text(f"SELECT * FROM {table.name}"))).mappings().all()
            for row in rows:
                for column, value in row.items():
                    found.add(f"row of {table.name}.{column}", json.dumps(value, default=str))


def holds(content: str, secret: str) -> bool:
    """Whether the text shows the secret, plainly or in base64 at whatever offset."""
    if secret in content:
        return True
    raw = secret.encode()
    # What surrounds the secret shifts its base64: three shapes, without the digits that the neighbours decide.
    shapes = [base64.b64encode(b"\0" * shift + raw).decode()[shift and shift + 1 : -4] for shift in range(3)]
    return any(shape in content for shape in shapes)


@pytest.mark.parametrize("before", ["", "a", "ab", "abc"])
def test_search_finds_a_secret_in_base64(before: str) -> None:
    encoded = base64.b64encode(f"{before}{CREDENTIAL} and more".encode()).decode()
    assert holds(f"data: {encoded}", CREDENTIAL)
    assert not holds(base64.b64encode(b"nothing of that sort at all").decode(), CREDENTIAL)


@asynccontextmanager
async def scripted_broker() -> AsyncIterator[ScriptedBroker]:
    catalog = simple_catalog(simple_service("db", plans=["small"], plan_updateable=True))
    login = ("user", BROKER_PASSWORD)
    async with ScriptedBroker(catalog, credentials={"password": CREDENTIAL, "port": 5432}, basic=login) as broker:
        yield broker


@asynccontextmanager
async def spy(fleet: Fleet) -> AsyncIterator[Any]:
    """Overhears every message on RabbitMQ; on the in-process bus there is nothing on a wire."""
    url, prefix = fleet.amqp
    if not url:

        async def nothing() -> list[bytes]:
            return []

        yield nothing
        return
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue(exclusive=True)
        for exchange in (topology.EVENTS_EXCHANGE, topology.DEAD_LETTER_EXCHANGE):
            await queue.bind(prefix + exchange, "#")
        for kind in topology.WORK_QUEUES:
            for lane in ("unresolved", "broker:/harbour"):
                await queue.bind(prefix + topology.COMMANDS_EXCHANGE, topology.work_queue(kind, lane))

        async def overheard() -> list[bytes]:
            bodies = []
            while (message := await queue.get(no_ack=True, fail=False)) is not None:
                bodies.append(message.body + repr(message.headers).encode())
            assert any(b"Reconcile" in body for body in bodies)
            assert any(b"ObjectChanged" in body for body in bodies)
            return bodies

        yield overheard


@asynccontextmanager
async def api_of(fleet: Fleet) -> AsyncIterator[aiohttp.ClientSession]:
    """The real API on a socket, with its audit log."""
    process = await fleet.process("gateway", token=SecretStr(ADMIN_TOKEN))
    hub, stop = WatchHub(process.database, rules=RuleKeeper(process.database)), asyncio.Event()
    audit_log = AuditLog(process.resources.settings, process.database)
    auditing = asyncio.create_task(audit_log.run())
    listener = listen("127.0.0.1", 0)
    port = listener.getsockname()[1]
    tokens = TokenAuthenticator(read_users(process.resources.settings.token, None))
    authenticator = UnionAuthenticator(certificates=None, verifiers=[tokens])
    serving = asyncio.create_task(
        serve_http(
            create_app(
                process.resources,
                hub,
                authenticator=authenticator,
                authorizer=AllowEverything(),
                auditor=audit_log.auditor,
            ),
            listener,
            stop,
        )
    )
    headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", headers=headers) as session:
            yield session
    finally:
        stop.set()
        await serving
        await ended(auditing)
        await audit_log.close()


def secret(name: str, **values: str) -> Secret:
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    return Secret(metadata=ObjectMeta(name=name, namespace=NS), data=data)


def source(name: str) -> ParametersFromSource:
    return ParametersFromSource(secret_key_ref=SecretKeyReference(name=name, key="json"))


def registration(url: str) -> ClusterServiceBroker:
    """A broker that asks for a login."""
    auth = {"basic": {"secretRef": {"namespace": NS, "name": "login"}}}
    spec = ClusterServiceBrokerSpec.model_validate({"url": url, "authInfo": auth})
    return ClusterServiceBroker(metadata=ObjectMeta(name="harbour"), spec=spec)


def binding(name: str) -> ServiceBinding:
    spec = ServiceBindingSpec(instance_ref=LocalObjectReference(name="one"), parameters_from=(source("bind-settings"),))
    return ServiceBinding(metadata=ObjectMeta(name=name, namespace=NS), spec=spec)
