"""Where foreign errors of a database become ours: around each transaction of `database.py`, and around its pulse."""

import os
import socket
import ssl
from typing import Final

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from chandlery.model.faults import Refused, Unavailable
from chandlery.model.text.clean_text import clean_text

_URL: Final = "CHANDLERY_DATABASE_URL"
_CAUSE_LONGEST: Final = 300
_GRANTS: Final = 'see docs/operations.md, "Roles and grants"'
_SETTINGS: Final = {
    "28P01": f"check the user and the password in {_URL}",
    "28": f"check the user and sslmode in {_URL}, and pg_hba.conf on the server",
    "3D": f"create it, or correct its name in {_URL}",
    "3F": f"create the schema that search_path names in {_URL}",
    "08P01": "behind a pooler set CHANDLERY_DATABASE_PREPARED_STATEMENTS=false",
    "26": "behind a pooler set CHANDLERY_DATABASE_PREPARED_STATEMENTS=false",
    "42P05": "behind a pooler set CHANDLERY_DATABASE_PREPARED_STATEMENTS=false",
}
"""Beginnings of SQLSTATEs that a setting mends, and how."""
_CERTIFICATE_ADVICE: Final = f"check the user, sslcert and sslkey in {_URL}, and pg_hba.conf on the server"
_OF_THE_SESSION: Final = ("22", "42")
"""While a connection is opened: what the URL asks of the session is not there, or not so."""
FORBIDDEN: Final = "42501"
_NOT_THERE: Final = ("42P01", "42703")
"""SQLSTATEs: no such table, no such column."""
_NOT_IN_SQLITE: Final = ("no such table:", "no such column:")
_AWAY: Final = ("08", "57P", "53300", "25P03")
"""Connection lost, shut down or starting, no connection left, idle too long."""
_FOR_NOW: Final = ("25006", "53", "55P03", "57014", "58")
"""Read-only after a failover, full, a lock not to be had, cancelled, errors of the disk."""
_SQLITE_LASTING: Final = {
    "SQLITE_CANTOPEN": "it cannot be opened; its folder must exist, and this user must be able to write to both",
    "SQLITE_READONLY": "it is read-only; this user must be able to write to it and its folder",
    "SQLITE_PERM": "this user has no access; this user must be able to write to it and its folder",
    "SQLITE_CORRUPT": 'it is damaged; keep a copy of it, and restore a backup (docs/operations.md, "Backup")',
    "SQLITE_NOTADB": "it is not a SQLite database, or its beginning is damaged; keep a copy, and restore a backup "
    '(docs/operations.md, "Backup")',
}
_SQLITE_FOR_NOW: Final = {
    "SQLITE_FULL": "its disk is full",
    "SQLITE_BUSY": "another process holds its lock",
    "SQLITE_LOCKED": "another process holds its lock",
    "SQLITE_IOERR": "its disk fails",
}


def explained(error: BaseException, *, place: str = "") -> Unavailable | None:
    """The error in one sentence, as Refused if waiting does not help; None for a bug of ours.

    `place` names the server for operators; users need not know it. A file is always named.
    """
    if isinstance(error, DBAPIError):
        name = str(getattr(error.orig, "sqlite_errorname", None) or "")
        if _is_of_older_schema(error):
            return Refused(f"{_named(place)} lacks what this release needs: run `chandlery migrate`")
        return _of_sqlite(name, place) if name else _of_postgresql(error, place)
    if isinstance(error, ssl.SSLCertVerificationError):
        return Refused(
            f"the certificate of {_named(place)} is refused: {error.verify_message.rstrip('.')}; check sslrootcert"
            f"{_file(error)}, sslmode and the host's name in {_URL}",
            is_setting=True,
        )
    if isinstance(error, ssl.SSLError) and "ALERT" in (error.reason or ""):
        why = (error.reason or "").lower().replace("_", " ").rpartition("alert ")[2]
        return Refused(
            f"{_named(place)} refuses our certificate: {why}; check sslcert{_file(error)} and sslkey in {_URL}",
            is_setting=True,
        )
    if isinstance(error, ConnectionError) and "rejected SSL upgrade" in str(error):
        return Refused(f"{_named(place)} does not support TLS, but sslmode in {_URL} requires it", is_setting=True)
    if isinstance(error, PoolTimeout):
        return Unavailable(f"{_named(place)} is too slow: all connections of this process are in use")
    is_of_client = isinstance(error, OSError) or _is_of_asyncpg(error, "ClientConfigurationError")
    return _away(place, cause(error)) if is_of_client else None


def cause(error: BaseException) -> str:
    """What the system or the server said, on one line and without the client's own noise."""
    origin = getattr(error, "orig", None) or error
    if isinstance(origin, socket.gaierror):
        return str(origin.strerror)
    if isinstance(origin, OSError) and origin.errno and origin.errno > 0:
        return os.strerror(origin.errno)
    said = str(origin).partition("\n")[0]
    return clean_text(said, longest=_CAUSE_LONGEST) or ("no answer in time" if _is_timeout(origin) else _name(origin))


def sqlstate(error: DBAPIError) -> str:
    """PostgreSQL's five-character code; empty for SQLite."""
    return str(getattr(error.orig, "sqlstate", None) or "")


def lasting_words(name: str) -> str:
    """What is wrong with a SQLite file, and the way out, by the name of SQLite's error; empty if it may pass."""
    return next((words for beginning, words in _SQLITE_LASTING.items() if name.startswith(beginning)), "")


def _is_of_older_schema(error: DBAPIError) -> bool:
    return sqlstate(error) in _NOT_THERE or str(error.orig).startswith(_NOT_IN_SQLITE)


def _of_postgresql(error: DBAPIError, place: str) -> Unavailable | None:
    state, said = sqlstate(error), cause(error)
    for beginning, advice in _SETTINGS.items():
        if state.startswith(beginning):
            told = _CERTIFICATE_ADVICE if "certificate" in said else advice
            return Refused(f"{_named(place)} refuses the connection: {said}; {told}", is_setting=True)
    client_error = getattr(error.orig, "__cause__", None)
    if _is_of_asyncpg(client_error, "ClientConfigurationError"):
        return Refused(f"{_URL} cannot be used: {said}", is_setting=True)
    if _is_of_asyncpg(client_error, "TargetServerAttributeNotMatched"):
        # In a failover there is no primary for a while.
        return Unavailable(f"{_named(place)} is not what target_session_attrs in {_URL} asks for")
    if state == FORBIDDEN:
        return Refused(f"{_named(place)} refuses the connection: {said}; {_GRANTS}")
    if error.statement is None and state.startswith(_OF_THE_SESSION):
        return Refused(f"{_named(place)} refuses the connection: {said}; correct options in {_URL}", is_setting=True)
    if error.connection_invalidated or state.startswith(_AWAY):
        return _away(place, said)
    if state.startswith(_FOR_NOW):
        return Unavailable(f"{_named(place)} is unavailable: {said}")
    # Without a code these two are of the client: a connection that is closed, or was never there.
    return _away(place, said) if isinstance(error, InterfaceError | OperationalError) else None


def _is_of_asyncpg(error: object, name: str) -> bool:
    # By its name, for whoever has SQLite does not load asyncpg.
    return any(each.__name__ == name and each.__module__.startswith("asyncpg.") for each in type(error).__mro__)


def _of_sqlite(name: str, place: str) -> Unavailable | None:
    file = f"the database file {place}" if place else "the database file"
    if lasting := lasting_words(name):
        return Refused(f"{file} cannot be used: {lasting}")
    for beginning, words in _SQLITE_FOR_NOW.items():
        if name.startswith(beginning):
            return Unavailable(f"{file} cannot be used now: {words}")
    return None


def _away(place: str, said: str) -> Unavailable:
    return Unavailable(f"{_named(place)} cannot be reached: {said}")


def _named(place: str) -> str:
    return f"the database at {place}" if place else "the database"


def _file(error: OSError) -> str:
    return f" ({error.filename})" if error.filename else ""


def _is_timeout(error: BaseException) -> bool:
    return isinstance(error, TimeoutError)


def _name(error: BaseException) -> str:
    return type(error).__name__


_LOST_RACES = frozenset({"40001", "40P01"})
"""SQLSTATEs of PostgreSQL: serialization failure, deadlock."""


class LostRace(Exception):
    """The database gave precedence to another transaction; the same work may be tried again at once."""


class LostConnection(Exception):
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
            raise LostConnection from error
        if error is not None and (fault := explained(error, place=self._file)):
            raise fault from error
