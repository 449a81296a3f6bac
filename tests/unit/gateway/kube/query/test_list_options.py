"""The options of lists and watches, by the rules of Kubernetes' `ListOptions`."""

import pytest
from starlette.datastructures import QueryParams

from chandlery.model.faults import BadRequest
from chandlery_gateway.kube.query.list_options import (
    ListOptions,
    is_watch,
    read_list_options,
    read_watch_options,
)
from chandlery_gateway.kube.query.request_options import InvalidOptions


@pytest.mark.parametrize(
    ("query", "options"),
    [
        ("", ListOptions()),
        ("resourceVersion=0", ListOptions()),
        ("limit=5&continue=x&resourceVersion=0", ListOptions(limit=5, token="x")),
        ("resourceVersion=7", ListOptions(version=7)),
        ("resourceVersion=7&limit=5", ListOptions(limit=5, version=7, is_exact=True)),
        ("resourceVersion=7&limit=5&resourceVersionMatch=NotOlderThan", ListOptions(limit=5, version=7)),
        ("resourceVersion=7&resourceVersionMatch=Exact", ListOptions(version=7, is_exact=True)),
        ("resourceVersion=0&resourceVersionMatch=NotOlderThan", ListOptions()),
        ("resourceVersion=0&limit=5", ListOptions(limit=5)),
    ],
)
def test_a_list_is_read_as_kubernetes_reads_it(query: str, options: ListOptions) -> None:
    assert read_list_options(QueryParams(query)) == options


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ("resourceVersionMatch=Exact", ["resourceVersionMatch"]),
        ("resourceVersionMatch=Exact&resourceVersion=0", ["resourceVersionMatch"]),
        ("resourceVersionMatch=Exact&resourceVersion=5&continue=x", ["resourceVersionMatch"]),
        ("resourceVersionMatch=Newest&resourceVersion=5", ["resourceVersionMatch"]),
        ("resourceVersionMatch=exact", ["resourceVersionMatch", "resourceVersionMatch"]),
        ("sendInitialEvents=false", ["sendInitialEvents"]),
    ],
)
def test_list_options_that_do_not_go_together_are_refused(query: str, fields: list[str]) -> None:
    with pytest.raises(InvalidOptions) as refused:
        read_list_options(QueryParams(query))
    assert [problem.field for problem in refused.value.problems] == fields


def test_a_version_beside_a_token_is_a_bad_request() -> None:
    with pytest.raises(BadRequest, match="when using continue"):
        read_list_options(QueryParams("continue=x&resourceVersion=5"))


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ("sendInitialEvents=true", ["resourceVersionMatch"]),
        ("sendInitialEvents=false", ["resourceVersionMatch"]),
        ("resourceVersionMatch=NotOlderThan", ["resourceVersionMatch"]),
        ("sendInitialEvents=true&resourceVersionMatch=Exact", ["resourceVersionMatch", "resourceVersionMatch"]),
        ("sendInitialEvents=true&resourceVersionMatch=NotOlderThan&continue=x", ["resourceVersionMatch"]),
    ],
)
def test_watch_options_that_do_not_go_together_are_refused(query: str, fields: list[str]) -> None:
    with pytest.raises(InvalidOptions) as refused:
        read_watch_options(QueryParams(query))
    assert [problem.field for problem in refused.value.problems] == fields


@pytest.mark.parametrize(
    ("query", "sends_initial", "marks_end"),
    [
        ("", True, False),
        ("resourceVersion=0", True, False),
        ("resourceVersion=5", False, False),
        ("resourceVersion=5&sendInitialEvents=true&allowWatchBookmarks=1", True, True),
        ("sendInitialEvents=true", True, False),
        ("sendInitialEvents=false&allowWatchBookmarks=true", False, False),
        ("sendInitialEvents=FALSE", False, False),
    ],
)
def test_what_is_there_is_sent_when_asked_for_or_without_a_version(
    query: str, sends_initial: bool, marks_end: bool
) -> None:
    match = "&resourceVersionMatch=NotOlderThan" if "sendInitialEvents" in query else ""
    options = read_watch_options(QueryParams(query + match))
    assert (options.sends_initial, options.marks_initial_end) == (sends_initial, marks_end)


@pytest.mark.parametrize(
    ("query", "is_one"),
    [
        ("", False),
        ("watch=true", True),
        ("watch=1", True),
        ("watch=", True),
        ("watch=False", False),
        ("watch=0", False),
    ],
)
def test_truth_is_read_as_api_servers_read_it(query: str, is_one: bool) -> None:
    assert is_watch(QueryParams(query)) is is_one


def test_no_watch_lasts_longer_than_an_hour() -> None:
    assert read_watch_options(QueryParams("timeoutSeconds=99999")).timeout_seconds == 3600
    assert read_watch_options(QueryParams("")).timeout_seconds == 3600
