"""What to think of the keys: what providers answer, which data keys open, how old they are, what has no key. Pure."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from chandlery.model.faults import Fault
from chandlery.process.commands.doctor.check import (
    Result,
    State,
    counted,
    fail,
    failed_with,
    ok,
    some_of,
    unused,
    warn,
    worst,
)
from chandlery.process.commands.doctor.verdicts.database_verdicts import shown_seconds
from chandlery.store.sealing.data_key_cache import KekName
from chandlery.store.sealing.data_key_rows import DATA, DataKeyRow
from chandlery.store.sealing.data_keys import WAY_OUT
from chandlery.store.sealing.key_usage import Usage
from chandlery.store.sealing.providers.key_provider import LISTED, KeysAway

_PATIENCE: Final = 1.25
"""A data key is replaced within a minute of its time by any process that runs."""


def listed_keys(names: Sequence[str]) -> Result:
    """The keys in settings and file, the first one first."""
    if not names:
        return unused("no keys are listed in the settings: another provider has them")
    first, *others = names
    return ok(
        f"{counted(len(names), 'listed key')} can be read: {first} encrypts"
        + (f", {some_of(others)} decrypt" if others else "")
    )


def providers(answers: Mapping[str, KekName | Fault]) -> Result:
    """What each provider has answered, by its name."""
    if list(answers) == [LISTED] and isinstance(answers[LISTED], KekName):
        return unused("keys are in the settings, where they cannot be away")
    results = [_provider(name, answer) for name, answer in answers.items() if name != LISTED or len(answers) == 1]
    return worst(*results)


def data_keys(rows: Sequence[DataKeyRow], refused: Mapping[str, Fault], *, unseen: int) -> Result:
    """`refused` says of data keys that do not open why, by id; `unseen` were too many to try."""
    if not rows:
        return ok("there are no data keys yet: the first process makes one")
    away = [fault for fault in refused.values() if isinstance(fault, KeysAway)]
    lost = {key: fault for key, fault in refused.items() if not isinstance(fault, KeysAway)}
    if lost:
        whys = sorted({fault.message for fault in lost.values()})
        return fail(
            f"{len(lost)} of {len(rows)} data keys cannot be decrypted ({some_of(sorted(lost))}): {whys[0]}", WAY_OUT
        )
    if away:
        return failed_with(away[0], otherwise="see the check key-providers")
    more = f"; {unseen} older ones were not tried" if unseen else ""
    return ok(f"{len(rows) - unseen} of {len(rows)} data keys were decrypted{more}")


def data_key_age(rows: Sequence[DataKeyRow], *, now: datetime, days: float, has_sealed: bool) -> Result:
    """Whether new ones are made in time."""
    newest = max((row.created_at for row in rows if row.purpose == DATA), default=None)
    if newest is None:
        if not has_sealed:
            return unused("nothing is encrypted yet")
        return warn(
            "data is encrypted with the listed keys themselves, as releases without data keys did",
            "when all processes are of this release: chandlery keys rotate",
        )
    age = now - newest
    told = f"the newest data key is {shown_seconds(age.total_seconds())} old, of {days:g} days that one is used"
    if age > timedelta(days=days) * _PATIENCE:
        return warn(f"{told}: no process has made a new one", "see the check processes; by hand: chandlery keys rotate")
    return ok(told)


def sealed_data(usage: Usage, *, known: Collection[str]) -> Result:
    """Whether everything that is encrypted has its key."""
    missing = {name: counts for name, counts in usage.items() if name not in known}
    if missing:
        told = [f"there is no key {name!r}, which has encrypted: {_listed(counts)}" for name, counts in missing.items()]
        return fail(some_of(sorted(told)), WAY_OUT)
    total = sum(count for counts in usage.values() for count in counts.values())
    return ok(f"{counted(total, 'encrypted text')}, each with a listed key or a data key of the database")


def _provider(name: str, answer: KekName | Fault) -> Result:
    if isinstance(answer, KekName):
        return ok(f"{name} answers with the key {answer.key}")
    found = failed_with(answer, otherwise=f"check the settings of {name} (docs/encryption.md), and its service")
    return Result(state=State.FAIL, message=f"{name}: {found.message}", remedy=found.remedy)


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{what} ({count:,})" for what, count in counts.items() if count)
