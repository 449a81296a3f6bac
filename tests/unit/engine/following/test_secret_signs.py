"""What the metadata of a Secret tells: is it as we have left it?"""

from typing import Any

import pytest

from chandlery.engine.following.secret_signs import number_of, sign_of

JsonObject = dict[str, Any]


def entry(manager: str, *keys: str) -> JsonObject:
    fields: JsonObject = {"f:data": {".": {}, **{f"f:{key}": {} for key in keys}}} if keys else {"f:metadata": {}}
    return {"manager": manager, "operation": "Update", "fieldsV1": fields}


def secret(*entries: JsonObject, keys: str | None = "2", **metadata: Any) -> JsonObject:
    annotations = {} if keys is None else {"chandlery.io/secret-keys": keys}
    owner = {"uid": "of-the-binding", "controller": True}
    told = {"name": "rope", "namespace": "ship", "resourceVersion": "7", "annotations": annotations}
    return {"metadata": told | {"ownerReferences": [owner], "managedFields": list(entries)} | metadata}


LEFT = entry("chandlery", "uri", "password")


@pytest.mark.parametrize(
    ("seen", "left_for"),
    [
        (secret(LEFT), "of-the-binding"),
        (secret(LEFT, entry("kubectl-label")), "of-the-binding"),
        (secret(LEFT, entry("kubectl-edit", "password", "more")), "of-the-binding"),
        (secret(entry("chandlery", "uri"), entry("kubectl-edit", "password")), None),
        (secret(entry("chandlery", "uri")), None),
        (secret(LEFT, keys=None), None),
        (secret(), None),
        (secret(LEFT, ownerReferences=[]), None),
        (secret(LEFT, deletionTimestamp="2026-12-01T00:00:00Z"), None),
        (secret(entry("chandlery"), keys="0"), "of-the-binding"),
    ],
    ids=[
        "as it was written",
        "with a label of somebody",
        "with a key of somebody, and the same value",
        "another value",
        "without a key",
        "without our annotation",
        "with nobody's fields",
        "without its owner",
        "about to go",
        "without keys from the beginning",
    ],
)
def test_secret_is_as_we_have_left_it_or_news(seen: JsonObject, left_for: str | None) -> None:
    sign = sign_of(seen)
    assert (sign.key, sign.version, sign.left_for) == ("secret:ship/rope", 7, left_for)


def test_versions_that_are_no_numbers_are_not_compared() -> None:
    assert (number_of("12"), number_of("a12"), number_of(None), number_of("")) == (12, None, None, None)
