"""Keys elsewhere, users from elsewhere, audit and traces: values of the chart that become settings."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import helm_python
import pytest
import yaml

from chandlery.settings.settings import load_settings
from chandlery_gateway.identity.audit.policy.policy_reading import read_policy

Objects = dict[tuple[str, str], dict[str, Any]]
Render = Callable[..., Objects]

OIDC = {
    "issuerUrl": "https://id.example.com",
    "clientId": "chandlery",
    "usernameClaim": "email",
    "groupsClaim": "groups",
    "groupsPrefix": "corp:",
    "requiredClaims": {"hd": "example.com"},
    "signingAlgs": ["RS256", "ES256"],
}


def settings_of(objects: Objects) -> dict[str, str]:
    data: dict[str, str] = objects["ConfigMap", "demo-chandlery"]["data"]
    return data


def test_values_become_settings_that_processes_understand(
    render: Render, required: dict[str, Any], clean_environment: pytest.MonkeyPatch
) -> None:
    keys = {**required["encryption"], "providers": ["aws-kms", "keys"], "awsKms": {"keyId": "alias/a", "region": "eu"}}
    given = {
        **required,
        "encryption": {**keys, "sealSpecs": True},
        "auth": {**required["auth"], "oidc": OIDC},
        "audit": {"table": False, "log": True, "unwritable": "refuse", "hours": 48},
        "tracing": {"endpoint": "http://collector:4318", "ratio": 0.01},
    }
    data = settings_of(render(given))
    for name, value in data.items():
        clean_environment.setenv(name, value)
    settings = load_settings()
    assert (settings.encryption_providers, settings.aws_kms_key_id) == ("aws-kms,keys", "alias/a")
    assert (settings.seal_specs, settings.audit_table, settings.audit_log) == (True, False, "-")
    assert (settings.audit_unwritable, settings.audit_hours) == ("refuse", 48)
    assert (settings.oidc_issuer_url, settings.oidc_groups_prefix) == ("https://id.example.com", "corp:")
    assert (settings.oidc_required_claims, settings.oidc_signing_algs) == ("hd=example.com", "RS256,ES256")
    assert data["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://collector:4318"
    assert (data["OTEL_TRACES_SAMPLER"], data["OTEL_TRACES_SAMPLER_ARG"]) == ("parentbased_traceidratio", "0.01")


def test_what_is_not_asked_for_changes_no_setting(render: Render, required: dict[str, Any]) -> None:
    assert not [name for name in settings_of(render(required)) if "OIDC" in name or "AUDIT" in name or "OTEL" in name]


def test_audit_policy_is_one_that_gateways_read(render: Render, required: dict[str, Any], tmp_path: Path) -> None:
    rules = [{"level": "None", "users": ["monitoring"]}, {"level": "Metadata"}]
    objects = render({**required, "audit": {"policy": {"rules": rules}}})
    text = objects["ConfigMap", "demo-chandlery-audit-policy"]["data"]["policy.yaml"]
    assert yaml.safe_load(text) == {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": rules}
    path = tmp_path / "policy.yaml"
    path.write_text(text)
    assert len(read_policy(path).rules) == 2
    spec = objects["Deployment", "demo-chandlery-gateway"]["spec"]["template"]["spec"]
    [mount] = [each for each in spec["containers"][0]["volumeMounts"] if each["name"] == "audit-policy"]
    [file] = [each["value"] for each in spec["containers"][0]["env"] if each["name"] == "CHANDLERY_AUDIT_POLICY_FILE"]
    assert file == f"{mount['mountPath']}/policy.yaml"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"encryption": {"providers": ["aws-kms"]}}, "encryption.awsKms.keyId is missing"),
        ({"encryption": {"awsKms": {"keyId": "a"}}}, "encryption.providers lacks aws-kms"),
        ({"auth": {"oidc": {"issuerUrl": "https://id"}}}, "auth.oidc.clientId is missing"),
        ({"auth": {"oidc": {"issuerUrl": "http://id"}}}, "/auth/oidc/issuerUrl"),
        (
            {"auth": {"oidc": OIDC}, "settings": {"extra": {"CHANDLERY_OIDC_CLIENT_ID": "x"}}},
            "CHANDLERY_OIDC_CLIENT_ID",
        ),
        ({"audit": {"policy": {"rules": [{"users": ["a"]}]}}}, "/audit/policy/rules/0"),
        ({"tracing": {"ratio": 2}}, "/tracing/ratio"),
    ],
)
def test_chart_refuses_halves_and_what_is_said_twice(
    render: Render, required: dict[str, Any], change: dict[str, Any], message: str
) -> None:
    merged = {name: {**required.get(name, {}), **value} for name, value in change.items()}
    with pytest.raises(helm_python.HelmError, match=message):
        render({**required, **merged})
