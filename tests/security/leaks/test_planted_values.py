"""Nothing that is secret is found anywhere but where it belongs, after a whole life of everything that has secrets.

Values are planted wherever a secret can come in; a life of registering, provisioning, binding, rotating, failing and
deleting is led by processes as in production; and everything that it leaves behind is searched. Other values, planted
beside them where everybody may see them, have to be found in every one of these places: so the search is shown to
work.
"""

import asyncio
import base64
import json
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import aiohttp
import pytest
from pydantic import SecretStr
from sqlalchemy import make_url

from chandlery.model.objects.kinds import SERVICE_BROKER
from chandlery.settings.settings import Settings
from chandlery_provisioner.instance_reconciler import InstanceReconciler
from tests.conformance import platform_backends
from tests.conformance.platform import BINDING, BROKER, INSTANCE, SECRET, Platform
from tests.conformance.platform_backends import AMQP_VARIABLE, DATABASE_VARIABLE, PlatformBackend
from tests.conformance.scripted.scripted_broker import Reply, ScriptedBroker
from tests.conformance.scripted.scripted_catalog import simple_catalog, simple_plan, simple_service
from tests.conformance.scripted.scripted_templates import BIND, PROVISION, UNBIND, UPDATE
from tests.integration.gateway.api_client import MERGE, Api, Document
from tests.security.egress.egress_programs import issue, program, server_tls
from tests.security.leaks.collecting import (
    ListeningApi,
    collect_letters,
    collect_tables,
    collected_logs,
    collected_messages,
    overheard,
)
from tests.security.leaks.planted import FORMS, Evidence, new_value
from tests.support.selection import on_servers
from tests.support.waiting import eventually

PLACES: Final = {"answer", "audit", "letter", "library's", "log", "message", "output", "row"}
_AUDIT: Final = "audit.jsonl"
_FAR: Final = "/apis/servicecatalog.k8s.io/v1beta1"


@dataclass
class Planted:
    """What nobody may find, and what everybody may."""

    administrator: str = field(default_factory=lambda: new_value("administrator", odd=False))
    ann: str = field(default_factory=lambda: new_value("ann", odd=False))
    guess: str = field(default_factory=lambda: new_value("guess", odd=False))
    key: str = field(default_factory=lambda: base64.b64encode(os.urandom(32)).decode())
    basic: str = field(default_factory=lambda: new_value("basic"))
    bearer: str = field(default_factory=lambda: new_value("bearer", odd=False))
    client: str = field(default_factory=lambda: new_value("client"))
    access: str = field(default_factory=lambda: new_value("access", odd=False))
    data: str = field(default_factory=lambda: new_value("data"))
    annotation: str = field(default_factory=lambda: new_value("annotation"))
    parameter: str = field(default_factory=lambda: new_value("parameter"))
    binding: str = field(default_factory=lambda: new_value("binding"))
    credential: str = field(default_factory=lambda: new_value("credential"))
    rotated: str = field(default_factory=lambda: new_value("rotated"))
    exception: str = field(default_factory=lambda: new_value("exception"))
    body: str = field(default_factory=lambda: new_value("body"))
    others: dict[str, str] = field(default_factory=dict)
    """Those that are made by the way: private keys, tokens that were given, passwords of the servers."""
    inline: str = field(default_factory=lambda: new_value("inline"))
    """In a specification, for everybody who may read the object: sealed, if the operator wants it so."""
    control: str = field(default_factory=lambda: new_value("control", odd=False))
    """In names, so it goes wherever names go."""

    def secret(self) -> dict[str, str]:
        """By name."""
        plain = {name: value for name, value in vars(self).items() if name not in ("others", "control", "inline")}
        return {**plain, **self.others}


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("before", ["", "a", "ab"])
def test_search_finds_a_value_in_each_form(name: str, before: str) -> None:
    value = new_value("value")
    plain = f"{before}{value} and more"
    shown = {
        "plain": plain,
        "base64": base64.b64encode(plain.encode()).decode(),
        "base64 twice": base64.b64encode(base64.b64encode(plain.encode())).decode(),
        "hex": plain.encode().hex(),
        "URL": quote(plain),
        "JSON": json.dumps(json.dumps({"a": plain})),
    }
    evidence = Evidence()
    evidence.add("row of somewhere", f"x{shown[name]}x")
    evidence.add("row of elsewhere", new_value("value"))
    assert list(evidence.where(value)) == ["row of somewhere"]


@pytest.mark.both_backends
@pytest.mark.parametrize("form", ["embedded", on_servers("servers")])
async def test_nothing_that_was_planted_is_found_elsewhere(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], loop_watchdog: Any
) -> None:
    # Drivers, spies and the search share the loop with what is tested.
    monkeypatch.setattr(loop_watchdog, "beat", lambda: None)
    planted, evidence = Planted(), Evidence()
    _curse(monkeypatch, planted)
    _set_up(monkeypatch, planted, tmp_path)
    with collected_logs(evidence), collected_messages(evidence):
        async with _running(form, tmp_path, planted) as backend, AsyncExitStack() as stack:
            await stack.enter_async_context(overheard(backend, evidence, [f"broker:/{planted.control}"]))
            await _live(backend, planted, evidence, tmp_path)
        _collect_files(tmp_path, evidence)
    evidence.add("output", "".join(capfd.readouterr()) + f" (read at the end of {planted.control})")
    assert evidence.places == PLACES
    found = {name: sorted(evidence.where(value)) for name, value in planted.secret().items()}
    shown = "\n".join(f"{name}: {place}" for name, places in found.items() for place in places)
    assert not shown, shown
    seen = {place.partition(" ")[0] for place in evidence.where(planted.control)}
    assert seen == PLACES, "what is not secret has to be found wherever it goes"
    seen = {place.partition(" ")[0] for place in evidence.where(planted.inline)}
    assert seen == {"answer"}, "sealed specs are shown by the API alone"


def _curse(monkeypatch: pytest.MonkeyPatch, planted: Planted) -> None:
    """Whoever works on the instance `cursed` fails, with an error that quotes a secret."""
    decide = InstanceReconciler.decide

    def cursed(self: Any, snapshot: Any, unit: Any) -> Any:
        if snapshot.snapshot.instance.metadata.name == "cursed":
            raise RuntimeError(f"cannot work with {planted.exception}")
        return decide(self, snapshot, unit)

    monkeypatch.setattr(InstanceReconciler, "decide", cursed)


def _set_up(monkeypatch: pytest.MonkeyPatch, planted: Planted, folder: Path) -> None:
    """Settings with everything secret planted, and all on that keeps records."""
    settings_of = platform_backends._settings
    policy = folder / "policy.yaml"
    # What is sent is recorded of everything, as far as it may be.
    policy.write_text("{apiVersion: audit.k8s.io/v1, kind: Policy, rules: [{level: Request}]}")
    wanted = {"audit_table": True, "audit_log": str(folder / _AUDIT), "audit_policy_file": policy}

    def planted_settings(*given: Any, **options: Any) -> Settings:
        settings = settings_of(*given, **options)
        users = folder / "users.csv"
        users.write_text(f'{planted.ann},ann,uid-of-ann,"system:masters"\n')
        return settings.model_copy(
            update={
                "token": SecretStr(planted.administrator),
                "token_file": users,
                "encryption_keys": SecretStr(f"planted:{planted.key}"),
                "seal_specs": True,
                "log_requests": "all",
                **wanted,
            }
        )

    monkeypatch.setattr(platform_backends, "_settings", planted_settings)


@asynccontextmanager
async def _running(form: str, folder: Path, planted: Planted) -> AsyncIterator[PlatformBackend]:
    if form == "embedded":
        async with platform_backends.embedded(folder) as backend:
            yield backend
        return
    for name in (DATABASE_VARIABLE, AMQP_VARIABLE):
        password = make_url(os.environ[name]).password
        assert password
        planted.others[f"password of {name}"] = password
    async with platform_backends.servers(folder, lambda: [planted.control]) as backend:
        yield backend


async def _live(backend: PlatformBackend, planted: Planted, evidence: Evidence, folder: Path) -> None:
    """A whole life, looked at in its middle and at its end."""
    offering = simple_service(
        planted.control, plans=[simple_plan("default", binding_rotatable=True)], plan_updateable=True
    )
    login = ("user", planted.basic)
    credentials = {"password": planted.credential, "nested": {"uri": f"http://u:{planted.credential}@host"}}
    async with (
        ScriptedBroker(simple_catalog(offering), basic=login, credentials=credentials) as broker,
        aiohttp.ClientSession(backend.urls[0]) as session,
    ):
        platform = _ListeningPlatform(backend, broker, session, 1, planted.administrator)
        platform.listening = ListeningApi(session, planted.administrator, evidence=evidence)
        await platform.api.made("/api/v1/namespaces", {"metadata": {"name": platform.namespace}})
        await _plant(platform, planted)
        await _register_others(platform, planted, folder)
        await _provision_and_bind(platform, planted)
        await _fail(platform, planted)
        await _ask_badly(platform, session, planted, evidence)
        await collect_tables(backend, evidence)
        await _rotate(platform, planted)
        await _read_everything(platform)
        await collect_tables(backend, evidence)
        await _delete_all(platform, planted, evidence)
        await collect_tables(backend, evidence)
        if backend.name == "embedded":
            await eventually(lambda: collect_letters(backend, evidence), what="a letter among the dead ones")


class _ListeningPlatform(Platform):
    """A platform whose answers are all kept."""

    listening: Api

    @property
    def api(self) -> Api:
        return self.listening

    @property
    def broker_name(self) -> str:
        # The class is called as the one value that may be seen; so is the broker.
        return self.offering_name

    @property
    def offering_name(self) -> str:
        return str(self.broker.catalog["services"][0]["name"])


async def _plant(platform: Platform, planted: Planted) -> None:
    """Everything that users put into Secrets."""
    for name, values in {
        "login": {"username": "user", "password": planted.basic},
        "bearer": {"token": planted.bearer},
        "client": {"clientID": "chandlery", "clientSecret": planted.client},
        "parameters": {"json": json.dumps({"key": planted.parameter})},
        "for-binding": {"json": json.dumps({"role": planted.binding})},
    }.items():
        await platform.creates(SECRET, name, values)
    data = {"value": base64.b64encode(planted.data.encode()).decode()}
    applied = {"kubectl.kubernetes.io/last-applied-configuration": json.dumps({"data": data}), "a": planted.annotation}
    metadata = {"name": planted.control, "annotations": applied}
    path = platform.path(SECRET)
    await platform.api.made(path, {"metadata": metadata, "data": data})
    changed = {"stringData": {"value": planted.data, "more": planted.data}}
    answer = await platform.api.patch(f"{path}/{planted.control}", changed, MERGE)
    assert answer.status == 200


async def _register_others(platform: Platform, planted: Planted, folder: Path) -> None:
    """Brokers that are known by each kind of credentials; the one that everything goes to, by name and password."""
    reference = {"namespace": platform.namespace}
    basic = {"basic": {"secretRef": {**reference, "name": "login"}}}
    await platform.registers(authInfo=basic, maxConcurrentRequests=4)
    authority = issue("authority")
    client = issue("client", by=authority)
    key = client.key_pem.decode()
    planted.others["private key"] = key.splitlines()[1]
    certificate = {"tls.crt": client.pem.decode(), "tls.key": key}
    document = {"metadata": {"name": "certificate"}, "type": "kubernetes.io/tls", "stringData": certificate}
    await platform.api.made(platform.path(SECRET), document)
    tls = server_tls(folder, authority, clients_of=authority)
    async with (
        ScriptedBroker(bearer=planted.bearer, tls=tls) as with_bearer,
        ScriptedBroker(bearer=planted.access) as with_token,
    ):
        auth: Document = {"bearer": {"secretRef": {"name": "bearer"}}, "clientCertificate": _secret("certificate")}
        await platform.creates(
            SERVICE_BROKER, "with-bearer", {"url": with_bearer.url, "authInfo": auth, "caBundle": authority.bundle}
        )
        await with_bearer.wait_for("GET /v2/catalog")
        behaviour = folder / "token-endpoint"
        behaviour.write_text("200 " + json.dumps({"access_token": planted.access, "expires_in": 3600}))
        async with program("token_process.py", str(behaviour)) as endpoint:
            address = f"http://127.0.0.1:{endpoint.port}/token"
            oauth2 = {"oauth2": {"tokenURL": address, **_secret("client")}}
            await platform.creates(SERVICE_BROKER, "with-client", {"url": with_token.url, "authInfo": oauth2})
            await with_token.wait_for("GET /v2/catalog")
            behaviour.write_text("400 " + json.dumps({"error": f"no {planted.client} and no {planted.access}"}))
            again = {"spec": {"relistRequests": 1, "authInfo": {"oauth2": {"scopes": ["others"]}}}}
            await platform.changes(SERVICE_BROKER, "with-client", again)
            await platform.until_condition(SERVICE_BROKER, "with-client", "Ready", "False")
        for name in ("with-client", "with-bearer"):
            await platform.deletes(SERVICE_BROKER, name)
            await platform.until_gone(SERVICE_BROKER, name)


def _secret(name: str) -> Document:
    return {"secretRef": {"name": name}}


def _quoting(*known: str) -> Document:
    """An error of a broker that repeats what it was sent, in several forms."""
    encoded = " ".join(base64.b64encode(value.encode()).decode() for value in known)
    return {"error": "Refused", "description": f"cannot: {json.dumps(known)} {' '.join(known)} {encoded}"}


async def _provision_and_bind(platform: Platform, planted: Planted) -> None:
    parameters = [{"secretKeyRef": {"name": "parameters", "key": "json"}}]
    await platform.provisions(parameters={"open": planted.inline}, parametersFrom=parameters)
    seen = platform.broker.seen_of(PROVISION)[-1]
    assert seen.body["parameters"] == {"open": planted.inline, "key": planted.parameter}
    platform.broker.script(UPDATE, Reply(400, _quoting(planted.parameter, planted.basic)))
    await platform.changes(INSTANCE, "db", {"spec": {"parameters": {"open": "other"}}})
    await platform.broker.wait_for(UPDATE)
    torn = json.dumps({"credentials": {"password": planted.credential}}).encode()[:-4]
    refusal = {"description": f"no {planted.binding}", "credentials": planted.credential}
    platform.broker.script(BIND, Reply(201, torn))
    await platform.creates_binding("torn")
    await platform.until_condition(BINDING, "torn", "Failed")
    platform.broker.script(BIND, Reply(500, refusal), Reply(500, _quoting(planted.binding, planted.basic)))
    with_secret = [{"secretKeyRef": {"name": "for-binding", "key": "json"}}]
    await platform.binds(parametersFrom=with_secret)
    assert (await platform.credentials())["password"].decode() == planted.credential
    assert platform.broker.seen_of(BIND)[-1].body["parameters"] == {"role": planted.binding}


async def _fail(platform: Platform, planted: Planted) -> None:
    """What goes wrong: an instance that is refused, and one that no process can work on."""
    platform.broker.script(PROVISION, Reply(400, _quoting(planted.parameter, planted.basic)))
    parameters = [{"secretKeyRef": {"name": "parameters", "key": "json"}}]
    await platform.creates_instance("refused", parametersFrom=parameters)
    await platform.until_condition(INSTANCE, "refused", "Failed")
    await platform.creates_instance("cursed", parametersFrom=parameters)


async def _rotate(platform: Platform, planted: Planted) -> None:
    """Other credentials take the place of the first; the revocation of those fails at first, and is looked at."""
    held = asyncio.Event()
    rotated = {"credentials": {"password": planted.rotated}}
    platform.broker.script(BIND, Reply(500, _quoting(planted.binding, planted.basic)), Reply(201, rotated, gate=held))
    # What the first try may have left is removed; then the first credentials are revoked, which fails once.
    both = {"description": f"not {planted.credential} while {planted.rotated}"}
    platform.broker.script(UNBIND, Reply(200, {}), Reply(500, both))
    binds = len(platform.broker.seen_of(BIND))
    await platform.annotates(BINDING, "db-binding", rotate_requested_at="now")
    await platform.broker.wait_for(BIND, binds + 2)
    assert isinstance(platform.listening, ListeningApi)  # type: ignore[attr-defined]
    await collect_tables(platform.backend, platform.listening.evidence)  # type: ignore[attr-defined]
    held.set()

    async def has_others() -> bool:
        return (await platform.credentials())["password"].decode() == planted.rotated

    await eventually(has_others, what="other credentials")
    await eventually(lambda: platform.broker.unused(UNBIND), lambda left: not left, what="the first ones to be revoked")


async def _ask_badly(platform: Platform, session: aiohttp.ClientSession, planted: Planted, evidence: Evidence) -> None:
    """Requests that are refused, with secrets where they do and where they do not belong."""
    secrets, instances = platform.path(SECRET), platform.path(INSTANCE)
    wrong = {"metadata": {"name": "bad"}, "data": {"key": [planted.body]}}
    half = json.dumps({"metadata": {"name": "bad"}, "stringData": {"key": planted.body}}).encode()[:-3]
    for path, body in (
        (secrets, wrong),
        (secrets, half),
        (secrets, {"metadata": {"name": "bad"}, "data": {"key": planted.body}}),
        (secrets, {"metadata": {"name": "bad"}, "stringData": {"a b": planted.body}}),
        (secrets, {"metadata": {"name": "bad"}, "stringData": planted.body}),
        (instances, {"metadata": {"name": "bad"}, "spec": {"parameters": planted.body}}),
        (f"{_FAR}/clusterservicebrokers", {"metadata": {"name": "bad"}, "spec": {"url": f"http://u:{planted.body}@h"}}),
    ):
        assert 400 <= (await platform.api.post(path, body)).status < 500
    yaml = {"Content-Type": "application/yaml"}
    assert (
        await platform.api.call("POST", secrets, f"stringData: [{planted.body}".encode(), headers=yaml)
    ).status == 400
    for token in (planted.guess, planted.administrator[:-1], f"{planted.ann} {planted.guess}"):
        stranger = ListeningApi(session, token, evidence=evidence)
        assert (await stranger.get(secrets)).status == 401
    ann = ListeningApi(session, planted.ann, evidence=evidence)
    assert (await ann.get(instances, labelSelector=f"a={planted.control}")).status == 200
    await _ask_for_a_token(platform, session, planted, evidence)


async def _ask_for_a_token(
    platform: Platform, session: aiohttp.ClientSession, planted: Planted, evidence: Evidence
) -> None:
    """Of a service account: given once, and used."""
    accounts = f"/api/v1/namespaces/{platform.namespace}/serviceaccounts"
    await platform.api.made(accounts, {"metadata": {"name": planted.control}})
    given = await platform.api.made(f"{accounts}/{planted.control}/token", {"spec": {}})
    token = str(given["status"]["token"])
    planted.others["token of a service account"] = token[-40:]
    used = ListeningApi(session, token, evidence=evidence)
    assert (await used.get(accounts)).status == 403


async def _read_everything(platform: Platform) -> None:
    """All lists, in all forms, but those of Secrets; of these the metadata."""
    groups = (await platform.api.read("/apis"))["groups"]
    roots = ["/api/v1", *(f"/apis/{version['groupVersion']}" for group in groups for version in group["versions"])]
    for root in roots:
        for resource in (await platform.api.read(root))["resources"]:
            name = resource["name"]
            if "/" in name or "list" not in resource["verbs"]:
                continue
            metadata = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
            table = "application/json;as=Table;v=v1;g=meta.k8s.io"
            forms = [metadata] if name == "secrets" else ["application/json", table, "application/yaml", metadata]
            for accept in forms:
                answer = await platform.api.call("GET", f"{root}/{name}", headers={"Accept": accept})
                assert answer.status == 200, answer.payload
    for path in ("/readyz?verbose", "/metrics", "/version", "/openapi/v2"):
        await platform.api.get(path)


async def _delete_all(platform: Platform, planted: Planted, evidence: Evidence) -> None:
    held = asyncio.Event()
    platform.broker.script(UNBIND, Reply(200, gate=held))
    unbinds = len(platform.broker.seen_of(UNBIND))
    await platform.deletes(BINDING, "db-binding")
    await platform.broker.wait_for(UNBIND, unbinds + 1)
    await collect_tables(platform.backend, evidence)
    held.set()
    await platform.until_gone(BINDING, "db-binding")
    await platform.unbinds("torn")
    for name in ("db", "refused"):
        await platform.deprovisions(name)
    await platform.deletes(SECRET, planted.control)
    await platform.reads(BROKER, planted.control)


def _collect_files(folder: Path, evidence: Evidence) -> None:
    """What lies on the disk when all has ended: the database with all that SQLite has not overwritten, the audit."""
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix not in (".csv", ".pem") and "token-endpoint" not in path.name:
            raw, place = path.read_bytes(), "audit" if path.name.startswith(_AUDIT) else "row"
            evidence.add(f"{place} of the file {path.name}", f"{raw.decode('latin-1')}")
            evidence.add(f"{place} of the file {path.name}", f"{raw.decode(errors='replace')}")
