"""Where PostgreSQL, RabbitMQ, keys and tokens come from: what pods are told, what is made up, and what is refused."""

import base64
import csv
import io
import re
from typing import Any

import helm_python
import pytest

from chandlery.settings.settings import load_settings
from chandlery.store.sealing.sealing import Keyring
from tests.unit.deploy.sets.value_sets import Body, is_hook, pod_of, render_values, rendered, values_of

SERVICES = ("gateway", "provisioner", "binder", "syncer")
# What operators write: names and passwords of letters and digits.
_WRITTEN = {
    ("demo-chandlery-postgres-app", "username"): "chandlery",
    ("demo-chandlery-postgres-app", "password"): "Sesame1",
    ("demo-chandlery-bus-default-user", "username"): "default_user_abc",
    ("demo-chandlery-bus-default-user", "password"): "Sesame2",
}


def workload(name: str, component: str, *, kind: str = "Deployment") -> Body:
    """The one of this component."""
    [found] = [
        body
        for body in rendered(name).of(kind)
        if body["metadata"]["labels"]["app.kubernetes.io/component"] == component
    ]
    return found


def environment(name: str, component: str, *, kind: str = "Deployment") -> dict[str, str]:
    """The variables as a container gets them: with what is in Secrets, and $(…) replaced."""
    secrets = {body["metadata"]["name"]: body.get("data", {}) for body in rendered(name).of("Secret")}
    pod = pod_of(workload(name, component, kind=kind))
    assert pod is not None
    found: dict[str, str] = {}
    for variable in pod["spec"]["containers"][0]["env"]:
        if "value" in variable:
            text = re.sub(r"\$\((\w+)\)", lambda match: found[match[1]], variable["value"])
        else:
            reference = variable["valueFrom"]["secretKeyRef"]
            place = (reference["name"], reference["key"])
            text = _WRITTEN.get(place) or base64.b64decode(secrets[place[0]][place[1]]).decode()
        found[variable["name"]] = text
    return found


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("name", ["trial", "operators-with-all-they-take", "external-among-the-values"])
def test_every_process_understands_what_it_is_told(
    clean_environment: pytest.MonkeyPatch, name: str, service: str
) -> None:
    for variable, text in environment(name, service).items():
        clean_environment.setenv(variable, text)
    settings = load_settings()
    assert settings.database_url.get_secret_value().startswith("postgresql://")
    assert settings.amqp_url.get_secret_value().startswith("amqp")
    assert Keyring.parse(settings.encryption_keys.get_secret_value()) is not None


def test_services_reach_what_operators_run_by_tls_and_with_the_login_of_the_operator() -> None:
    for service in SERVICES:
        told = environment("operators-with-all-they-take", service)
        assert told["CHANDLERY_DATABASE_URL"] == (
            "postgresql://chandlery:Sesame1@demo-chandlery-postgres-rw.prod.svc:5432/catalog"
            "?sslmode=verify-full&sslrootcert=/etc/chandlery/database/ca.crt"
        )
        assert told["CHANDLERY_AMQP_URL"] == "amqps://default_user_abc:Sesame2@demo-chandlery-bus.prod.svc:5671"
        assert told["CHANDLERY_AMQP_CA_FILE"] == "/etc/chandlery/amqp/ca.crt"
    [certificate] = [
        body
        for body in rendered("operators-with-all-they-take").of("Certificate")
        if body["metadata"]["name"] == "demo-chandlery-bus-tls"
    ]
    assert "demo-chandlery-bus.prod.svc" in certificate["spec"]["dnsNames"]
    assert certificate["spec"]["issuerRef"] == {"name": "company", "kind": "ClusterIssuer", "group": "cert-manager.io"}


def test_queues_are_quorum_queues_where_rabbitmq_has_several_nodes() -> None:
    def queue_type(name: str) -> str | None:
        [settings] = [body for body in rendered(name).of("ConfigMap") if body["metadata"]["name"] == "demo-chandlery"]
        found: str | None = settings["data"].get("CHANDLERY_AMQP_QUEUE_TYPE")
        return found

    assert queue_type("operators") == "quorum"
    assert queue_type("rabbitmq-cluster-of-one-node-without-tls") is None
    assert queue_type("trial") is None


def test_postgresql_of_the_operator_loses_nothing_with_its_primary_and_lets_no_superuser_in() -> None:
    [cluster] = rendered("operators").of("Cluster")
    assert cluster["spec"]["instances"] == 3
    assert cluster["spec"]["postgresql"]["synchronous"] == {"method": "any", "number": 1}
    assert cluster["spec"]["enableSuperuserAccess"] is False
    assert cluster["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    [own] = rendered("operators-with-all-they-take").of("Cluster")
    assert own["spec"]["backup"]["retentionPolicy"] == "30d"
    assert "annotations" not in own["metadata"]


@pytest.mark.parametrize("name", ["trial", "trial-in-a-cluster"])
def test_a_trial_brings_everything_and_says_that_it_is_one(name: str) -> None:
    assert {body["metadata"]["labels"]["app.kubernetes.io/component"] for body in rendered(name).of("StatefulSet")} == {
        "postgresql",
        "rabbitmq",
    }
    assert "THIS IS A TRIAL, not for production: PostgreSQL and RabbitMQ are one pod each" in rendered(name).notes
    assert ("TOKEN=$(kubectl" in rendered(name).notes) == (name == "trial")


def test_nothing_else_says_that_it_is_a_trial() -> None:
    for name in ("operators", "external-among-the-values", "generated-secrets-beside-external-servers"):
        assert "TRIAL" not in rendered(name).notes
    assert "PostgreSQL is one pod without TLS" in rendered("built-in-postgresql-and-external-rabbitmq").notes


def test_what_is_made_up_is_different_each_time_and_can_not_be_replaced_unseen() -> None:
    """Whoever renders without the cluster would replace it: kube-apiserver refuses that of what is immutable."""
    first, second = (render_values({}) for _ in range(2))
    made = {body["metadata"]["name"]: body for body in first.of("Secret")}
    again = {body["metadata"]["name"]: body for body in second.of("Secret")}
    assert made.keys() == {f"demo-chandlery-{each}" for each in ("generated-key", "token", "postgres", "bus")}
    for name, body in made.items():
        assert body["data"] != again[name]["data"]
        is_token = name.endswith("-token")
        assert body.get("immutable", False) is not is_token
        assert ("helm.sh/resource-policy" in body["metadata"].get("annotations", {})) is not is_token
    texts = {key: base64.b64decode(text).decode() for body in made.values() for key, text in body["data"].items()}
    assert re.fullmatch(r"[A-Za-z0-9]{40}", texts["token"])
    [row] = csv.reader(io.StringIO(texts["tokens.csv"]))
    assert row == [texts["token"], "admin", "admin", "system:masters"]
    assert not any(text in first.notes for text in texts.values())


def test_the_first_migration_comes_with_the_release_where_postgresql_does() -> None:
    for name in ("trial", "operators"):
        job = workload(name, "migrate", kind="Job")
        assert not is_hook(job)
        assert re.fullmatch(r"demo-chandlery-migrate-[0-9a-f]{8}", job["metadata"]["name"])
        [later] = [
            body
            for body in rendered(name, is_upgrade=True).of("Job")
            if body["metadata"]["labels"]["app.kubernetes.io/component"] == "migrate"
        ]
        assert later["metadata"]["name"] == "demo-chandlery-migrate"
        assert later["metadata"]["annotations"]["helm.sh/hook"] == "pre-upgrade"
    outside = workload("external-among-the-values", "migrate", kind="Job")
    assert outside["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"


def test_a_job_of_the_release_is_another_one_when_it_does_something_else() -> None:
    """A Job can not be changed: tools that apply what they render would fail on it."""

    def name_with(**others: Any) -> str:
        [job] = [body for body in render_values({**others}).of("Job") if not is_hook(body)]
        found: str = job["metadata"]["name"]
        return found

    assert name_with() == name_with(gateway={"replicas": 3})
    assert name_with() != name_with(image={"tag": "other"})


@pytest.mark.parametrize("name", ["trial", "operators", "external-among-the-values"])
def test_what_is_asked_before_uninstalling_is_asked_of_the_same_database(name: str) -> None:
    asked, used = environment(name, "uninstall", kind="Job"), environment(name, "gateway") if name == "trial" else None
    assert asked["CHANDLERY_DATABASE_URL"]
    if used:
        assert asked["CHANDLERY_DATABASE_URL"] == used["CHANDLERY_DATABASE_URL"]
    assert "while there are any it is refused" in rendered(name).notes


def test_users_of_an_identity_provider_alone_need_no_token_of_ours() -> None:
    name = "users-of-an-identity-provider-alone"
    pod = workload(name, "gateway")["spec"]["template"]["spec"]
    assert "CHANDLERY_TOKEN_FILE" not in [variable["name"] for variable in pod["containers"][0]["env"]]
    assert "tokens" not in [volume["name"] for volume in pod["volumes"]]
    assert "tokens" not in [mount["name"] for mount in pod["containers"][0]["volumeMounts"]]
    assert list(rendered(name).of("Pod")) == []
    notes = " ".join(rendered(name).notes.split())
    assert "Users come from https://id.example.com alone, so `helm test` can log in as nobody" in notes
    assert "helm --namespace prod test" not in notes
    # Who names a source of tokens has both.
    given = values_of(name) | {"existingSecret": {"name": "chandlery-secrets"}}
    assert [body["kind"] for body in render_values(given).of("Pod")] == ["Pod"]


def test_an_identity_provider_is_enough_beside_what_is_among_the_values() -> None:
    given = {**values_of("external-among-the-values"), "auth": values_of("users-of-an-identity-provider-alone")["auth"]}
    secrets = {body["metadata"]["name"]: body["data"] for body in render_values(given).of("Secret")}
    assert set(secrets["demo-chandlery"]) == {"database-url", "amqp-url", "encryption-keys"}


def test_notes_say_what_a_gateway_of_the_gateway_api_needs_for_tls() -> None:
    assert "BackendTLSPolicy" in rendered("users-of-an-identity-provider-alone").notes
    assert "BackendTLSPolicy" not in rendered("external-among-the-values").notes


def test_notes_say_what_stays_and_that_nothing_is_asked_if_the_operator_insists() -> None:
    assert (
        "What `helm uninstall` leaves: Secret demo-chandlery-encryption." in rendered("external-among-the-values").notes
    )
    assert "Cluster demo-chandlery-postgres" in rendered("operators").notes
    assert "PersistentVolumeClaim data-demo-chandlery-postgres-0" in rendered("trial").notes
    assert "`helm uninstall` asks nothing" in rendered("uninstalled-without-asking").notes


def test_keys_are_where_pods_of_the_last_release_look_for_them_too() -> None:
    """One that has to start again while an upgrade goes on would not come up."""
    secrets = {body["metadata"]["name"]: body["data"] for body in rendered("external-among-the-values").of("Secret")}
    assert secrets["demo-chandlery"]["encryption-keys"] == secrets["demo-chandlery-encryption"]["encryption-keys"]


_EXTERNAL = values_of("external-among-the-values")
_SECRETS = values_of("external-a-secret-for-each")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"database": {"url": "postgresql://u:p@h/d"}}, "amqp.url is missing"),
        ({"database": {"source": "builtIn"}}, "amqp.url is missing: .* or set amqp.source to rabbitmqCluster"),
        ({"database": {"source": "cloudNativePg"}, "amqp": {"source": "builtIn"}}, "encryption.keys is missing"),
        ({**_EXTERNAL, "auth": {}}, "auth.tokens is missing: .* or set auth.generate"),
        (
            {**_EXTERNAL, "database": {**_EXTERNAL["database"], "source": "cloudNativePg"}},
            "database.source is set to cloudNativePg, so database.url must not be set",
        ),
        (
            {**_SECRETS, "database": {**_SECRETS["database"], "source": "builtIn"}},
            "database.source is set to builtIn, so database.existingSecret.name must not be set",
        ),
        (
            {**_EXTERNAL, "amqp": {**_EXTERNAL["amqp"], "existingSecret": {"name": "given"}}},
            "amqp.existingSecret.name is set to given, so amqp.url must not be set",
        ),
        (
            {**_EXTERNAL, "encryption": {**_EXTERNAL["encryption"], "generate": True}},
            "encryption.generate is set to true, so encryption.keys must not be set",
        ),
        (
            {**_SECRETS, "auth": {**_SECRETS["auth"], "generate": True}},
            "auth.generate is set to true, so auth.existingSecret.name must not be set",
        ),
        (
            {**_SECRETS, "database": {"source": "cloudNativePg", "cloudNativePg": {"instances": 1}}},
            "synchronousReplicas is 1, so database.cloudNativePg.instances must be more",
        ),
        (
            {**_SECRETS, "amqp": {"source": "rabbitmqCluster", "rabbitmqCluster": {"replicas": 2}}},
            "amqp.rabbitmqCluster.replicas is 2, and has to be odd",
        ),
        (
            {**_SECRETS, "amqp": {"source": "rabbitmqCluster", "rabbitmqCluster": {"tls": {"source": "secret"}}}},
            "amqp.rabbitmqCluster.tls.secretName is missing",
        ),
        ({"database": {"source": "crunchy"}}, "/database/source"),
        ({"database": {"builtIn": {"image": {"tag": "latest"}}}}, "/database/builtIn/image/tag"),
        ({"database": {"builtIn": {"storage": {"size": "lots"}}}}, "/database/builtIn/storage/size"),
        ({"database": {"cloudNativePg": {"image": "postgres:latest"}}}, "/database/cloudNativePg/image"),
        ({"database": {"cloudNativePg": {"owner": "O'Brien"}}}, "/database/cloudNativePg/owner"),
        ({"amqp": {"rabbitmqCluster": {"image": "rabbitmq"}}}, "/amqp/rabbitmqCluster/image"),
    ],
)
def test_chart_refuses_what_can_not_work(values: dict[str, Any], message: str) -> None:
    with pytest.raises(helm_python.HelmError, match=message):
        render_values(values)
