"""The options of writes: what they mean when they are left out, and which words are none."""

import pytest
from starlette.datastructures import QueryParams

from chandlery_gateway.kube.body.decoding import FieldValidation
from chandlery_gateway.kube.query.request_options import InvalidOptions, WriteOptions, author_name, read_write_options


def read(query: str, *, is_apply: bool = False) -> WriteOptions:
    return read_write_options(QueryParams(query), "PatchOptions", is_apply=is_apply)


def test_nothing_said_is_a_plain_write_with_warnings() -> None:
    assert read("") == WriteOptions(dry_run=False, field_validation=FieldValidation.WARN, field_manager="", force=False)


def test_what_is_said_is_read() -> None:
    options = read("dryRun=All&fieldValidation=Strict&fieldManager=ann&force=true", is_apply=True)

    assert options == WriteOptions(
        dry_run=True, field_validation=FieldValidation.STRICT, field_manager="ann", force=True
    )
    assert not read("fieldManager=ann&force=false", is_apply=True).force


@pytest.mark.parametrize(
    ("query", "is_apply", "message"),
    [
        ("dryRun=Some", False, "dryRun: supported values"),
        ("dryRun=", False, "dryRun: supported values"),
        ("dryRun=All&dryRun=Some", False, "dryRun: supported values"),
        ("fieldValidation=strict", False, "fieldValidation: supported values"),
        ("force=true", False, "may not be specified for non-apply patch"),
        ("force=true", True, "is required for apply patch"),
        (f"fieldManager={'m' * 129}", False, "may be 128 bytes long"),
        (f"fieldManager={'%C3%B6' * 65}", False, "may be 128 bytes long"),
        ("fieldManager=a%00b", False, "printable"),
    ],
)
def test_other_words_are_refused(query: str, is_apply: bool, message: str) -> None:
    with pytest.raises(InvalidOptions, match=message) as caught:
        read(query, is_apply=is_apply)
    assert caught.value.subject == 'PatchOptions.meta.k8s.io ""'


@pytest.mark.parametrize(
    ("manager", "user_agent", "name"),
    [
        ("ann", "kubectl/v1.32.4", "ann"),
        ("", "kubectl/v1.32.4 (linux/amd64) kubernetes/abc", "kubectl"),
        ("", "Mozilla", "Mozilla"),
        ("", "a\x00b\x7f/1", "ab"),
        ("", "ö" * 100, "ö" * 64),
        ("", "", "unknown"),
        ("", "/1", "unknown"),
    ],
)
def test_a_write_has_an_author(manager: str, user_agent: str, name: str) -> None:
    assert author_name(manager, user_agent) == name
