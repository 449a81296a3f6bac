"""What doctor asks of the gateway's own settings and files: who gets in, what is kept of what they do."""

import inspect
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from chandlery.model.faults import ConfigurationFault, Fault
from chandlery.process.commands.doctor.check import Result, State, failed_with
from chandlery.settings.settings import Settings
from chandlery_gateway.doctor.gateway_checks import gateway_checks

TOKEN = "token-of-ann-the-developer"


def look(name: str, **given: Any) -> Result:
    """What one check finds."""
    if isinstance(given.get("token"), str):
        given["token"] = SecretStr(given["token"])
    (check,) = (each for each in gateway_checks(Settings.model_validate(given)) if each.id == name)
    try:
        found = check.look()
    except Fault as fault:
        return failed_with(fault)
    assert not inspect.isawaitable(found)
    return found


@pytest.mark.parametrize(
    ("given", "state", "remedy"),
    [
        ({"host": "0.0.0.0"}, State.WARN, "set CHANDLERY_TLS_CERT_FILE and CHANDLERY_TLS_KEY_FILE"),
        (
            {"host": "0.0.0.0", "tls_cert_file": "a.crt", "accept_plain_http": True},
            State.WARN,
            "unset CHANDLERY_ACCEPT_PLAIN_HTTP",
        ),
        ({"host": "0.0.0.0", "tls_cert_file": "a.crt"}, State.OK, ""),
        ({"host": "127.0.0.1"}, State.OK, ""),
    ],
)
def test_plain_http_beyond_this_machine_is_told(given: dict[str, Any], state: State, remedy: str) -> None:
    found = look("plain-http", **given)
    assert (found.state, found.remedy) == (state, remedy)


@pytest.mark.parametrize(
    ("given", "state"),
    [
        ({}, State.UNUSED),
        ({"token": TOKEN}, State.OK),
        ({"token": TOKEN, "host": "0.0.0.0"}, State.WARN),
        ({"token_file": "tokens.csv"}, State.WARN),
    ],
)
def test_tokens_that_never_expire_are_told(given: dict[str, Any], state: State) -> None:
    found = look("static-tokens", **given)
    assert found.state is state
    assert TOKEN not in found.message + found.remedy


def test_token_files_are_read_as_the_gateway_reads_them(tmp_path: Path) -> None:
    file = tmp_path / "tokens.csv"
    missing = look("tokens", token_file=file)
    assert (missing.state, "cannot be read: No such file" in missing.message) == (State.FAIL, True)
    file.write_text(f"{TOKEN},ann,1\nshort,bob,2\n")
    short = look("tokens", token_file=file)
    assert (short.state, "line 2: the token has 5 characters" in short.message) == (State.FAIL, True)
    file.write_text(f"{TOKEN},ann,1\n")
    assert look("tokens", token_file=file).message == "static tokens let 1 user in"


def test_a_gateway_that_lets_nobody_in_is_told_and_a_worker_is_not() -> None:
    assert "no way to authenticate users" in look("tokens", host="0.0.0.0").message
    assert look("tokens").state is State.UNUSED


def test_in_a_cluster_nothing_is_said_of_plain_http_or_of_tokens() -> None:
    given = {"platform": "kubernetes", "host": "0.0.0.0", "serving_cert_secret": "tls"}
    assert look("plain-http", **given).state is State.OK
    assert look("tokens", **given).state is State.UNUSED


def test_without_an_audit_log_nobody_can_tell_who_did_what(tmp_path: Path) -> None:
    assert look("audit").message == "the audit log is kept in the database"
    both = look("audit", audit_log="-")
    assert both.message == "the audit log is kept in the database and the standard output"
    assert look("audit", audit_table=False).state is State.WARN


def test_an_audit_policy_that_is_wrong_names_its_field(tmp_path: Path) -> None:
    assert look("audit-policy").state is State.UNUSED
    file = tmp_path / "policy.yaml"
    file.write_text("{apiVersion: audit.k8s.io/v1, kind: Policy, rules: [{level: Metadata}]}")
    assert look("audit-policy", audit_policy_file=file).message == "the audit policy has 1 rule"
    file.write_text("{apiVersion: audit.k8s.io/v1, kind: Policy, rules: [{level: Everything}]}")
    wrong = look("audit-policy", audit_policy_file=file)
    assert (wrong.state, "rules[0].level" in wrong.message) == (State.FAIL, True)


def test_the_file_of_the_audit_log_is_looked_at_and_not_made(tmp_path: Path) -> None:
    assert look("audit-file", audit_log="-").state is State.UNUSED
    assert look("audit-file", audit_log=str(tmp_path / "audit.log")).state is State.OK
    assert list(tmp_path.iterdir()) == []
    nowhere = look("audit-file", audit_log=str(tmp_path / "no" / "audit.log"))
    assert (nowhere.state, str(tmp_path / "no") in nowhere.message) == (State.FAIL, True)
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    assert "symbolic link" in look("audit-file", audit_log=str(tmp_path / "link")).message


async def test_without_identity_providers_there_is_nobody_to_ask() -> None:
    (check,) = (each for each in gateway_checks(Settings()) if each.id == "identity-providers")
    found = check.look()
    assert inspect.isawaitable(found)
    assert (await found).state is State.UNUSED
    both = Settings.model_validate({"oidc_issuer_url": "https://a.example", "authentication_config": "a.yaml"})
    (check,) = (each for each in gateway_checks(both) if each.id == "identity-providers")
    with pytest.raises(ConfigurationFault, match="cannot be combined"):
        await check.look()  # type: ignore[misc]
