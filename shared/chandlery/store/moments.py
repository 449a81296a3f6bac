"""Moments as the databases give them back."""

from datetime import UTC, datetime


def utc(moment: datetime) -> datetime:
    """The same moment with its zone: SQLite forgets that; what we write is always UTC."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
