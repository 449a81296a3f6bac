"""Identity providers as operators configure them: in settings or in a file, and a sentence for what is wrong."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from chandlery.model.faults import ConfigurationFault
from chandlery.process.http.tls_files import self_signed
from chandlery.settings.authentication_settings import AuthenticationSettings
from chandlery_gateway.identity.authenticators.oidc.issuers import ALGORITHMS, ClaimMappings
from chandlery_gateway.identity.authenticators.oidc.oidc_flags import read_issuers

URL = "https://id.example/realm"


def settings(**given: Any) -> AuthenticationSettings:
    return AuthenticationSettings(**{"oidc_issuer_url": URL, "oidc_client_id": "chandlery", **given})


def test_one_issuer_is_described_by_settings_as_by_the_flags_of_kubernetes() -> None:
    [issuer] = read_issuers(
        settings(
            oidc_groups_claim="groups",
            oidc_groups_prefix="corp:",
            oidc_required_claims="hd=example.com, tier=gold=1",
            oidc_signing_algs="RS256,ES256",
        )
    )
    assert issuer.mappings == ClaimMappings(username_prefix=f"{URL}#", groups_claim="groups", groups_prefix="corp:")
    assert (issuer.url, issuer.audiences) == (URL, frozenset({"chandlery"}))
    assert issuer.required == {"hd": "example.com", "tier": "gold=1"}
    assert issuer.algorithms == {"RS256", "ES256"}
    assert issuer.configuration_url == f"{URL}/.well-known/openid-configuration"


@pytest.mark.parametrize(
    ("given", "prefix"),
    [
        ({}, f"{URL}#"),
        ({"oidc_username_prefix": "-"}, ""),
        ({"oidc_username_prefix": "x:"}, "x:"),
        ({"oidc_username_claim": "email"}, ""),
        ({"oidc_username_claim": "email", "oidc_username_prefix": "x:"}, "x:"),
    ],
    ids=str,
)
def test_prefix_of_users_is_that_of_kubernetes(given: dict[str, str], prefix: str) -> None:
    [issuer] = read_issuers(settings(**given))
    assert issuer.mappings.username_prefix == prefix


def test_nothing_is_configured_by_default() -> None:
    assert list(read_issuers(AuthenticationSettings())) == []
    assert AuthenticationSettings().oidc_allow_loopback_http is False


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"oidc_issuer_url": "http://id.example"}, "CHANDLERY_OIDC_ISSUER_URL must begin with https://"),
        ({"oidc_issuer_url": "http://127.0.0.1:1"}, "CHANDLERY_OIDC_ISSUER_URL must begin with https://"),
        ({"oidc_issuer_url": "https://a:b@id.example"}, "must not contain a user name"),
        ({"oidc_issuer_url": "https://id.example?x=1"}, r"must not contain \? or #"),
        ({"oidc_issuer_url": "https://[broken"}, "is no URL"),
        ({"oidc_client_id": ""}, "needs CHANDLERY_OIDC_CLIENT_ID"),
        ({"oidc_issuer_url": ""}, "CHANDLERY_OIDC_CLIENT_ID needs CHANDLERY_OIDC_ISSUER_URL"),
        ({"oidc_username_prefix": "system:"}, "CHANDLERY_OIDC_USERNAME_PREFIX must not begin with system:"),
        ({"oidc_groups_prefix": "system:x"}, "CHANDLERY_OIDC_GROUPS_PREFIX must not begin with system:"),
        ({"oidc_signing_algs": "RS256,HS256"}, "CHANDLERY_OIDC_SIGNING_ALGS: HS256 is not allowed"),
        ({"oidc_signing_algs": "none"}, "CHANDLERY_OIDC_SIGNING_ALGS: none is not allowed"),
        ({"oidc_signing_algs": ","}, "CHANDLERY_OIDC_SIGNING_ALGS names no algorithm"),
        ({"oidc_required_claims": "hd"}, "CHANDLERY_OIDC_REQUIRED_CLAIMS must be claim=value"),
        ({"oidc_required_claims": "a=1,a=2"}, "each claim once"),
        ({"oidc_ca_file": Path("/nowhere/ca.crt")}, "CHANDLERY_OIDC_CA_FILE /nowhere/ca.crt cannot be read"),
        ({"oidc_ca_file": Path(__file__)}, "contains no readable PEM certificate"),
        ({"authentication_config": Path("/nowhere")}, "cannot be combined"),
    ],
    ids=str,
)
def test_setting_that_cannot_work_is_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationFault, match=words):
        read_issuers(settings(**given))


def test_plain_http_is_taken_on_loopback_alone_and_only_if_that_is_set() -> None:
    [issuer] = read_issuers(settings(oidc_issuer_url="http://127.0.0.1:5556", oidc_allow_loopback_http=True))
    assert issuer.url == "http://127.0.0.1:5556"
    with pytest.raises(ConfigurationFault, match="must begin with https://"):
        read_issuers(settings(oidc_issuer_url="http://192.0.2.1", oidc_allow_loopback_http=True))


def entry(url: str = URL, **changes: Any) -> dict[str, Any]:
    return {
        "issuer": {"url": url, "audiences": ["chandlery"]},
        "claimMappings": {"username": {"claim": "sub", "prefix": "corp:"}},
        **changes,
    }


def configuration(path: Path, *jwt: dict[str, Any], **changes: Any) -> AuthenticationSettings:
    document = {
        "apiVersion": "apiserver.config.k8s.io/v1beta1",
        "kind": "AuthenticationConfiguration",
        "jwt": list(jwt),
        **changes,
    }
    file = path / "authentication.yaml"
    file.write_text(yaml.safe_dump(document))
    return AuthenticationSettings(authentication_config=file)


def test_several_issuers_are_described_by_a_file_as_kubernetes_has_it(tmp_path: Path) -> None:
    authority = self_signed("id.example")[0]
    rich = {
        "issuer": {
            "url": "https://second.example",
            "discoveryURL": "https://inside.example/config",
            "certificateAuthority": authority,
            "audiences": ["a", "b"],
            "audienceMatchPolicy": "MatchAny",
        },
        "claimValidationRules": [{"claim": "hd", "requiredValue": "example.com"}],
        "claimMappings": {
            "username": {"claim": "email", "prefix": ""},
            "groups": {"claim": "roles", "prefix": "x:"},
            "uid": {"claim": "oid"},
        },
    }
    first, second = read_issuers(configuration(tmp_path, entry(), rich))
    assert (first.url, first.mappings.username_prefix, first.algorithms) == (URL, "corp:", ALGORITHMS)
    assert second.configuration_url == "https://inside.example/config"
    assert second.audiences == {"a", "b"}
    assert second.required == {"hd": "example.com"}
    assert second.authorities == authority
    assert second.mappings == ClaimMappings(
        username_claim="email", groups_claim="roles", groups_prefix="x:", uid_claim="oid"
    )


@pytest.mark.parametrize(
    ("jwt", "words"),
    [
        (entry(userValidationRules=[]), r"jwt\[0\].userValidationRules is not supported: there are no expressions"),
        (entry(claimMappings={"username": {"expression": "claims.sub"}}), "username.expression is not supported"),
        (entry(claimMappings={"username": {"claim": "sub"}}), r"claimMappings.username.prefix: Field required"),
        (entry(claimMappings={}), "claimMappings.username: Field required"),
        (entry(issuer={"url": URL}), "issuer.audiences: Field required"),
        (entry(issuer={"url": URL, "audiences": []}), "issuer.audiences: List should have at least 1"),
        (entry(issuer={"url": URL, "audiences": [""]}), "an audience must not be empty"),
        (entry(issuer={"url": URL, "audiences": ["a", "b"]}), "audienceMatchPolicy must be MatchAny"),
        (entry(issuer={"url": URL, "audiences": ["a"], "egressSelectorType": "x"}), "egressSelectorType is not supp"),
        (entry(issuer={"url": "http://id.example", "audiences": ["a"]}), "issuer.url must begin with https://"),
        (
            entry(issuer={"url": URL, "audiences": ["a"], "discoveryURL": "http://x"}),
            "issuer.discoveryURL must begin with https://",
        ),
        (
            entry(issuer={"url": URL, "audiences": ["a"], "certificateAuthority": "x"}),
            "a certificateAuthority in .* contains no readable PEM",
        ),
        (
            entry(claimMappings={"username": {"claim": "sub", "prefix": "system:"}}),
            "claimMappings.username.prefix must not begin with system:",
        ),
        (
            entry(claimMappings={"username": {"claim": "sub", "prefix": ""}, "groups": {"claim": "g"}}),
            "claimMappings.groups: claim and prefix must be set together",
        ),
        (
            entry(claimValidationRules=[{"claim": "a", "requiredValue": "1"}, {"claim": "a", "requiredValue": "2"}]),
            "a claim is there twice",
        ),
    ],
    ids=str,
)
def test_file_that_says_what_is_not_understood_is_refused(tmp_path: Path, jwt: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationFault, match=words) as raised:
        read_issuers(configuration(tmp_path, jwt))
    assert "CHANDLERY_AUTHENTICATION_CONFIG" in raised.value.message or "authentication.yaml" in raised.value.message


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"anonymous": {"enabled": True}}, "anonymous is not supported"),
        ({"apiVersion": "v1"}, "apiVersion: Input should be"),
        ({"jwt": []}, "jwt: List should have at least 1"),
        ({"jwt": [entry(), entry()]}, "is there twice"),
    ],
    ids=str,
)
def test_file_of_another_form_is_refused(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationFault, match=words):
        read_issuers(configuration(tmp_path, entry(), **changes))


@pytest.mark.parametrize("text", ["a: [", "- \x00", "just text"], ids=["open", "control", "text"])
def test_file_that_is_no_yaml_is_refused_with_one_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "broken.yaml").write_text(text)
    with pytest.raises(ConfigurationFault) as raised:
        read_issuers(AuthenticationSettings(authentication_config=tmp_path / "broken.yaml"))
    assert str(tmp_path / "broken.yaml") in raised.value.message
    assert "\n" not in raised.value.message
