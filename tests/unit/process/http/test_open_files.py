"""How many connections a process promises, from what the system lets it open."""

import resource

import pytest

from chandlery.model.faults import ConfigurationFault
from chandlery.process.http.open_files import affordable_connections, lift_open_file_limit, lifted

NO_LIMIT = resource.RLIM_INFINITY


@pytest.mark.parametrize(
    ("soft", "hard", "wanted"),
    [
        (1024, 4096, 4096),
        (1024, 1_048_576, 65_536),
        (1024, NO_LIMIT, 65_536),
        (100_000, 1_048_576, 100_000),
        (NO_LIMIT, NO_LIMIT, NO_LIMIT),
        (1024, 1024, 1024),
    ],
)
def test_soft_limit_is_lifted_towards_the_hard_one(soft: int, hard: int, wanted: int) -> None:
    assert lifted(soft, hard) == wanted


def test_lifting_is_done_and_told() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (before[0] // 2, before[1]))
        assert lift_open_file_limit() == lifted(*before)
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == lifted(*before)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize(("limit", "connections"), [(65_536, 2000), (NO_LIMIT, 2000), (1024, 814), (2210, 2000)])
def test_no_more_connections_are_promised_than_can_be_opened(limit: int, connections: int) -> None:
    assert affordable_connections(2000, reserved=210, limit=limit) == connections


def test_limit_that_leaves_hardly_a_connection_is_refused_with_the_way_out() -> None:
    with pytest.raises(ConfigurationFault, match=r"may open 256 files, which leaves 46 connections.*ulimit -n 2210"):
        affordable_connections(2000, reserved=210, limit=256)
