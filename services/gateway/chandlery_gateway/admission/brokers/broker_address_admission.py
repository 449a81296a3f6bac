"""Rules about where a broker may be, as far as its specification tells. Called by broker_admission.

What the names in it are resolved to is checked by the workers, for each connection.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from chandlery.model.faults import FieldProblem
from chandlery.model.objects.annotations import BROKER_ALLOW, BROKER_DENY
from chandlery.model.objects.brokers import AnyBroker, ClusterServiceBroker, CommonBrokerSpec
from chandlery.reconcile.egress.address_kinds import Address
from chandlery.reconcile.egress.egress_policy import STRICT, EgressPolicy
from chandlery.reconcile.egress.egress_rules import NO_RULES, EgressRules, parse_rules
from chandlery.reconcile.egress.host_spelling import Host, OddSpelling, host_of
from chandlery_gateway.admission.field_checks import forbidden, invalid, required

_URL, _TOKEN_URL = "spec.url", "spec.authInfo.oauth2.tokenURL"
_WAY_OUT: Final = "use another address, or ask whoever runs the platform to allow it"


def url_problems(url: str) -> Iterator[FieldProblem]:
    """What is no address of a service broker, in any surroundings."""
    field, example = _URL, "such as https://broker.example.com"
    if not url:
        yield required(field, f"give the address of the service broker, {example}")
        return
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        parts, usable = None, False
    # The address is shown to everybody who may read the broker, and so is never quoted here, in case it has a password.
    if parts is None or not usable or any(char.isspace() for char in url):
        yield invalid(field, f"must be an http or https address with a host, {example}")
    elif parts.username or parts.password or "@" in parts.netloc:
        yield invalid(field, "must not contain credentials; put them into a Secret and name it in spec.authInfo")
    elif parts.query or parts.fragment:
        yield invalid(field, "must have no '?' and no '#': paths such as /v2/catalog are added to it")
    else:
        yield from _spelling_problems(field, url)


@dataclass(frozen=True, kw_only=True)
class BrokerPlaces:
    """Where brokers of the two scopes may be. `bypassed` are called without the proxy."""

    cluster: EgressPolicy = STRICT
    tenants: EgressPolicy = STRICT
    has_proxy: bool = False
    bypassed: EgressRules = NO_RULES
    lookup_seconds: float = 0.0
    """How long the names of one broker may take to be resolved when it is stored; 0 resolves none."""


EXPECTED_PLACES: Final = BrokerPlaces()


def place_problems(broker: AnyBroker, places: BrokerPlaces, *, old: AnyBroker | None = None) -> Iterator[FieldProblem]:
    """What this platform does not allow; of a changed broker only in what has changed."""
    policy = places.cluster if isinstance(broker, ClusterServiceBroker) else places.tenants
    before = dict(_places(old)) if old is not None else {}
    for field, url in _places(broker):
        host = _host(url)
        if host is None or before.get(field) == url:
            continue
        if problem := policy.host_problem(host, by_proxy=places.has_proxy and not places.bypassed.names(host)):
            yield forbidden(field, f"{problem}; {_WAY_OUT}")
    yield from _trust_problems(broker, policy, old=old)


@dataclass(frozen=True, slots=True)
class NamedPlace:
    """A field of a cluster's broker with a URL that has a name, which can be looked up."""

    field: str
    url: str


def named_places(document: object, places: BrokerPlaces, *, old: object = None) -> frozenset[NamedPlace]:
    """What has to be looked up before the object is stored; of a changed one only what has changed."""
    if not isinstance(document, ClusterServiceBroker):
        return frozenset()
    before = dict(_places(old)) if isinstance(old, ClusterServiceBroker) else {}
    new = [(field, url) for field, url in _places(document) if before.get(field) != url]
    hosts = [(field, url, _host(url)) for field, url in new]
    return frozenset(
        NamedPlace(field, url)
        for field, url, host in hosts
        if host is not None and host.address is None and not (places.has_proxy and not places.bypassed.names(host))
    )


def resolved_problem(
    place: NamedPlace, host: Host, addresses: Sequence[Address], places: BrokerPlaces
) -> FieldProblem | None:
    """Why the name leads nowhere that a broker may be called, if so; one allowed address is enough."""
    if not addresses or places.cluster.allowed(addresses, host):
        return None
    problem = places.cluster.address_problem(addresses[0], host)
    return forbidden(place.field, f"its name leads to an address that {problem}; {_WAY_OUT}")


def _trust_problems(broker: AnyBroker, policy: EgressPolicy, *, old: AnyBroker | None) -> Iterator[FieldProblem]:
    skips = broker.spec.insecure_skip_tls_verify and not (old is not None and old.spec.insecure_skip_tls_verify)
    if skips and not policy.may_skip_verification:
        message = "is not allowed on this platform; give the certificate of the CA in caBundle instead"
        yield forbidden("spec.insecureSkipTLSVerify", message)
    if policy.may_send_plain_credentials or broker.spec.auth_info is None:
        return
    unchanged = old is not None and _credential_places(old.spec) == _credential_places(broker.spec)
    for field, url in () if unchanged else _places(broker):
        if url.lower().startswith("http://"):
            yield forbidden(field, "credentials are not sent over plain http on this platform; use an https address")


def _credential_places(spec: CommonBrokerSpec) -> tuple[str, object]:
    return spec.url, getattr(spec, "auth_info", None)


def network_annotation_problems(annotations: Mapping[str, str] | None) -> Iterator[FieldProblem]:
    """What stands in a Namespace's annotations about its brokers, and is no list of rules."""
    for key in (BROKER_ALLOW, BROKER_DENY):
        try:
            _rules_in(annotations, key)
        except ValueError as problem:
            yield invalid(f"metadata.annotations[{key}]", str(problem))


def _rules_in(annotations: Mapping[str, str] | None, key: str) -> EgressRules:
    return parse_rules((annotations or {}).get(key, ""))


def _places(broker: AnyBroker) -> Iterator[tuple[str, str]]:
    yield _URL, broker.spec.url
    oauth2 = broker.spec.auth_info.oauth2 if broker.spec.auth_info else None
    if oauth2 is not None and oauth2.token_url:
        yield _TOKEN_URL, oauth2.token_url


def _host(url: str) -> Host | None:
    try:
        return host_of(url)
    except OddSpelling:
        # Told by the rule for spellings.
        return None


def _spelling_problems(field: str, url: str) -> Iterator[FieldProblem]:
    try:
        host_of(url)
    except OddSpelling as problem:
        yield invalid(field, str(problem))
