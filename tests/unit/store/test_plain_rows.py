"""Lists show rows as they are stored: what is shown of an object must not depend on whether it is read alone."""

from typing import Any

from chandlery.model.objects.instances import ServiceInstance
from chandlery.model.objects.kinds import SERVICE_INSTANCE
from chandlery.store.rows import RowCodec, plain_form
from chandlery.store.sealing.sealing import Keyring, new_key, parse_keys
from chandlery.store.sealing.spec_sealing import SEALED_ANNOTATION


def _row(codec: RowCodec, *, annotations: dict[str, str]) -> dict[str, Any]:
    metadata = {
        "name": "db",
        "namespace": "team",
        "uid": "u-1",
        "creationTimestamp": "2026-03-14T12:00:00Z",
        "annotations": annotations,
    }
    spec = {"parameters": {"password": "hunter2"}}
    document = ServiceInstance.model_validate({"metadata": metadata, "spec": spec, "status": {}})
    return codec.to_row(document) | {"resource_version": 7}


def test_a_row_that_lacks_a_field_is_opened_once() -> None:
    keyring = Keyring(parse_keys(new_key("first")))
    keyring.seals_specs = True
    codec = RowCodec(keyring)
    # Looks as if it were sealed, once it is opened.
    annotations = {SEALED_ANNOTATION: "as somebody wrote it"}
    row = _row(codec, annotations=annotations)
    # As an older release has written it.
    assert row["status"].pop("asyncOpInProgress") is False
    shown = codec.plain_from_row(SERVICE_INSTANCE, row)
    assert shown["status"]["asyncOpInProgress"] is False
    assert shown["metadata"]["annotations"] == annotations
    assert shown == plain_form(codec.from_row(SERVICE_INSTANCE, row))
