"""Where foreign errors of a database become ours: around each transaction of `database.py`, and around its pulse."""

from sqlalchemy.exc import DBAPIError

from chandlery.store.refusals import explained, sqlstate

_LOST_RACES = frozenset({"40001", "40P01"})
"""SQLSTATEs of PostgreSQL: serialization failure, deadlock."""


class LostRace(Exception):
    """The database gave precedence to another transaction; the same work may be tried again at once."""


class StaleConnection(Exception):
    """The connection was gone before the commit, as after a restart of the server; a fresh one may do."""


class Border:
    """Foreign errors stop here: lost races may be repeated, lost servers are Unavailable, all else is a bug."""

    def __init__(self, file: str) -> None:
        self._file = file
        self.is_committing = False
        """Whether a lost connection leaves open what became of the transaction."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _type: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, DBAPIError) and sqlstate(error) in _LOST_RACES:
            raise LostRace from error
        lost = isinstance(error, DBAPIError) and error.connection_invalidated
        if lost and not self.is_committing:
            raise StaleConnection from error
        if error is not None and (fault := explained(error, place=self._file)):
            raise fault from error
