"""What a new catalog changes in the stored classes and plans."""

from typing import Any

import pytest

from chandlery.model.objects.brokers import AnyBroker
from chandlery.model.objects.offerings import AnyClass, AnyPlan, OfferingStatus
from chandlery_syncer.catalog.catalog_difference import Clash, Difference, clash_with, difference, retired
from chandlery_syncer.catalog.catalog_objects import Offerings, desired_offerings
from chandlery_syncer.facts.broker_notes import Leftovers
from tests.conformance.scripted.scripted_catalog import simple_plan, simple_service
from tests.unit.syncer.builders import catalog, make_broker

BROKER = make_broker()
TWO = simple_service("db", plans=["small", "large"])
MARKED = OfferingStatus(removed_from_broker_catalog=True)


def desired(*services: dict[str, Any], broker: AnyBroker = BROKER) -> Offerings:
    return desired_offerings(broker, catalog(*services))


def stored(*services: dict[str, Any], broker: AnyBroker = BROKER, **update: Any) -> Offerings:
    """What is in the database after a sync of these services; `update` changes fields of every object's metadata."""

    def known(each: Any) -> Any:
        identity = {"uid": f"uid-{each.metadata.name}", "generation": 1, "resource_version": "7", **update}
        return each.model_copy(update={"metadata": each.metadata.model_copy(update=identity)})

    offerings = desired(*services, broker=broker)
    return Offerings(tuple(map(known, offerings.classes)), tuple(map(known, offerings.plans)))


def compared(new: Offerings, old: Offerings) -> Difference:
    found = difference(new, old)
    assert isinstance(found, Difference)
    return found


def names(offerings: Any) -> list[str]:
    return [each.metadata.name for each in offerings]


@pytest.mark.parametrize("broker", [BROKER, make_broker(namespace="team")], ids=["cluster-wide", "namespaced"])
def test_unchanged_catalog_changes_nothing(broker: AnyBroker) -> None:
    assert compared(desired(TWO, broker=broker), stored(TWO, broker=broker)) == Difference()


@pytest.mark.parametrize(
    ("new", "creates", "updates", "vanished"),
    [
        pytest.param([TWO], ["db-id", "db-small-id", "db-large-id"], [], [], id="first catalog"),
        pytest.param(
            [TWO, simple_service("web")],
            ["db-id", "web-id", "db-small-id", "db-large-id", "web-default-id"],
            [],
            [],
            id="classes before plans",
        ),
    ],
)
def test_new_offerings_are_created(
    new: list[dict[str, Any]], creates: list[str], updates: list[str], vanished: list[str]
) -> None:
    found = compared(desired(*new), Offerings())
    assert names(found.creates) == creates
    assert [old.metadata.name for old, _ in found.updates] == updates
    assert names((*found.vanished.classes, *found.vanished.plans)) == vanished


@pytest.mark.parametrize(
    ("new", "creates", "updates", "vanished"),
    [
        pytest.param(simple_service("db", plans=["small"]), [], [], ["db-large-id"], id="a plan less"),
        pytest.param(simple_service("db", plans=["small", "large", "huge"]), ["db-huge-id"], [], [], id="a plan more"),
        pytest.param(
            simple_service("db", plans=["small", simple_plan("large", free=False)]), [], ["db-large-id"], [], id="flag"
        ),
        pytest.param(
            simple_service("data", service_id="db-id", plans=[simple_plan("small", plan_id="db-small-id"),
                                                              simple_plan("large", plan_id="db-large-id")]),
            [], ["db-id"], [], id="a new name for the same id"),
        pytest.param(
            simple_service("web"),
            ["web-id", "web-default-id"],
            [],
            ["db-id", "db-small-id", "db-large-id"],
            id="another service",
        ),
        pytest.param(
            simple_service("db", plans=[simple_plan("small", plan_id="new"), "large"]),
            ["new"], [], ["db-small-id"], id="a new id is a new plan"),
    ],
)  # fmt: skip
def test_only_what_differs_is_written(
    new: dict[str, Any], creates: list[str], updates: list[str], vanished: list[str]
) -> None:
    found = compared(desired(new), stored(TWO))
    assert names(found.creates) == creates
    assert [old.metadata.name for old, _ in found.updates] == updates
    assert names((*found.vanished.classes, *found.vanished.plans)) == vanished


def test_update_keeps_identity_and_what_users_have_added() -> None:
    labels = {"team": "blue", "servicecatalog.k8s.io/spec.externalName": "stale"}
    before = stored(simple_service("db"), labels=labels, annotations={"note": "mine"})
    (service_class,) = before.classes
    spec = service_class.spec.model_copy(update={"default_provision_parameters": {"size": 1}})
    before = Offerings((service_class.model_copy(update={"spec": spec}),), ())

    found = compared(desired(simple_service("db", tags=["sql"])), before)
    ((old, new),) = found.updates
    assert (new.metadata.uid, new.metadata.generation) == (old.metadata.uid, 2)
    assert new.metadata.annotations == {"note": "mine"}
    assert new.metadata.labels is not None
    assert new.metadata.labels["team"] == "blue"
    assert new.metadata.labels["servicecatalog.k8s.io/spec.externalName"] != "stale"
    assert new.spec.default_provision_parameters == {"size": 1}


def test_change_of_labels_alone_is_no_new_generation() -> None:
    ((_, new), *_rest) = compared(desired(TWO), stored(TWO, labels=None)).updates
    assert new.metadata.generation == 1


def test_offering_that_comes_back_loses_its_mark() -> None:
    before = stored(TWO)
    marked = tuple(each.model_copy(update={"status": MARKED}) for each in before.plans)
    found = compared(desired(TWO), Offerings(before.classes, marked))
    assert sorted(new.metadata.name for _, new in found.updates) == ["db-large-id", "db-small-id"]
    assert not any(new.status.removed_from_broker_catalog for _, new in found.updates)


def test_broker_that_was_recreated_owns_its_offerings_again() -> None:
    new_broker = BROKER.model_copy(update={"metadata": BROKER.metadata.model_copy(update={"uid": "another"})})
    found = compared(desired(TWO, broker=new_broker), stored(TWO))
    assert {owner.uid for _, new in found.updates for owner in new.metadata.owner_references or []} == {"another"}
    assert len(found.updates) == 3


def test_copies_that_users_have_made_are_left_alone() -> None:
    copies = stored(simple_service("copy"), owner_references=None)
    before = stored(TWO)
    mixed = Offerings((*before.classes, *copies.classes), (*before.plans, *copies.plans))
    assert compared(desired(TWO), mixed) == Difference()


def test_namespaced_offerings_need_no_owner_to_be_managed() -> None:
    broker = make_broker(namespace="team")
    found = compared(desired(simple_service("web"), broker=broker), stored(TWO, broker=broker))
    assert names(found.vanished.classes) == ["db-id"]


def test_plan_that_moves_to_another_class_is_refused() -> None:
    moved = simple_service("web", plans=[simple_plan("small", plan_id="db-small-id")])
    found = difference(desired(moved, simple_service("db", plans=["large"])), stored(TWO))
    assert isinstance(found, Clash)
    assert "has moved from the class 'db-id' to 'web-id'" in found.sentence


def test_name_that_stands_for_another_id_is_refused() -> None:
    before = stored(simple_service("db"))
    (service_class,) = before.classes
    other = service_class.spec.model_copy(update={"external_id": "something else"})
    found = difference(
        desired(simple_service("db")), Offerings((service_class.model_copy(update={"spec": other}),), ())
    )
    assert isinstance(found, Clash)
    assert "already exists with the id 'something else'" in found.sentence


def test_clash_names_the_other_broker_and_stays_short() -> None:
    services = [simple_service(f"s{number}") for number in range(15)]
    taken = stored(*services).classes
    second = BROKER.model_copy(update={"metadata": BROKER.metadata.model_copy(update={"name": "pier"})})
    clash = clash_with(second, taken)
    assert clash.problems[0] == (
        "ClusterServiceClass 's0-id' ('s0') for Broker 'pier' already exists for Broker 'harbour'"
    )
    assert clash.sentence.endswith("; and 5 more problems")


@pytest.mark.parametrize(
    ("used", "marks", "removals"),
    [
        pytest.param(Leftovers(), [], ["db-small-id", "db-large-id", "db-id"], id="nothing used: plans go first"),
        pytest.param(
            Leftovers(classes=("db-id",), plans=("db-small-id",)),
            ["db-id", "db-small-id"],
            ["db-large-id"],
            id="a used plan stays with its class",
        ),
        pytest.param(
            Leftovers(plans=("db-small-id",)),
            ["db-id", "db-small-id"],
            ["db-large-id"],
            id="the class of a used plan stays",
        ),
        pytest.param(
            Leftovers(classes=("db-id",)), ["db-id"], ["db-small-id", "db-large-id"], id="a class stays alone"
        ),
    ],
)
def test_vanished_offerings_go_unless_used(used: Leftovers, marks: list[str], removals: list[str]) -> None:
    found = retired(stored(TWO), used=used)
    assert [new.metadata.name for _, new in found.marks] == marks
    assert all(new.status.removed_from_broker_catalog for _, new in found.marks)
    assert names(found.removals) == removals
    assert {*found.leftovers.classes, *found.leftovers.plans} == set(marks)


def test_marked_leftovers_are_not_written_again() -> None:
    before = stored(TWO)
    again: list[AnyClass | AnyPlan] = [
        each.model_copy(update={"status": MARKED}) for each in (*before.classes, *before.plans)
    ]
    marked = Offerings(tuple(again[:1]), tuple(again[1:]))  # type: ignore[arg-type]
    found = retired(marked, used=Leftovers(classes=("db-id",), plans=("db-small-id", "db-large-id")))
    assert (found.marks, found.removals) == ((), ())
    assert found.leftovers == Leftovers(classes=("db-id",), plans=("db-small-id", "db-large-id"))
