"""Rules for ClusterServiceBroker and ServiceBroker."""

from base64 import b64decode
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from chandlery.model.faults import FieldProblem
from chandlery.model.objects.brokers import (
    AnyBroker,
    CatalogRestrictions,
    ClusterSecretAuth,
    ClusterServiceBroker,
    CommonBrokerSpec,
    LocalSecretAuth,
    ObjectReference,
)
from chandlery.model.text.names import label_problem
from chandlery.reconcile.policies.restrictions import (
    CLASS_PROPERTIES,
    CLUSTER_PLAN_PROPERTIES,
    MOST_REQUIREMENTS,
    PLAN_PROPERTIES,
    restriction_problem,
    restrictions_selector,
)
from chandlery_gateway.admission.brokers.broker_policy_admission import broker_policy_problems
from chandlery_gateway.admission.field_checks import (
    counter_problems,
    duration_problems,
    invalid,
    name_problems,
    required,
)

BOTH_AUTH_WARNING: Final = "spec.authInfo has basic and bearer; basic is used, so leave one of them out"


def default_broker(broker: AnyBroker, *, relist_requests: int = 0) -> AnyBroker:
    """An empty `relistBehavior` means `Duration`; `relistRequests` 0 on an update means what it was (give that)."""
    changes: dict[str, object] = {}
    if not broker.spec.relist_behavior:
        changes["relist_behavior"] = "Duration"
    if not broker.spec.relist_requests and relist_requests:
        changes["relist_requests"] = relist_requests
    return broker.model_copy(update={"spec": broker.spec.model_copy(update=changes)}) if changes else broker


def broker_warnings(broker: AnyBroker, *, old: AnyBroker | None = None) -> tuple[str, ...]:
    """What is stored and will not be used; a change that has nothing to do with it says nothing."""
    auth = broker.spec.auth_info
    if auth is None or auth.basic is None or auth.bearer is None:
        return ()
    return () if old is not None and old.spec.auth_info == auth else (BOTH_AUTH_WARNING,)


def broker_problems(broker: AnyBroker, *, relist_requests: int = 0) -> Iterator[FieldProblem]:
    """Everything that keeps the broker from being stored; `relist_requests` is what it was before."""
    spec = broker.spec
    yield from _url_problems(spec.url)
    yield from _tls_problems(spec)
    yield from counter_problems("spec.relistRequests", relist_requests, spec.relist_requests)
    yield from duration_problems(
        "spec.relistDuration",
        spec.relist_duration,
        example="15m",
        way_out="; for no relists set relistBehavior: Manual",
    )
    yield from broker_policy_problems(spec)
    yield from _auth_problems(broker)
    if spec.catalog_restrictions:
        plans = CLUSTER_PLAN_PROPERTIES if isinstance(broker, ClusterServiceBroker) else PLAN_PROPERTIES
        yield from _restriction_problems(spec.catalog_restrictions, plan_properties=plans)


def _url_problems(url: str) -> Iterator[FieldProblem]:
    field, example = "spec.url", "such as https://broker.example.com"
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
    elif parts.username or parts.password:
        yield invalid(field, "must not hold credentials; put them into a Secret and name it in spec.authInfo")
    elif parts.query or parts.fragment:
        yield invalid(field, "must have no '?' and no '#': paths such as /v2/catalog are added to it")


def _tls_problems(spec: CommonBrokerSpec) -> Iterator[FieldProblem]:
    if not spec.ca_bundle:
        return
    if spec.insecure_skip_tls_verify:
        yield invalid("spec.caBundle", "has no use with insecureSkipTLSVerify: true; leave one of them out")
    try:
        b64decode(spec.ca_bundle.encode(), validate=True)
    except ValueError:
        yield invalid("spec.caBundle", "must be base64 of a PEM bundle")


def _auth_problems(broker: AnyBroker) -> Iterator[FieldProblem]:
    auth = broker.spec.auth_info
    if auth is None:
        return
    if auth.basic is None and auth.bearer is None:
        yield required("spec.authInfo", "give basic or bearer with a secretRef, or leave authInfo out")
    for field, method in (("spec.authInfo.basic", auth.basic), ("spec.authInfo.bearer", auth.bearer)):
        if method is not None:
            yield from _secret_problems(f"{field}.secretRef", method)


def _secret_problems(field: str, method: ClusterSecretAuth | LocalSecretAuth) -> Iterator[FieldProblem]:
    reference = method.secret_ref
    if reference is None:
        yield required(field, "name the Secret that holds the credentials")
        return
    yield from name_problems(f"{field}.name", reference.name, what="the Secret that holds the credentials")
    if not isinstance(reference, ObjectReference):
        return
    if not reference.namespace:
        yield required(f"{field}.namespace", "give the namespace of the Secret")
    elif problem := label_problem(reference.namespace):
        yield invalid(f"{field}.namespace", problem)


def _restriction_problems(
    restrictions: CatalogRestrictions, *, plan_properties: tuple[str, ...]
) -> Iterator[FieldProblem]:
    listed = (
        ("serviceClass", restrictions.service_class, CLASS_PROPERTIES),
        ("servicePlan", restrictions.service_plan, plan_properties),
    )
    for name, texts, properties in listed:
        field, items = f"spec.catalogRestrictions.{name}", texts or ()
        problems = [(position, restriction_problem(text, properties)) for position, text in enumerate(items)]
        wrong = [invalid(f"{field}[{position}]", problem) for position, problem in problems if problem]
        yield from wrong
        count = 0 if wrong else len(restrictions_selector(items).requirements)
        if count > MOST_REQUIREMENTS:
            message = f"may have {MOST_REQUIREMENTS} requirements, not {count}; name several values with in or notin"
            yield FieldProblem(field, "FieldValueTooMany", message)
