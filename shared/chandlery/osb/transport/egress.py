"""All that an operator has said about the way to service brokers, as one value that the client is given."""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from chandlery.osb.endpoint import BrokerEndpoint, Tenancy
from chandlery.osb.faults import Misconfigured
from chandlery.osb.transport.egress_proxy import EgressProxy, ProxyUse, UnusableProxyFile
from chandlery.reconcile.egress.egress_policy import STRICT, EgressPolicy
from chandlery.reconcile.egress.egress_rules import LOOPBACK, parse_rules
from chandlery.reconcile.egress.host_spelling import Host, OddSpelling, host_of

WAY_OUT: Final = "Use another address in spec.url, or whoever runs the platform allows this one (CHANDLERY_BROKER_*)"


@dataclass(frozen=True, kw_only=True)
class Egress:
    """Policies, proxy, and how little tenants are told."""

    cluster: EgressPolicy = STRICT
    """For brokers that only operators register."""
    tenants: EgressPolicy = STRICT
    """For those of namespaces, which each namespace may narrow."""
    proxy: EgressProxy | None = None
    tells_tenants: bool = False
    """Whether a namespace's broker shows what exactly failed on the way to it, as a cluster's does."""
    tenant_failure_seconds: float = 0.0
    """How long a call to a namespace's broker lasts at least if it fails: its duration would tell what failed. So that
    it is the same without a connection, connecting takes no longer."""

    def policy_for(self, tenancy: Tenancy | None) -> EgressPolicy:
        """What holds for a broker."""
        return self.cluster if tenancy is None else _narrowed(self.tenants, tenancy)

    def tells_all_to(self, tenancy: Tenancy | None) -> bool:
        """Whether whoever registered the broker may see what exactly failed on the way to it."""
        return tenancy is None or self.tells_tenants

    def seconds_to_connect(self, tenancy: Tenancy | None) -> float:
        """How long connecting may take: without a bound for brokers of which all is told."""
        is_told = self.tells_all_to(tenancy) or self.tenant_failure_seconds <= 0
        return math.inf if is_told else self.tenant_failure_seconds

    def route(self, endpoint: BrokerEndpoint) -> tuple[Host, ProxyUse | None]:
        """Where a call goes to, and through which proxy. Cheap: asked for every call.

        Raises:
            Misconfigured: the endpoint cannot be called like that.
        """
        try:
            host = host_of(endpoint.base)
            proxy = self.proxy.for_host(host) if self.proxy is not None else None
        except OddSpelling as problem:
            raise Misconfigured(f"the broker's URL {problem}. {WAY_OUT}") from None
        except UnusableProxyFile as fault:
            raise Misconfigured(str(fault)) from None
        may_send = host.scheme == "https" or not endpoint.sends_credentials
        if not may_send and not self.policy_for(endpoint.tenancy).may_send_plain_credentials:
            raise Misconfigured("credentials are not sent over plain http: write https:// in spec.url")
        return host, proxy

    def policy_at(self, endpoint: BrokerEndpoint, host: Host, *, by_proxy: bool) -> EgressPolicy:
        """The rules for connections to the endpoint; asked before the first one is made.

        Raises:
            Misconfigured: the rules allow none, whatever the name of its host is resolved to.
        """
        policy = self.policy_for(endpoint.tenancy)
        if problem := policy.host_problem(host, by_proxy=by_proxy):
            raise Misconfigured(f"cannot reach the broker at {endpoint.place}: its address {problem}. {WAY_OUT}")
        if endpoint.skip_tls_verify and not policy.may_skip_verification:
            raise Misconfigured("the broker's certificate must be verified: remove spec.insecureSkipTLSVerify")
        return policy


TRUSTING_LOOPBACK: Final = Egress(
    cluster=EgressPolicy(trusted=parse_rules(LOOPBACK)), tenants=EgressPolicy(trusted=parse_rules(LOOPBACK))
)
"""For one machine, and for tests."""


@lru_cache(maxsize=256)
def _narrowed(policy: EgressPolicy, tenancy: Tenancy) -> EgressPolicy:
    return policy.narrowed(allow=tenancy.allow, deny=tenancy.deny)
