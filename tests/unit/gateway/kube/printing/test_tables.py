from datetime import UTC, datetime, timedelta

import pytest

from chandlery.model.objects.kinds import (
    CATALOG_KINDS,
    CLUSTER_SERVICE_BROKER,
    CLUSTER_SERVICE_CLASS,
    CLUSTER_SERVICE_PLAN,
    CORE_KINDS,
    EVENT,
    NAMESPACE,
    SECRET,
    SERVICE_BINDING,
    SERVICE_CLASS,
    SERVICE_INSTANCE,
    SERVICE_PLAN,
    Kind,
)
from chandlery.model.objects.wire import JsonObject
from chandlery_gateway.kube.printing.table_columns import age, human_duration
from chandlery_gateway.kube.printing.tables import IncludeObject, partial_metadata_list, table

NOW = datetime(2030, 1, 2, tzinfo=UTC)
METADATA = {"name": "x", "namespace": "n", "creationTimestamp": "2030-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "<invalid>"),
        (-1, "0s"),
        (0, "0s"),
        (70, "70s"),
        (119, "119s"),
        (120, "2m"),
        (125, "2m5s"),
        (599, "9m59s"),
        (600, "10m"),
        (10_799, "179m"),
        (10_800, "3h"),
        (10_800 + 61, "3h1m"),
        (28_800, "8h"),
        (172_799, "47h"),
        (172_800, "2d"),
        (5 * 86_400 + 4 * 3600, "5d4h"),
        (8 * 86_400, "8d"),
        (729 * 86_400, "729d"),
        (730 * 86_400, "2y"),
        (735 * 86_400, "2y5d"),
        (8 * 365 * 86_400, "8y"),
    ],
)
def test_human_duration_is_that_of_kubectl(seconds: int, text: str) -> None:
    assert human_duration(timedelta(seconds=seconds)) == text


def test_age_is_unknown_without_a_time() -> None:
    assert age(None, now=NOW) == "<unknown>"


def cells(kind: Kind, document: JsonObject) -> dict[str, object]:
    made = table(kind, [{"metadata": METADATA, **document}], now=NOW)
    names = [column["name"] for column in made["columnDefinitions"] if column["priority"] == 0]
    return dict(zip(names, made["rows"][0]["cells"], strict=False))


@pytest.mark.parametrize(
    ("kind", "document", "row"),
    [
        (
            CLUSTER_SERVICE_BROKER,
            {"spec": {"url": "http://b"}, "status": {"lastConditionState": "Ready"}},
            {"Name": "x", "URL": "http://b", "Status": "Ready", "Age": "24h"},
        ),
        (
            CLUSTER_SERVICE_CLASS,
            {"spec": {"externalName": "e", "clusterServiceBrokerName": "b"}},
            {"Name": "x", "External-Name": "e", "Broker": "b", "Age": "24h"},
        ),
        (
            SERVICE_CLASS,
            {"spec": {"externalName": "e", "serviceBrokerName": "b"}},
            {"Name": "x", "External-Name": "e", "Broker": "b", "Age": "24h"},
        ),
        (
            CLUSTER_SERVICE_PLAN,
            {"spec": {"externalName": "e", "clusterServiceBrokerName": "b", "clusterServiceClassRef": {"name": "c"}}},
            {"Name": "x", "External-Name": "e", "Broker": "b", "Class": "c", "Age": "24h"},
        ),
        (
            SERVICE_PLAN,
            {"spec": {"externalName": "e", "serviceBrokerName": "b", "serviceClassRef": {"name": "c"}}},
            {"Name": "x", "External-Name": "e", "Broker": "b", "Class": "c", "Age": "24h"},
        ),
        (
            SERVICE_INSTANCE,
            {
                "spec": {"clusterServiceClassExternalName": "c", "clusterServicePlanExternalName": "p"},
                "status": {
                    "lastConditionState": "Ready",
                    "userSpecifiedClassName": "ClusterServiceClass/old",
                    "userSpecifiedPlanName": "q",
                },
            },
            {"Name": "x", "Class": "ClusterServiceClass/old", "Plan": "q", "Status": "Ready", "Age": "24h"},
        ),
        (
            SERVICE_INSTANCE,
            {"spec": {"serviceClassName": "c", "servicePlanName": "p"}, "status": {"userSpecifiedClassName": ""}},
            {"Name": "x", "Class": "ServiceClass/c", "Plan": "p", "Status": "", "Age": "24h"},
        ),
        (
            SERVICE_BINDING,
            {"spec": {"instanceRef": {"name": "i"}, "secretName": "s"}, "status": {}},
            {"Name": "x", "Service-Instance": "i", "Secret-Name": "s", "Status": "", "Age": "24h"},
        ),
        (NAMESPACE, {"status": {"phase": "Active"}}, {"Name": "x", "Status": "Active", "Age": "24h"}),
        (
            SECRET,
            {"type": "Opaque", "data": {"a": "", "b": ""}},
            {"Name": "x", "Type": "Opaque", "Data": 2, "Age": "24h"},
        ),
        (SECRET, {"type": "Opaque"}, {"Name": "x", "Type": "Opaque", "Data": 0, "Age": "24h"}),
    ],
    ids=lambda value: value.kind if isinstance(value, Kind) else None,
)
def test_table_has_the_columns_of_the_reference(kind: Kind, document: JsonObject, row: dict[str, object]) -> None:
    assert cells(kind, document) == row


def test_event_table_has_the_columns_of_kubectl() -> None:
    event = {
        "metadata": METADATA,
        "lastTimestamp": "2030-01-01T23:59:00Z",
        "firstTimestamp": "2030-01-01T23:00:00Z",
        "type": "Normal",
        "reason": "FetchedCatalog",
        "involvedObject": {"kind": "ClusterServiceBroker", "name": "b"},
        "message": "done",
        "source": {"component": "syncer"},
        "count": 3,
    }
    made = table(EVENT, [event], now=NOW)
    shown = [column["name"] for column in made["columnDefinitions"] if column["priority"] == 0]
    assert shown == ["Last Seen", "Type", "Reason", "Object", "Message"]
    named = {
        column["name"]: cell for column, cell in zip(made["columnDefinitions"], made["rows"][0]["cells"], strict=True)
    }
    assert named == {
        "Last Seen": "60s",
        "Type": "Normal",
        "Reason": "FetchedCatalog",
        "Object": "clusterservicebroker/b",
        "Source": "syncer",
        "Message": "done",
        "First Seen": "60m",
        "Count": 3,
        "Name": "x",
    }


@pytest.mark.parametrize(
    ("include", "carried"),
    [
        (IncludeObject.NONE, None),
        (
            IncludeObject.METADATA,
            {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1beta1", "metadata": METADATA},
        ),
        (IncludeObject.OBJECT, {"metadata": METADATA, "type": "Opaque"}),
    ],
)
def test_table_rows_carry_what_was_asked_for(include: IncludeObject, carried: JsonObject | None) -> None:
    made = table(
        SECRET,
        [{"metadata": METADATA, "type": "Opaque"}],
        now=NOW,
        api_version="meta.k8s.io/v1beta1",
        include_object=include,
        list_metadata={"resourceVersion": "7"},
    )
    assert made["apiVersion"] == "meta.k8s.io/v1beta1"
    assert made["metadata"] == {"resourceVersion": "7"}
    assert made["rows"][0].get("object") == carried


def test_table_of_a_later_watch_notice_needs_no_columns() -> None:
    made = table(SECRET, [{"metadata": METADATA}], now=NOW, with_columns=False)
    assert made["columnDefinitions"] == []
    assert len(made["rows"][0]["cells"]) == 4


@pytest.mark.parametrize("kind", [*CATALOG_KINDS, *CORE_KINDS], ids=lambda kind: kind.kind)
def test_table_is_made_of_an_object_with_nothing_in_it(kind: Kind) -> None:
    made = table(kind, [{}], now=NOW)
    assert len(made["rows"][0]["cells"]) == len(made["columnDefinitions"])
    assert [column["name"] for column in made["columnDefinitions"] if column["format"] == "name"] == ["Name"]


def test_metadata_list_leaves_the_bodies_out() -> None:
    made = partial_metadata_list([{"metadata": METADATA, "data": {"a": "b"}}], list_metadata={"resourceVersion": "7"})
    assert made["items"] == [{"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": METADATA}]
    assert made["kind"] == "PartialObjectMetadataList"


def test_cells_hold_nothing_that_steers_a_terminal_whoever_wrote_it() -> None:
    event = {
        "kind": "Event",
        "metadata": METADATA,
        "message": "a\x1b[2J\nb\u202ec",
        "reason": "R\x07",
        "type": "Normal",
    }
    broker = {"kind": "ClusterServiceBroker", "metadata": METADATA, "spec": {"url": "http://x/\x1b]0;t\x07y"}}
    cells = [*_cells(EVENT, event), *_cells(CLUSTER_SERVICE_BROKER, broker)]
    assert {"a bc", "R", "http://x/y"} <= {cell for cell in cells if isinstance(cell, str)}


def _cells(kind: Kind, document: JsonObject) -> list[object]:
    cells: list[object] = table(kind, [document], now=NOW)["rows"][0]["cells"]
    return cells
