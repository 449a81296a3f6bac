"""What is thought of keys: what providers answer, which data keys open, how old they are, what has no key."""

from datetime import UTC, datetime, timedelta
from typing import Final

import pytest

from chandlery.model.faults import Fault
from chandlery.process.commands.doctor.check import State
from chandlery.process.commands.doctor.verdicts import key_verdicts
from chandlery.store.sealing.data_key_cache import KekName
from chandlery.store.sealing.data_key_rows import DATA, ROOT, DataKeyRow
from chandlery.store.sealing.providers.key_provider import KeyRefused, KeysAway, WrappedKey

NOW: Final = datetime(2026, 1, 31, tzinfo=UTC)


def row(name: str, *, days: float = 1, purpose: str = DATA) -> DataKeyRow:
    wrapped = WrappedKey(KekName("keys", "k1"), b"")
    return DataKeyRow(id=name, purpose=purpose, wrapped=wrapped, created_at=NOW - timedelta(days=days))


ROWS: Final = [row("dk-2"), row("dk-1", days=8), row(ROOT, purpose=ROOT, days=30)]


def test_listed_keys_are_told_by_name() -> None:
    assert key_verdicts.listed_keys([]).state is State.UNUSED
    assert key_verdicts.listed_keys(["b", "a"]).message == "2 listed keys can be read: b encrypts, a decrypt"


@pytest.mark.parametrize(
    ("answers", "state", "said"),
    [
        ({"keys": KekName("keys", "k1")}, State.UNUSED, "in the settings"),
        ({"aws-kms": KekName("aws-kms", "arn:1")}, State.OK, "aws-kms answers with the key arn:1"),
        ({"aws-kms": KeysAway("AWS KMS cannot be reached (X)")}, State.FAIL, "aws-kms: AWS KMS cannot be reached"),
        (
            {"pkcs11": KeyRefused("there is no such AES key"), "keys": KekName("keys", "k")},
            State.FAIL,
            "pkcs11: there is no such AES key",
        ),
    ],
)
def test_a_provider_that_does_not_answer_is_told(answers: dict[str, KekName | Fault], state: State, said: str) -> None:
    found = key_verdicts.providers(answers)
    assert (found.state, said in found.message) == (state, True)
    assert bool(found.remedy) == (state is State.FAIL)


def test_data_keys_that_do_not_open_are_told_with_the_way_out() -> None:
    assert key_verdicts.data_keys(ROWS, {}, unseen=0).message == "3 of 3 data keys were decrypted"
    assert key_verdicts.data_keys([], {}, unseen=0).state is State.OK
    lost = key_verdicts.data_keys(ROWS, {"dk-1": KeyRefused("its key is not configured")}, unseen=0)
    assert lost.state is State.FAIL
    assert lost.message == "1 of 3 data keys cannot be decrypted (dk-1): its key is not configured"
    assert "put the right key back into CHANDLERY_ENCRYPTION_KEYS" in lost.remedy
    away = key_verdicts.data_keys(ROWS, {"dk-1": KeysAway("KMS is away")}, unseen=0)
    assert (away.state, away.message) == (State.FAIL, "KMS is away")


@pytest.mark.parametrize(
    ("rows", "has_sealed", "state"),
    [
        (ROWS, True, State.OK),
        ([row("dk-1", days=8)], True, State.OK),
        ([row("dk-1", days=9)], True, State.WARN),
        ([row(ROOT, purpose=ROOT)], True, State.WARN),
        ([], False, State.UNUSED),
    ],
)
def test_a_data_key_is_replaced_in_time(rows: list[DataKeyRow], has_sealed: bool, state: State) -> None:
    found = key_verdicts.data_key_age(rows, now=NOW, days=7, has_sealed=has_sealed)
    assert found.state is state
    assert ("chandlery keys rotate" in found.remedy) == (state is State.WARN)


def test_what_is_encrypted_with_a_key_that_is_gone_is_counted() -> None:
    usage = {"k1": {"secrets": 2}, "old": {"secrets": 3, "notes of workers": 0, "entries of the change log": 1}}
    found = key_verdicts.sealed_data(usage, known={"k1"})
    assert found.state is State.FAIL
    assert found.message == "there is no key 'old', which has encrypted: secrets (3), entries of the change log (1)"
    assert key_verdicts.sealed_data(usage, known={"k1", "old"}).state is State.OK
