"""Which settings go with the platform `kubernetes`, where the cluster knows users and what they may do."""

from collections.abc import Iterator
from typing import Final

from chandlery.model.faults import ConfigurationFault
from chandlery.settings.settings import PREFIX, Settings

_OURS: Final = ("token", "token_file", "client_ca_file", "authentication_config", "oidc_issuer_url")
_REMEDY: Final = "set CHANDLERY_SERVING_CERT_SECRET, or CHANDLERY_TLS_CERT_FILE and CHANDLERY_TLS_KEY_FILE"


def check_cluster_settings(settings: Settings) -> None:
    """Raises ConfigurationFault with a sentence for each setting that does not go with the platform."""
    if problems := tuple(cluster_setting_problems(settings)):
        raise ConfigurationFault("; ".join(problems))


def cluster_setting_problems(settings: Settings) -> Iterator[str]:
    """A sentence for each."""
    has_files = settings.tls_cert_file is not None or settings.tls_key_file is not None
    if settings.platform != "kubernetes":
        if settings.serving_cert_secret:
            yield "CHANDLERY_SERVING_CERT_SECRET needs CHANDLERY_PLATFORM=kubernetes: the Secret is one of the cluster"
        return
    for name in _OURS:
        if getattr(settings, name):
            yield (
                f"{PREFIX}{name.upper()} does not go with CHANDLERY_PLATFORM=kubernetes: there the cluster knows its "
                "users; remove it"
            )
    if settings.accept_plain_http:
        yield (
            "CHANDLERY_ACCEPT_PLAIN_HTTP does not go with CHANDLERY_PLATFORM=kubernetes: kube-apiserver is known by "
            "its certificate; remove it"
        )
    if settings.serving_cert_secret and has_files:
        yield "CHANDLERY_SERVING_CERT_SECRET and CHANDLERY_TLS_CERT_FILE are two certificates; set one of them"
    if not settings.serving_cert_secret and not has_files:
        yield f"CHANDLERY_PLATFORM=kubernetes needs a certificate, since kube-apiserver speaks TLS; {_REMEDY}"
