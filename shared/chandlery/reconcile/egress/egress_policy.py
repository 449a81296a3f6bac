"""Whether a service broker may be called at a URL, and at an address. Pure: decides, and looks nothing up.

Comes in: the operator's lists, for brokers of namespaces also those of tenants and of the namespace, and a URL or an
address that a name has been resolved to.
Goes out: None, or why not, in words that go on "the address of the broker ...".
Called by: admission, for what a URL tells at once; `osb/transport/`, for each connection, once the address is known.

Deny wins over allow. What no broker can be at (`address_kinds`) is denied first, except for networks that the operator
trusts by name. Private networks are allowed unless denied: that is where brokers of a cluster are.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from chandlery.reconcile.egress.address_kinds import Address, forms_of, special_use
from chandlery.reconcile.egress.egress_rules import NO_RULES, EgressRules
from chandlery.reconcile.egress.host_spelling import Host, OddSpelling, host_of

_LOOPBACK_NAMES: Final = ("localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback")
_METADATA_NAMES: Final = ("metadata.google.internal", "metadata.goog")


@dataclass(frozen=True, slots=True)
class EgressPolicy:
    """What holds for one broker. Hashable, and part of what connections depend on."""

    trusted: EgressRules = NO_RULES
    """Networks that may be called although no service broker is expected there, such as loopback."""
    allow: tuple[EgressRules, ...] = ()
    """Each of them has to name the place; an empty one names every place."""
    deny: tuple[EgressRules, ...] = ()
    may_send_plain_credentials: bool = True
    may_skip_verification: bool = True

    def narrowed(self, *, allow: EgressRules = NO_RULES, deny: EgressRules = NO_RULES) -> "EgressPolicy":
        """The policy with two more lists. It never allows more than before."""
        if not allow and not deny:
            return self
        return replace(
            self, allow=(*self.allow, *((allow,) if allow else ())), deny=(*self.deny, *((deny,) if deny else ()))
        )

    def url_problem(self, url: str, *, by_proxy: bool = False) -> str | None:
        """Why the URL cannot be called, as far as it tells; what its name resolves to is `address_problem`'s matter.

        With `by_proxy` a proxy resolves the name, and nobody tells us to what: then a name has to be allowed by name.
        """
        try:
            host = host_of(url)
        except OddSpelling as problem:
            return str(problem)
        return self.host_problem(host, by_proxy=by_proxy)

    def host_problem(self, host: Host, *, by_proxy: bool = False) -> str | None:
        """The same for a URL that is read already."""
        if any(host.scheme in rules.schemes for rules in self.deny):
            return f"uses {host.scheme}, which this platform does not allow"
        if any(rules.schemes and host.scheme not in rules.schemes for rules in self.allow):
            return f"uses {host.scheme}, which this platform does not allow"
        if host.address is not None:
            return self.address_problem(host.address, host)
        if any(rules.has_name(host) for rules in self.deny):
            return "is one that this platform does not allow"
        if self._is_name_of_machine(host.name):
            return "is a name of the machine itself, or of a cloud's metadata service"
        wants_name = any(rules.names_places and not rules.networks for rules in self.allow) or by_proxy
        if wants_name and not self._is_named(host, by_proxy=by_proxy):
            return "is not among those that this platform allows"
        return None

    def address_problem(self, address: Address, host: Host) -> str | None:
        """Why there may be no connection to this address for this host."""
        if any(rules.has_address(address) for rules in self.deny):
            return "is one that this platform does not allow"
        for form in forms_of(address):
            use = special_use(form)
            if use is not None and not self.trusted.has_network_of(form):
                return f"is {use}, where no service broker is called"
        for rules in self.allow:
            if rules.names_places and not rules.has_name(host) and not rules.has_network_of(address):
                return "is not among those that this platform allows"
        return None

    def allowed(self, addresses: Sequence[Address], host: Host) -> list[Address]:
        """Those of a name's addresses that may be called."""
        return [address for address in addresses if self.address_problem(address, host) is None]

    def _is_named(self, host: Host, *, by_proxy: bool) -> bool:
        return all(
            rules.has_name(host) for rules in self.allow if rules.names_places and (by_proxy or not rules.networks)
        )

    def _is_name_of_machine(self, name: str) -> bool:
        if name in _METADATA_NAMES:
            return True
        is_loopback = name in _LOOPBACK_NAMES or name.endswith(".localhost")
        return is_loopback and not self.trusted.networks


STRICT: Final = EgressPolicy()
"""What holds where nobody has said anything."""
