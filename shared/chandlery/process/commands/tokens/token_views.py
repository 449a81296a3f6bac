"""Tokens of service accounts as people and programs read them: a table, JSON. There is nothing secret to show."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from chandlery.model.objects.wire import JsonObject
from chandlery.store.access.account_tokens import AccountToken

_COLUMNS: Final = ("ID", "NAMESPACE", "ACCOUNT", "AGE", "EXPIRES", "LAST USED", "STATE")
_NEVER: Final = "<never>"


def as_json(token: AccountToken, *, now: datetime) -> JsonObject:
    """All that is known of it."""
    return {
        "id": token.id,
        "namespace": token.namespace,
        "serviceAccount": token.account,
        "createdAt": _stamp(token.created_at),
        "expiresAt": _stamp(token.expires_at),
        "lastUsedAt": _stamp(token.used_at),
        "state": state_of(token, now=now),
    }


def as_table(tokens: Sequence[AccountToken], *, now: datetime) -> str:
    """One line for each under a heading, columns as wide as they need to be."""
    rows = [_COLUMNS, *(_row(token, now) for token in tokens)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    lines = ("   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def state_of(token: AccountToken, *, now: datetime) -> str:
    """Whether it lets anybody in, and if not, why."""
    if not token.has_account:
        return "account gone"
    return "valid" if token.is_valid(now) else "expired"


def _row(token: AccountToken, now: datetime) -> tuple[str, ...]:
    left = token.expires_at - now
    expires = f"in {_length(left)}" if left > timedelta() else f"{_length(-left)} ago"
    used = f"{_length(now - token.used_at)} ago" if token.used_at else _NEVER
    age = _length(now - token.created_at)
    return token.id, token.namespace, token.account, age, expires, used, state_of(token, now=now)


def _length(length: timedelta) -> str:
    seconds = max(0, int(length.total_seconds()))
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def _stamp(moment: datetime | None) -> str | None:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ") if moment else None
