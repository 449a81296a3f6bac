"""Rules for ClusterServiceBroker and ServiceBroker."""

from collections.abc import Iterable, Iterator
from typing import Final

from chandlery.model.faults import FieldProblem
from chandlery.model.objects.annotations import FORCE_DELETE, RETRY
from chandlery.model.objects.brokers import (
    AnyBroker,
    CatalogRestrictions,
    ClusterServiceBroker,
    CommonBrokerSpec,
)
from chandlery.model.objects.instances import UserInfo
from chandlery.reconcile.policies.broker_policy import AS_SHORT_AS_ASKED, ShortestPauses
from chandlery.reconcile.policies.restrictions import (
    CLASS_PROPERTIES,
    CLUSTER_PLAN_PROPERTIES,
    MOST_REQUIREMENTS,
    PLAN_PROPERTIES,
    restriction_problem,
    restrictions_selector,
)
from chandlery_gateway.admission.brokers.broker_address_admission import (
    EXPECTED_PLACES,
    BrokerPlaces,
    place_problems,
    url_problems,
)
from chandlery_gateway.admission.brokers.broker_auth_admission import auth_problems, auth_references, bundle_problems
from chandlery_gateway.admission.brokers.broker_policy_admission import broker_policy_problems, pause_problems
from chandlery_gateway.admission.field_checks import (
    counter_problems,
    duration_problems,
    invalid,
)
from chandlery_gateway.admission.kind_rules import KindRules, NewId, SecretReference
from chandlery_gateway.admission.status_admission import generation_problems

BOTH_AUTH_WARNING: Final = "spec.authInfo has basic and bearer; basic is used. Remove one of them"


class BrokerRules(KindRules[AnyBroker]):
    """The rules of brokers of both scopes."""

    actions = (RETRY, FORCE_DELETE)
    forced_deletion = (
        "it will be removed even if it has instances. They stay, and without the broker they can only be abandoned"
    )

    def __init__(self, shortest: ShortestPauses = AS_SHORT_AS_ASKED, places: BrokerPlaces = EXPECTED_PLACES) -> None:
        """`shortest` are the pauses between calls that this platform allows at least, `places` where brokers may be."""
        self._shortest = shortest
        self._places = places

    def default_new(self, document: AnyBroker, user: UserInfo, *, new_id: NewId) -> AnyBroker:
        return _default(document)

    def default_changed(self, old: AnyBroker, new: AnyBroker, *, user: UserInfo) -> AnyBroker:
        return _default(new, relist_requests=old.spec.relist_requests)

    def new_problems(self, document: AnyBroker) -> Iterable[FieldProblem]:
        return (
            *_problems(document),
            *pause_problems(document.spec, self._shortest),
            *place_problems(document, self._places),
        )

    def changed_problems(self, old: AnyBroker, new: AnyBroker) -> Iterable[FieldProblem]:
        problems = _problems(new, relist_requests=old.spec.relist_requests)
        return (
            *problems,
            *pause_problems(new.spec, self._shortest, old=old.spec),
            *place_problems(new, self._places, old=old),
        )

    def status_problems(self, document: AnyBroker) -> Iterable[FieldProblem]:
        return generation_problems(document)

    def new_warnings(self, document: AnyBroker) -> tuple[str, ...]:
        auth = document.spec.auth_info
        return () if auth is None or auth.basic is None or auth.bearer is None else (BOTH_AUTH_WARNING,)

    def changed_warnings(self, old: AnyBroker, new: AnyBroker) -> tuple[str, ...]:
        # A change that has nothing to do with it says nothing.
        return () if old.spec.auth_info == new.spec.auth_info else self.new_warnings(new)

    def secrets(self, document: AnyBroker) -> Iterable[SecretReference]:
        return auth_references(document)


def _default(broker: AnyBroker, *, relist_requests: int = 0) -> AnyBroker:
    """An empty `relistBehavior` means `Duration`; `relistRequests` 0 on an update means what it was (give that)."""
    changes: dict[str, object] = {}
    if not broker.spec.relist_behavior:
        changes["relist_behavior"] = "Duration"
    if not broker.spec.relist_requests and relist_requests:
        changes["relist_requests"] = relist_requests
    return broker.model_copy(update={"spec": broker.spec.model_copy(update=changes)}) if changes else broker


def _problems(broker: AnyBroker, *, relist_requests: int = 0) -> Iterator[FieldProblem]:
    spec = broker.spec
    yield from url_problems(spec.url)
    yield from _tls_problems(spec)
    yield from counter_problems("spec.relistRequests", relist_requests, spec.relist_requests)
    yield from duration_problems(
        "spec.relistDuration",
        spec.relist_duration,
        example="15m",
        way_out="; to switch relisting off, set relistBehavior: Manual",
    )
    yield from broker_policy_problems(spec)
    yield from auth_problems(broker)
    if spec.catalog_restrictions:
        plans = CLUSTER_PLAN_PROPERTIES if isinstance(broker, ClusterServiceBroker) else PLAN_PROPERTIES
        yield from _restriction_problems(spec.catalog_restrictions, plan_properties=plans)


def _tls_problems(spec: CommonBrokerSpec) -> Iterator[FieldProblem]:
    if not spec.ca_bundle:
        return
    if spec.insecure_skip_tls_verify:
        yield invalid("spec.caBundle", "has no effect with insecureSkipTLSVerify: true; remove one of them")
    yield from bundle_problems("spec.caBundle", spec.ca_bundle)


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
            message = (
                f"may have at most {MOST_REQUIREMENTS} requirements, not {count}; name several values with in or notin"
            )
            yield FieldProblem(field, "FieldValueTooMany", message)
