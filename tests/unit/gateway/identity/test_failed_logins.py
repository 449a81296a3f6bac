"""Whoever goes on guessing tokens is slowed down, and forgiven later; nothing of it grows without end."""

from chandlery_gateway.identity import failed_logins
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
