"""What it costs to know who owns which fields: processor time of a create and of a worker's write, with and without.

    python tests/benchmarks/costs/managed_fields_cost.py [--times 3000]

Everything that the gateway does in Python for one instance, from the body to the answer, without the database; and what
a worker does between reading a row and writing another status. Prints microseconds, the best of five runs.
"""

import argparse
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from pydantic_core import to_json

from chandlery.model.objects.instances import ServiceInstance, UserInfo
from chandlery.model.objects.kinds import SERVICE_INSTANCE, AnyObject
from chandlery.store.rows import RowCodec
from chandlery.store.sealing.sealing import Keyring, new_key
from chandlery_gateway.admission.catalog.object_admission import ObjectAdmission
from chandlery_gateway.kube.apply.managed_fields import Author
from chandlery_gateway.kube.body.decoding import FieldValidation, decode_object
from chandlery_gateway.read.selection import to_client
from chandlery_gateway.write.mutations import created

ADMISSION = ObjectAdmission()

BODY = {
    "apiVersion": "servicecatalog.k8s.io/v1beta1",
    "kind": "ServiceInstance",
    "metadata": {"name": "db", "labels": {"team": "a", "stage": "test"}},
    "spec": {
        "clusterServiceClassExternalName": "mysql",
        "clusterServicePlanExternalName": "small",
        "parameters": {"size": 10, "options": {"backup": True, "zones": [1, 2]}, "name": "orders"},
    },
}
USER = UserInfo(username="ann", uid="1", groups=("developers",))
CODEC = RowCodec(Keyring.parse(new_key("benchmark")))
NOW = datetime.now(UTC)


def admitted(*, tracked: bool) -> AnyObject:
    """From the body to the object as it is stored."""
    payload = json.dumps(BODY).encode()
    decoded = decode_object(SERVICE_INSTANCE, payload, "application/json", field_validation=FieldValidation.WARN)
    author = Author(manager="kubectl-create", kind=SERVICE_INSTANCE, now=datetime.now(UTC))
    document = created(decoded, author) if tracked else decoded.object
    document = ADMISSION.default_on_create(document, USER, new_id=lambda: "id")
    ADMISSION.problems_on_create(document)
    facts = {"uid": "1", "namespace": "team", "creation_timestamp": NOW, "generation": 1, "resource_version": "7"}
    return document.model_copy(update={"metadata": document.metadata.model_copy(update=facts)})


def create(*, tracked: bool) -> None:
    """One create, to the row, the entry of the change log and the answer."""
    document = admitted(tracked=tracked)
    json.dumps([CODEC.to_row(document)["spec"], CODEC.to_stored(document)])
    to_json(to_client(SERVICE_INSTANCE, document))


def write_status(row: dict[str, Any]) -> None:
    """One write of a worker."""
    old = CODEC.from_row(SERVICE_INSTANCE, row)
    assert isinstance(old, ServiceInstance)
    new = old.model_copy(update={"status": old.status.model_copy(update={"dashboard_url": "https://db"})})
    after, before = CODEC.to_row(new), CODEC.to_row(old)
    json.dumps({column: value for column, value in after.items() if value != before[column]}, default=str)
    json.dumps(CODEC.to_stored(new))


def microseconds(work: Callable[[], None], times: int) -> float:
    """Processor time of one call: the best of five runs."""
    runs = []
    for _ in range(5):
        start = time.process_time()
        for _ in range(times):
            work()
        runs.append((time.process_time() - start) / times * 1e6)
    return min(runs)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=3000)
    times = parser.parse_args().times
    for tracked in (False, True):
        row = {**CODEC.to_row(admitted(tracked=tracked)), "resource_version": 7}
        cost = microseconds(lambda: create(tracked=tracked), times)  # noqa: B023 - called at once
        write = microseconds(lambda: write_status(row), times)  # noqa: B023 - called at once
        print(
            f"{'owners known' if tracked else 'no owners':13} create {cost:6.1f} us   write of a status {write:6.1f} us"
        )


if __name__ == "__main__":
    main()
