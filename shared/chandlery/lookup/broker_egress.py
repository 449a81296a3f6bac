"""What the settings say about the way to service brokers, as the client and admission take it."""

from chandlery.model.faults import ConfigurationFault
from chandlery.osb.signing.context_keys import ContextKeys
from chandlery.osb.signing.context_signer import ContextSigner
from chandlery.osb.transport.egress import Egress
from chandlery.osb.transport.egress_proxy import EgressProxy
from chandlery.reconcile.egress.egress_policy import EgressPolicy
from chandlery.reconcile.egress.egress_rules import EgressRules, parse_rules
from chandlery.reconcile.egress.host_spelling import OddSpelling, host_of
from chandlery.settings.settings import PREFIX, Settings


def egress_of(settings: Settings) -> Egress:
    """Policies and proxy of this process. Raises ConfigurationFault that names the setting."""
    cluster = EgressPolicy(
        trusted=_rules(settings, "broker_trusted_networks"),
        may_send_plain_credentials=settings.broker_http_credentials,
        may_skip_verification=settings.broker_skip_tls_verify,
    ).narrowed(allow=_rules(settings, "broker_allow"), deny=_rules(settings, "broker_deny"))
    return Egress(
        cluster=cluster,
        tenants=cluster.narrowed(
            allow=_rules(settings, "tenant_broker_allow"), deny=_rules(settings, "tenant_broker_deny")
        ),
        proxy=_proxy(settings),
        tells_tenants=settings.tenant_broker_failures == "detailed",
        tenant_failure_seconds=settings.tenant_failure_seconds,
    )


def context_signer_of(settings: Settings, *, cluster_id: str) -> ContextSigner:
    """Who signs contexts in this process. Raises ConfigurationFault for a file without keys."""
    file = settings.context_signing_key_file
    return ContextSigner(ContextKeys(file) if file else None, issuer=cluster_id)


def _rules(settings: Settings, name: str) -> EgressRules:
    try:
        return parse_rules(getattr(settings, name))
    except ValueError as problem:
        raise ConfigurationFault(f"{PREFIX}{name.upper()}: {problem}") from None


def _proxy(settings: Settings) -> EgressProxy | None:
    name = f"{PREFIX}BROKER_PROXY"
    bypass = _rules(settings, "broker_no_proxy")
    if not settings.broker_proxy:
        return None
    try:
        host = host_of(settings.broker_proxy)
    except OddSpelling as problem:
        raise ConfigurationFault(f"{name}: {problem}") from None
    if host.scheme != "http" or "@" in settings.broker_proxy:
        raise ConfigurationFault(f"{name}: must be http://host:port; credentials go into {name}_CREDENTIALS_FILE")
    return EgressProxy(settings.broker_proxy, credentials_file=settings.broker_proxy_credentials_file, bypass=bypass)
