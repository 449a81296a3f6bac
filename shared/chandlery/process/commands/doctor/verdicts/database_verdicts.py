"""What to think of the database server: version, writes, schema, clock, connections. Pure."""

from collections.abc import Sequence
from typing import Final

from chandlery.process.commands.doctor.check import Result, fail, ok, unused, warn
from chandlery.store.inspection.server_facts import ConnectionFacts, ServerFacts
from chandlery.store.revisions import is_later, is_older

OLDEST_POSTGRESQL: Final = (15,)
OLDEST_SQLITE: Final = (3, 35)
"""The first with RETURNING."""
_NEARLY_ALL: Final = 0.8
_NO_SCHEMA: Final = "the database has no schema yet"
_MIGRATE: Final = "run `chandlery migrate`"


def reached(facts: ServerFacts) -> Result:
    """It lets us in."""
    if not facts.is_postgresql:
        return ok(f"the file {facts.place} can be read")
    line = f"over {facts.tls}" if facts.tls else "without TLS"
    return ok(
        f"{facts.place} lets {facts.login} in {line}, and answers in {max(1, round(facts.answer_seconds * 1000))} ms"
    )


def hosts(answers: Sequence[tuple[str, ServerFacts | str]]) -> Result:
    """Each host of the URL with its facts, or why it does not let us in."""
    away = [why for _, why in answers if isinstance(why, str)]
    if not away:
        roles = [f"{place} ({'standby' if facts.is_standby else 'primary'})" for place, facts in _there(answers)]
        return ok(f"all hosts of the URL answer: {', '.join(roles)}")
    return warn(
        f"no answer from {len(away)} of {len(answers)} hosts, which a failover may need: {'; '.join(away)}",
        "bring them back, or take them out of CHANDLERY_DATABASE_URL",
    )


def version(facts: ServerFacts) -> Result:
    """Whether it is one that we can work with."""
    oldest = OLDEST_POSTGRESQL if facts.is_postgresql else OLDEST_SQLITE
    if facts.version >= oldest:
        return ok(facts.shown_version)
    name, _, _ = facts.shown_version.partition(" ")
    wanted = ".".join(map(str, oldest))
    return fail(f"{facts.shown_version} is too old", f"upgrade to {name} {wanted} or newer")


def takes_writes(facts: ServerFacts, *, read_only_files: Sequence[str] = ()) -> Result:
    """Whether it would take a write. None is made."""
    if read_only_files:
        return fail(
            f"this user may not write to {' and '.join(read_only_files)}",
            "run as the user of the services, or give this one the right to write",
        )
    if facts.is_standby:
        return fail(
            f"{facts.place} is a standby, which takes no writes",
            "name all servers in CHANDLERY_DATABASE_URL, with ?target_session_attrs=read-write",
        )
    if facts.is_read_only:
        return fail(
            f"sessions of {facts.login} are read-only (default_transaction_read_only)",
            f"ALTER ROLE {facts.login} RESET default_transaction_read_only, or the same for the database",
        )
    return ok("the database takes writes")


def schema(found: str | None, newest: str) -> Result:
    """Whether the schema is that of this release."""
    if found is None:
        return fail("the database is empty", _MIGRATE, blocks=_NO_SCHEMA)
    if is_older(found):
        return fail(f"the schema is at revision {found}, this release needs {newest}", _MIGRATE)
    if is_later(found):
        return ok(f"the schema is at revision {found} of a later release; this release works with it")
    return ok(f"the schema is at revision {found}, as this release needs it")


def clock(facts: ServerFacts, *, tolerance: float, lease: float) -> Result:
    """How far this machine's clock and the database server's are apart; RabbitMQ tells no time. Seconds."""
    if not facts.is_postgresql:
        return unused("the database is a file of this machine")
    # What the answer took on its way is not known better than that.
    apart = max(0.0, abs(facts.seconds_ahead) - facts.answer_seconds / 2)
    which = "ahead of" if facts.seconds_ahead > 0 else "behind"
    if apart <= tolerance:
        return ok(f"this machine's clock and the database server's are less than {max(apart, 0.1):.1f} s apart")
    said = f"the database server's clock is {apart:.1f} s {which} this machine's"
    remedy = "have chrony or another NTP client set the clocks of all machines"
    if apart >= lease / 2:
        return fail(f"{said}: leases may be taken from processes that are at work", remedy)
    return warn(f"{said}: work may start late", remedy)


def connections(facts: ConnectionFacts | None, *, pool: int, processes: int) -> Result:
    """Whether there are enough for all processes."""
    if facts is None:
        return unused("the database is a file")
    told = f"{facts.used} of {facts.most} connections to the server are in use"
    remedy = "raise max_connections of PostgreSQL, or lower CHANDLERY_DATABASE_POOL_SIZE"
    if facts.used >= facts.most:
        return fail(told, remedy)
    if facts.used > _NEARLY_ALL * facts.most:
        return warn(told, remedy)
    if processes * pool > facts.most:
        return warn(
            f"at least {processes} processes may open {pool} connections each, which are {processes * pool}; "
            f"the server has {facts.most}",
            remedy,
        )
    return ok(f"{told}; at least {processes} processes may open {pool} each")


def hidden_changes(seconds: float | None) -> Result:
    """For how long watches have been waiting for a change that is committed."""
    if seconds is None or seconds < _A_MOMENT:
        return ok("watches are shown every change at once")
    said = f"watches have been shown nothing new for {shown_seconds(seconds)}: a transaction is open for that long"
    remedy = 'find it in pg_stat_activity (docs/operations.md, "A change log that stands still") and end it'
    return fail(said, remedy) if seconds > _TOO_LONG else warn(said, remedy)


def shown_seconds(seconds: float) -> str:
    """A duration as people say it."""
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{int(seconds // length)} {unit}"
    return f"{max(0, int(seconds))} s"


def _there(answers: Sequence[tuple[str, ServerFacts | str]]) -> Sequence[tuple[str, ServerFacts]]:
    return [(place, facts) for place, facts in answers if isinstance(facts, ServerFacts)]


_A_MOMENT: Final = 10.0
_TOO_LONG: Final = 120.0
