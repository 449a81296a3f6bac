"""Settings that go with the platform `kubernetes`, and those that do not."""

from pathlib import Path
from typing import Any

import pytest

from chandlery.model.faults import ConfigurationFault
from chandlery.settings.settings import load_settings
from chandlery_gateway.trust.cluster_settings import check_cluster_settings

MADE: dict[str, Any] = {"platform": "kubernetes", "serving_cert_secret": "tls"}
FILES: dict[str, Any] = {"platform": "kubernetes", "tls_cert_file": Path("a"), "tls_key_file": Path("b")}


@pytest.mark.parametrize("given", [MADE, FILES, {"platform": "standalone", "token": "a" * 32}])
def test_what_goes_together_is_taken(given: dict[str, Any]) -> None:
    check_cluster_settings(load_settings(**given))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (MADE | {"token": "a" * 32}, "CHANDLERY_TOKEN does not go with CHANDLERY_PLATFORM=kubernetes"),
        (MADE | {"token_file": "tokens"}, "CHANDLERY_TOKEN_FILE does not go with"),
        (MADE | {"client_ca_file": "ca"}, "CHANDLERY_CLIENT_CA_FILE does not go with"),
        (MADE | {"authentication_config": "jwt"}, "CHANDLERY_AUTHENTICATION_CONFIG does not go with"),
        (MADE | {"oidc_issuer_url": "https://id.example"}, "CHANDLERY_OIDC_ISSUER_URL does not go with"),
        (MADE | {"accept_plain_http": True}, "CHANDLERY_ACCEPT_PLAIN_HTTP does not go with"),
        (MADE | FILES, "two certificates"),
        ({"platform": "kubernetes"}, "needs a certificate"),
        ({"platform": "standalone", "serving_cert_secret": "tls"}, "needs CHANDLERY_PLATFORM=kubernetes"),
    ],
)
def test_what_does_not_is_refused_with_the_way_out(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationFault, match=words):
        check_cluster_settings(load_settings(**given))
