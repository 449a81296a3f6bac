"""Whoever goes on guessing tokens is slowed down, and forgiven later; nothing of it grows without end."""

from structlog.testing import capture_logs

from chandlery_gateway.identity import failed_logins
from chandlery_gateway.identity.authentication import LoginFailure
from chandlery_gateway.identity.failed_logins import FailedLogins


async def test_whoever_goes_on_guessing_is_slowed_down_and_forgiven_later() -> None:
    failures = FailedLogins()
    assert [failures.note("192.0.2.1", now=0.0) for _ in range(10)] == [0.0] * 10
    assert failures.note("192.0.2.1", now=0.0) == 1.0
    assert failures.note("192.0.2.2", now=0.0) == 0.0
    # Two of them are forgiven after ten seconds.
    assert [failures.note("192.0.2.1", now=10.0) for _ in range(2)] == [0.0, 1.0]
    assert failures.note("192.0.2.1", now=1000.0) == 0.0


async def test_only_so_many_addresses_are_remembered() -> None:
    failures = FailedLogins()
    for number in range(3 * failed_logins._MOST_ADDRESSES):
        failures.note(f"address-{number}", now=0.0)
    assert len(failures._records) == failed_logins._MOST_ADDRESSES


async def test_failures_are_counted_and_told_of_by_the_class_of_their_reason() -> None:
    failures = FailedLogins()
    with capture_logs() as logged:
        for reason in (LoginFailure.EXPIRED, LoginFailure.EXPIRED, LoginFailure.AUDIENCE):
            failures.note("192.0.2.1", now=0.0, reason=reason)
        failures.note("192.0.2.2", now=0.0)
    assert failures.counts == {LoginFailure.EXPIRED: 2, LoginFailure.AUDIENCE: 1, LoginFailure.UNKNOWN_TOKEN: 1}
    assert [line["event"] for line in logged] == [
        "invalid credentials from 192.0.2.1: 1 requests refused (expired)",
        "invalid credentials from 192.0.2.1: 1 requests refused (wrong audience)",
        "invalid credentials from 192.0.2.2: 1 requests refused (unknown token)",
    ]
