"""Every kind survives its way into a row, and into the change log, and back; Secrets leave no trace in plain text."""

import base64
from collections.abc import Sequence
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncEngine

from chandlery.model.objects import kinds
from chandlery.model.objects.core import Secret
from chandlery.model.objects.instances import ServiceInstance
from chandlery.model.objects.kinds import AnyObject, Kind
from chandlery.model.objects.metadata import OwnerReference
from chandlery.model.objects.wire import JsonObject
from chandlery.store.database import Database, UnitOfWork
from chandlery.store.objects.object_reads import Listing
from chandlery.store.rows import plain_form
from chandlery.store.schema import OBJECTS
from tests.integration.store import samples
from tests.integration.store.samples import NOON, create, instance, sample

ODD: dict[str, Any] = {
    "big": 2**80,
    "negative": -(2**63) - 1,
    "fraction": 0.1,
    "small": 5e-324,
    "large": 1.7976931348623157e308,
    "null": None,
    "nulls": [None, {"inner": None}],
    "empty": {"object": {}, "list": [], "text": ""},
    "unicode": "Größe 尺寸 🚢 \u2028 \x7f",
    "zero byte": "a\x00b",
    "ключ": True,
    "quotes": "'\"\\%s $1 :name",
}
CONDITION = {
    "type": "Ready",
    "status": "False",
    "reason": "Provisioning",
    "message": "…",
    "lastTransitionTime": "2026-03-14T11:59:59Z",
}
BROKER_STATUS = {"conditions": [CONDITION], "reconciledGeneration": 2**31 - 1, "lastConditionState": "Provisioning"}
OFFERING = {"externalName": "größe", "externalID": "id-1", "externalMetadata": ODD, "tags": ["a", ""], "bindable": True}
PLAN = {"externalName": "p", "free": False, "instanceCreateParameterSchema": ODD, "maintenanceInfo": {"version": "1.0"}}
REMOVED = {"removedFromBrokerCatalog": True}

BODIES: dict[str, dict[str, Any]] = {
    "ClusterServiceBroker": {
        "spec": {"url": "https://b", "authInfo": {"basic": {"secretRef": {"namespace": "n", "name": "s"}}}},
        "status": BROKER_STATUS,
    },
    "ServiceBroker": {
        "spec": {"url": "https://b", "catalogRestrictions": {"serviceClass": ["spec.externalName in (a, b)"]}},
        "status": BROKER_STATUS,
    },
    "ClusterServiceClass": {"spec": {**OFFERING, "clusterServiceBrokerName": "b"}, "status": REMOVED},
    "ServiceClass": {"spec": {**OFFERING, "serviceBrokerName": "b"}},
    "ClusterServicePlan": {"spec": {**PLAN, "clusterServiceClassRef": {"name": "c"}}, "status": REMOVED},
    "ServicePlan": {"spec": {**PLAN, "serviceClassRef": {"name": "c"}, "instanceUpdateParameterSchema": True}},
    "ServiceInstance": {
        "spec": {"parameters": ODD, "parametersFrom": [{"secretKeyRef": {"name": "s", "key": "k"}}]},
        "status": {"conditions": [CONDITION], "externalProperties": {"parameters": ODD}, "currentOperation": "Update"},
    },
    "ServiceBinding": {
        "spec": {
            "instanceRef": {"name": "i"},
            "parameters": ODD,
            "secretTransforms": [{"renameKey": {"from": "a", "to": "b"}}, {"addKey": {"key": "k", "stringValue": ""}}],
        },
        "status": {"conditions": [CONDITION], "unbindStatus": "Required"},
    },
    "Namespace": {"spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Terminating"}},
    "Secret": {
        "data": {"password": "aHVudGVyMg==", "empty": ""},
        "type": "kubernetes.io/basic-auth",
        "immutable": True,
    },
    "Event": {
        "involvedObject": {"kind": "ServiceInstance", "name": "i", "uid": "u", "namespace": "ns"},
        "reason": "Provisioned",
        "message": "größer",
        "count": 3,
        "firstTimestamp": "2026-03-14T11:59:59Z",
        "series": {"count": 2**40},
    },
    "ServiceAccount": {"secrets": [{"name": "s"}], "automountServiceAccountToken": False},
    "Role": {"rules": [{"verbs": ["get"], "apiGroups": ["", "größe"], "resources": ["a/b"], "resourceNames": ["n"]}]},
    "ClusterRole": {"rules": [{"verbs": ["*"], "nonResourceURLs": ["/docs/*"]}]},
    "RoleBinding": {
        "subjects": [{"kind": "ServiceAccount", "name": "s", "namespace": "ns"}],
        "roleRef": {"kind": "Role", "name": "r", "apiGroup": "rbac.authorization.k8s.io"},
    },
    "ClusterRoleBinding": {
        "subjects": [{"kind": "User", "name": "größe:\u2028", "apiGroup": "rbac.authorization.k8s.io"}],
        "roleRef": {"kind": "ClusterRole", "name": "r:x", "apiGroup": "rbac.authorization.k8s.io"},
    },
}

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**100), 2**100)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)
    ),
    max_leaves=8,
)
EACH = list(kinds.KINDS.values())


async def test_an_object_of_each_kind_comes_back_with_all_its_fields(database: Database) -> None:
    created = await create(database, *(sample(kind, **BODIES[kind.kind]) for kind in EACH))
    found = [await _stored(database, kind) for kind in EACH]

    for before, after in zip(created, found, strict=True):
        assert after == before
        assert after.to_wire() == before.to_wire()


async def test_an_empty_object_of_each_kind_comes_back_empty(database: Database) -> None:
    created = await create(database, *(sample(kind) for kind in EACH))

    assert [await _stored(database, kind) for kind in EACH] == created


async def test_lists_show_of_each_kind_what_the_object_would(database: Database) -> None:
    await create(database, *(sample(kind, **BODIES[kind.kind]) for kind in EACH))
    await create(database, *(sample(kind, "bare") for kind in EACH))

    for kind in EACH:
        plain, objects = await _listed(database, kind)
        assert plain == [plain_form(document) for document in objects], kind.kind


async def test_what_came_to_the_model_since_a_row_was_written_is_shown_with_its_default(database: Database) -> None:
    await create(database, instance("db"))
    columns: JsonObject = {"spec": {}, "status": {"conditions": []}}
    await database.run(lambda unit: unit._connection.execute(update(OBJECTS["ServiceInstance"]).values(columns)))

    plain, objects = await _listed(database, kinds.SERVICE_INSTANCE)

    assert plain == [plain_form(document) for document in objects]
    assert plain[0]["spec"]["updateRequests"] == 0


async def _listed(database: Database, kind: Kind) -> tuple[Sequence[JsonObject], Sequence[AnyObject]]:
    async def both(unit: UnitOfWork) -> tuple[Sequence[JsonObject], Sequence[AnyObject]]:
        return await unit.objects.list_plain(kind, Listing()), await unit.objects.list(kind, Listing())

    return await database.run(both)


async def test_the_change_log_holds_the_whole_object_of_each_kind(database: Database) -> None:
    created = await create(database, *(sample(kind, **BODIES[kind.kind]) for kind in EACH))
    changes = await samples.read_at_least(database, len(EACH))

    read = [samples.changed_object(database, change) for change in changes]
    assert [document.to_wire() for document in read] == [document.to_wire() for document in created]


async def _stored(database: Database, kind: Kind) -> AnyObject:
    namespace = "ns" if kind.namespaced else ""
    found = await database.run(lambda unit: unit.objects.get(kind, namespace, "sample"))
    assert found is not None, kind.kind
    return found


async def test_all_metadata_comes_back(database: Database) -> None:
    owner = OwnerReference(api_version="v1", kind="Secret", name="o", uid="u", controller=True)
    metadata = samples.meta(
        "db",
        labels={"größe": "", "a/b.c": "1"},
        annotations={"note": "line\nline 🚢"},
        finalizers=["kubernetes-incubator/service-catalog"],
        owner_references=[owner],
        deletion_timestamp=NOON.replace(microsecond=123456),
        deletion_grace_period_seconds=0,
    ).model_copy(update={"generation": 2**31 - 1})
    (created,) = await create(database, ServiceInstance(metadata=metadata))

    assert await samples.get_instance(database, "db") == created


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parameters=st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), JSON_VALUES, max_size=3))
async def test_any_parameters_come_back_as_they_were_given(database: Database, parameters: dict[str, Any]) -> None:
    written = instance("db", parameters=parameters)
    await database.run(lambda unit: unit.objects.insert(written))
    found = await samples.get_instance(database, "db")
    assert found is not None
    await samples.remove(database, found)

    assert found.spec.parameters == parameters


PLAIN = ("hunter2", "correct horse", "s3cret-note")
WORDS = [*PLAIN, *(base64.b64encode(word.encode()).decode() for word in PLAIN)]


async def test_secret_data_stands_nowhere_in_the_database(database: Database, engine: AsyncEngine) -> None:
    encoded = base64.b64encode(b"hunter2").decode()
    # What `kubectl apply` leaves behind repeats the manifest, data included.
    applied = {"kubectl.kubernetes.io/last-applied-configuration": f'{{"data":{{"password":"{encoded}"}}}}'}
    metadata = samples.meta("login", annotations=applied, labels={"app": "shop"}).model_copy(
        update={"generation": None}
    )
    secret = Secret(metadata=metadata, data={"password": encoded}, string_data={"phrase": "correct horse"})

    (created,) = await create(database, secret)
    note = {"note": base64.b64encode(b"s3cret-note").decode()}
    updated = await samples.update(database, created, created.model_copy(update={"data": note}))
    found = await database.run(lambda unit: unit.objects.get(kinds.SECRET, "ns", "login"))
    changes = await samples.read_at_least(database, 2)
    await samples.remove(database, updated)

    assert found == updated
    assert found.metadata.annotations == applied
    assert [samples.changed_object(database, change) for change in changes] == [
        created.model_validate(created.to_wire()),
        updated.model_validate(updated.to_wire()),
    ]
    everything = await samples.dump(engine)
    assert "login" in everything
    assert [word for word in WORDS if word in everything] == []


async def test_a_secret_can_still_be_found_by_its_labels(database: Database) -> None:
    secret = sample(kinds.SECRET)
    labelled = secret.metadata.model_copy(update={"labels": {"app": "shop"}})
    (created,) = await create(database, secret.model_copy(update={"metadata": labelled}))
    listing = samples.labelled(app="shop")

    assert await database.run(lambda unit: unit.objects.list(kinds.SECRET, listing)) == [created]


async def test_owners_of_fields_come_back_and_those_of_a_secret_are_sealed(database: Database) -> None:
    owners = '[{"manager":"ann\\u0000","fieldsV1":{"f:data":{"f:hunter2":{}}}}]'
    objects = (sample(kinds.SECRET), instance("db"))
    owned = [
        each.model_copy(update={"metadata": each.metadata.model_copy(update={"managed_fields": owners})})
        for each in objects
    ]
    secret, _ = await create(database, *owned)

    plain = await samples.get_instance(database, "db")
    assert plain is not None
    assert plain.metadata.managed_fields == owners
    found = await database.run(lambda unit: unit.objects.get_by_uid(kinds.SECRET, secret.metadata.uid or ""))
    assert found is not None
    assert found.metadata.managed_fields == owners
    for change in await samples.read_at_least(database, 2):
        logged = samples.changed_object(database, change)
        assert logged.metadata.managed_fields == owners
        assert (change.kind == "ServiceInstance") == ("hunter2" in str(change.stored))
    await samples.remove(database, secret)
