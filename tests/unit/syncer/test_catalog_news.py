"""What a sync tells people about: changes of the catalog, offerings kept or taken back, and what is odd."""

from typing import Any

import pytest

from chandlery.model.objects.instances import MaintenanceInfo
from chandlery.model.objects.offerings import OfferingStatus
from chandlery.osb.catalog.catalog_remarks import CatalogRemarks
from chandlery_syncer.catalog.catalog_difference import Difference, Retirement, difference, retired
from chandlery_syncer.catalog.catalog_news import CatalogNews, remarks_facts, with_other_upkeep
from chandlery_syncer.catalog.catalog_objects import Offerings, desired_offerings
from chandlery_syncer.facts.broker_notes import Leftovers
from tests.conformance.scripted.scripted_catalog import parameter_schemas, simple_plan, simple_service
from tests.unit.syncer.builders import catalog, make_broker

DRAFT_7 = "http://json-schema.org/draft-07/schema#"


def offerings(*services: dict[str, Any]) -> Offerings:
    return desired_offerings(make_broker(), catalog(*services))


def news(stored: Offerings, desired: Offerings, *, used: Leftovers | None = None) -> CatalogNews:
    found = difference(desired, stored)
    assert isinstance(found, Difference)
    titles = {each.metadata.name: each.spec.external_name for each in (*stored.classes, *desired.classes)}
    retirement = retired(found.vanished, used=used or Leftovers())
    return CatalogNews(difference=found, retirement=retirement, is_first=stored == Offerings(), class_titles=titles)


DB = offerings(simple_service("db", plans=["small", "large"]))
MARKED = Offerings(
    DB.classes,
    tuple(
        each.model_copy(update={"status": OfferingStatus(removed_from_broker_catalog=True)})
        if each.spec.external_name == "large"
        else each
        for each in DB.plans
    ),
)


@pytest.mark.parametrize(
    ("stored", "desired", "told"),
    [
        pytest.param(Offerings(), DB, None, id="all is new at first, and nobody wants a list"),
        pytest.param(DB, DB, None, id="nothing has changed"),
        pytest.param(
            DB,
            offerings(simple_service("db", plans=["small", simple_plan("large", free=False), "huge"])),
            "1 plan added (db/huge); 1 plan changed (db/large)",
            id="new and changed",
        ),
        pytest.param(
            DB,
            offerings(simple_service("web")),
            "1 class and 1 plan added (web, web/default); 1 class and 2 plans removed (db, db/small, db/large)",
            id="another offering",
        ),
        pytest.param(MARKED, DB, "1 plan offered again (db/large)", id="returned"),
        pytest.param(
            DB,
            offerings(simple_service("db", plans=["small", "large", *(f"p{n:x}" for n in range(12))])),
            "12 plans added (db/p0, db/p1, db/p2, db/p3, db/p4, db/p5, db/p6, db/p7, db/p8, db/p9 and 2 more)",
            id="many",
        ),
    ],
)
def test_changes_of_the_catalog_are_one_event(stored: Offerings, desired: Offerings, told: str | None) -> None:
    facts = [fact.message for fact in news(stored, desired).about_broker]
    assert facts == ([f"The catalog has changed: {told}"] if told else [])


def test_offering_that_is_kept_for_its_instances_says_so_itself() -> None:
    told = news(DB, offerings(simple_service("db", plans=["small"])), used=Leftovers(plans=("db-large-id",)))
    ((plan, fact),) = told.about_offerings
    assert (plan.metadata.name, fact.reason, fact.is_warning) == ("db-large-id", "RemovedFromBrokerCatalog", True)
    assert plan.status.removed_from_broker_catalog
    assert "kept for instances (db/large)" in told.about_broker[0].message


def test_offering_that_is_back_says_so_itself() -> None:
    ((plan, fact),) = news(MARKED, DB).about_offerings
    assert (plan.metadata.name, fact.reason, fact.is_warning) == ("db-large-id", "ReturnedToBrokerCatalog", False)


def test_only_other_maintenance_info_concerns_instances() -> None:
    small, large = DB.plans
    upkeep = small.model_copy(
        update={"spec": small.spec.model_copy(update={"maintenance_info": MaintenanceInfo(version="2.0.0")})}
    )
    renamed = large.model_copy(update={"spec": large.spec.model_copy(update={"external_name": "huge"})})
    assert with_other_upkeep([(small, upkeep), (large, renamed), (DB.classes[0], DB.classes[0])]) == [upkeep]


def test_retirement_of_nothing_tells_nothing() -> None:
    quiet = CatalogNews(
        difference=Difference(), retirement=Retirement((), (), Leftovers()), is_first=False, class_titles={}
    )
    assert (quiet.about_broker, quiet.about_offerings) == ((), ())


@pytest.mark.parametrize(
    ("service", "remark"),
    [
        pytest.param(simple_service("my-DB.v2"), None, id="easy to type"),
        pytest.param(simple_service("my db"), 'services[0].name: "my db" is hard to type', id="space"),
        pytest.param(simple_service("-"), 'services[0].name: "-" is hard to type', id="hyphen alone"),
        pytest.param(
            simple_service("db", plans=["größe"]), 'services[0].plans[0].name: "gr\\xf6\\xdfe" is hard', id="letters"
        ),
        pytest.param(simple_service("db", requires=["volume_mount"]), None, id="known permission"),
        pytest.param(
            simple_service("db", requires=["volume_mount", "moon"]),
            'services[0].requires[1]: "moon" is unknown',
            id="requires",
        ),
        pytest.param(
            simple_service(
                "db", plans=[simple_plan(schemas=parameter_schemas(update={"$schema": DRAFT_7, "type": 7}))]
            ),
            "services[0].plans[0].schemas.service_instance.update.parameters: it is not valid",
            id="schema",
        ),
        pytest.param(
            simple_service(
                "db",
                plans=[simple_plan(schemas=parameter_schemas(bind={"$schema": DRAFT_7, "pattern": "(x?){99000}"}))],
            ),
            'services[0].plans[0].schemas.service_binding.create.parameters: its pattern "(x?){99000}" is too long',
            id="pattern",
        ),
        pytest.param(
            simple_service(
                "db", plans=[simple_plan(schemas=parameter_schemas(bind={"$schema": "http://x", "type": 7}))]
            ),
            None,
            id="schema of an unknown draft",
        ),
    ],
)
def test_oddities_are_remarked_with_their_path(service: dict[str, Any], remark: str | None) -> None:
    found = CatalogRemarks()(catalog(service))
    assert len(found) == (0 if remark is None else 1)
    assert all(each.startswith(remark or "") for each in found)


def test_schemas_are_not_looked_at_for_ever_and_never_twice() -> None:
    bad = {"$schema": DRAFT_7, "type": 7}
    services = catalog(simple_service("db", plans=[simple_plan(schemas=parameter_schemas(create=bad, update=bad))]))
    assert CatalogRemarks(patience_seconds=0)(services) == ()
    assert len(CatalogRemarks()(services)) == 2


def test_remarks_are_one_warning_that_shows_ten() -> None:
    (fact,) = remarks_facts([f"remark {number}" for number in range(12)])
    assert fact.is_warning
    assert fact.message.endswith("remark 9; and 2 more")
    assert remarks_facts([]) == ()
