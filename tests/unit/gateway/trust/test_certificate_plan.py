"""What is done about the certificate that gateways make for themselves, and when: its whole life, by its days."""

import base64
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from chandlery.model.faults import ConfigurationFault
from chandlery_gateway.trust.certificate_making import LEAF_VALID, make_authority
from chandlery_gateway.trust.certificate_plan import Facts, Step, carried_out, plan
from chandlery_gateway.trust.stored_certificates import StoredCertificate, read_stored, secret_data

START = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = ("catalog.ns.svc", "localhost")
DAY = timedelta(days=1)


def facts(
    stored: StoredCertificate | None,
    *,
    after: timedelta = timedelta(),
    names: Sequence[str] = NAMES,
    known: Sequence[Sequence[str]] | None = None,
) -> Facts:
    """Without `known` the cluster knows all authorities that are stored."""
    if known is None:
        known = [stored.bundle] if stored else []
    return Facts(stored=stored, names=names, known=[frozenset(each) for each in known], now=START + after)


def begun() -> StoredCertificate:
    return carried_out(Step.BEGIN, facts(None))


def test_first_certificate_is_for_the_names_of_the_service_and_its_authority_vouches_for_it() -> None:
    stored = begun()
    assert stored.names == frozenset(NAMES)
    assert stored.issuer == stored.bundle[0]
    assert stored.ends_at == START + LEAF_VALID
    assert stored.authorities[0].not_valid_after_utc == START + timedelta(days=3650)


STEPS: dict[str, tuple[Callable[[], Facts], Step]] = {
    "nothing is there": (lambda: facts(None), Step.BEGIN),
    "it is new": (lambda: facts(begun()), Step.KEEP),
    "less than two thirds are over": (lambda: facts(begun(), after=timedelta(days=59)), Step.KEEP),
    "two thirds are over": (lambda: facts(begun(), after=timedelta(days=60)), Step.NEW_CERTIFICATE),
    "it is for other names": (lambda: facts(begun(), names=("other.ns.svc",)), Step.NEW_CERTIFICATE),
    "the cluster does not know its authority": (lambda: facts(begun(), known=[[]]), Step.KEEP),
    "it is due, and the cluster does not know its authority": (
        lambda: facts(begun(), after=timedelta(days=60), known=[[]]),
        Step.KEEP,
    ),
    "it is over, and the cluster does not know its authority": (
        lambda: facts(begun(), after=timedelta(days=91), known=[[]]),
        Step.NEW_CERTIFICATE,
    ),
    "the authority ends within a year": (lambda: facts(begun(), after=timedelta(days=3285)), Step.NEW_AUTHORITY),
    "the authority has ended": (lambda: facts(begun(), after=timedelta(days=3651)), Step.BEGIN),
}


@pytest.mark.parametrize("case", STEPS)
def test_step_follows_from_what_there_is(case: str) -> None:
    make, step = STEPS[case]
    assert plan(make()) is step


def test_new_authority_is_known_everywhere_before_it_signs_and_the_old_one_for_a_day_longer() -> None:
    old, late = begun(), timedelta(days=3300)
    old = carried_out(Step.NEW_CERTIFICATE, facts(old, after=late))
    both = carried_out(Step.NEW_AUTHORITY, facts(old, after=late))
    assert both.leaf == old.leaf
    assert both.bundle == (both.authority.certificate, *old.bundle)
    assert plan(facts(both, after=late, known=[both.bundle, old.bundle])) is Step.KEEP
    assert plan(facts(both, after=late, known=[both.bundle, both.bundle])) is Step.NEW_CERTIFICATE
    renewed = carried_out(Step.NEW_CERTIFICATE, facts(both, after=late))
    assert renewed.issuer == both.bundle[0]
    assert plan(facts(renewed, after=late)) is Step.KEEP
    assert plan(facts(renewed, after=late + DAY)) is Step.DROP_AUTHORITY
    alone = carried_out(Step.DROP_AUTHORITY, facts(renewed, after=late + DAY))
    assert alone.bundle == renewed.bundle[:1]
    assert plan(facts(alone, after=late + DAY)) is Step.KEEP


def test_authorities_never_become_more_than_two() -> None:
    stored = begun()
    for _ in range(4):
        stored = carried_out(Step.NEW_AUTHORITY, facts(stored, after=timedelta(days=3300)))
    assert len(stored.bundle) == 2
    assert stored.issuer == stored.bundle[1]


def test_what_is_stored_is_read_again() -> None:
    stored = begun()
    found = read_stored({"data": secret_data(stored)})
    assert found == stored
    assert found is not None
    assert stored.leaf.key not in repr(found)
    assert stored.authority_key not in repr(found)


def test_empty_secret_is_nothing() -> None:
    for data in ({}, None, {"tls.crt": "", "tls.key": ""}, {"tls.crt": 7}):
        assert read_stored({"data": data}) is None


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


UNKNOWN_KEY = "-----BEGIN PRIVATE KEY-----\nMA0CAQAwBAYCKgMEAgUA\n-----END PRIVATE KEY-----\n"
"""Of an algorithm that nobody knows."""


@pytest.mark.parametrize("key", ["tls.crt", "tls.key", "ca.crt"])
def test_what_was_spoiled_is_made_anew(key: str) -> None:
    data = secret_data(begun())
    for spoiled in ("", "bm9uZQ==", "%%%", encoded(UNKNOWN_KEY), secret_data(begun())[key]):
        assert read_stored({"data": {**data, key: spoiled}}) is None


def test_certificate_of_somebody_else_is_left_alone() -> None:
    data = {key: text for key, text in secret_data(begun()).items() if key != "ca.key"}
    with pytest.raises(ConfigurationFault, match="Secret tls holds a certificate that no gateway has made"):
        read_stored({"metadata": {"name": "tls"}, "data": data})


def test_authority_of_another_key_signs_nothing() -> None:
    stored, other = begun(), make_authority(START)
    mixed = StoredCertificate(stored.leaf, stored.bundle, other.key)
    with pytest.raises(ValueError, match="not the key"):
        carried_out(Step.NEW_CERTIFICATE, facts(mixed))
