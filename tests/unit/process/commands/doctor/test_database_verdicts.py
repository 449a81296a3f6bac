"""What is thought of a database server, and of what a login may do in it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chandlery.process.commands.doctor.check import Result, State
from chandlery.process.commands.doctor.verdicts import database_verdicts, grant_verdicts
from chandlery.process.commands.doctor.verdicts.certificate_verdicts import all_of, authorities, validity
from chandlery.store.inspection.server_facts import ConnectionFacts, ServerFacts
from chandlery.store.revisions import NEWEST_REVISION
from chandlery.store.roles.grants import Privilege, Role, privileges, role_name
from chandlery.store.roles.held_privileges import HeldPrivileges

FACTS = ServerFacts(is_postgresql=True, place="db:5432", version=(15, 6), login="chandlery", answer_seconds=0.002)
FILE = ServerFacts(is_postgresql=False, place="/data/chandlery.db", version=(3, 40, 1))
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("facts", "state", "said"),
    [
        (FACTS, State.OK, "PostgreSQL 15.6"),
        (
            replace(FACTS, version=(14, 11)),
            State.FAIL,
            "PostgreSQL 14.11 is too old; upgrade to PostgreSQL 15 or newer",
        ),
        (FILE, State.OK, "SQLite 3.40.1"),
        (replace(FILE, version=(3, 31, 0)), State.FAIL, "SQLite 3.31.0 is too old; upgrade to SQLite 3.35 or newer"),
    ],
)
def test_versions_that_are_too_old_are_told(facts: ServerFacts, state: State, said: str) -> None:
    found = database_verdicts.version(facts)
    assert (found.state, "; ".join(filter(None, (found.message, found.remedy)))) == (state, said)


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (replace(FACTS, is_standby=True), "db:5432 is a standby"),
        (replace(FACTS, is_read_only=True), "sessions of chandlery are read-only"),
    ],
)
def test_a_server_that_takes_no_writes_is_told(facts: ServerFacts, said: str) -> None:
    found = database_verdicts.takes_writes(facts)
    assert (found.state, said in found.message, bool(found.remedy)) == (State.FAIL, True, True)
    assert database_verdicts.takes_writes(FACTS).state is State.OK
    assert database_verdicts.takes_writes(FILE, read_only_files=["/data"]).state is State.FAIL


def test_a_schema_is_behind_missing_ahead_or_right() -> None:
    newest = NEWEST_REVISION
    right, later = database_verdicts.schema(newest, newest), database_verdicts.schema("2999_01_01_later", newest)
    assert (right.state, later.state) == (State.OK, State.OK)
    assert "of a later release" in later.message
    behind, empty = database_verdicts.schema("2026_11_23_guards", newest), database_verdicts.schema(None, newest)
    assert (behind.state, empty.state) == (State.FAIL, State.FAIL)
    assert behind.remedy == empty.remedy == "run `chandlery migrate`"
    assert not behind.blocks
    assert empty.blocks == "the database has no schema yet"


@pytest.mark.parametrize(
    ("ahead", "answer", "state"),
    [
        (0.2, 0.002, State.OK),
        (1.3, 0.9, State.OK),
        (3.0, 0.002, State.WARN),
        (-3.0, 0.002, State.WARN),
        (5.5, 0.002, State.FAIL),
    ],
)
def test_clocks_may_be_a_second_apart_as_far_as_that_can_be_known(ahead: float, answer: float, state: State) -> None:
    facts = replace(FACTS, seconds_ahead=ahead, answer_seconds=answer)
    found = database_verdicts.clock(facts, tolerance=1.0, lease=10.0)
    assert found.state is state
    if state is not State.OK:
        assert ("ahead of" if ahead > 0 else "behind") in found.message


@pytest.mark.parametrize(
    ("most", "used", "processes", "state"),
    [(100, 20, 4, State.OK), (30, 10, 4, State.WARN), (100, 85, 4, State.WARN), (100, 100, 1, State.FAIL)],
)
def test_connections_have_to_suffice_for_all_processes(most: int, used: int, processes: int, state: State) -> None:
    facts = ConnectionFacts(most=most, used=used, sessions={}, sees_all=False)
    assert database_verdicts.connections(facts, pool=10, processes=processes).state is state


@pytest.mark.parametrize(
    ("seconds", "state"), [(None, State.OK), (1.0, State.OK), (30.0, State.WARN), (500.0, State.FAIL)]
)
def test_a_change_log_that_stands_still_is_told(seconds: float | None, state: State) -> None:
    assert database_verdicts.hidden_changes(seconds).state is state


def test_hosts_that_do_not_answer_are_named() -> None:
    standby = replace(FACTS, place="b:5432", is_standby=True)
    both = database_verdicts.hosts([("a:5432", FACTS), ("b:5432", standby)])
    assert both.message == "all hosts of the URL answer: a:5432 (primary), b:5432 (standby)"
    one = database_verdicts.hosts([("a:5432", FACTS), ("b:5432", "the database at b:5432 cannot be reached: no")])
    assert (one.state, "no answer from 1 of 2 hosts" in one.message) == (State.WARN, True)


@pytest.mark.parametrize(("days", "state"), [(-1, State.FAIL), (29, State.WARN), (1, State.WARN), (31, State.OK)])
def test_a_certificate_warns_for_thirty_days_before_it_expires(days: int, state: State) -> None:
    found = validity("it", None, NOW + timedelta(days=days), now=NOW, remedy="renew it")
    assert (found.state, found.remedy) == (state, "" if state is State.OK else "renew it")


def test_a_certificate_that_is_not_valid_yet_may_be_the_fault_of_the_clock() -> None:
    found = validity("it", NOW + timedelta(hours=1), NOW + timedelta(days=90), now=NOW, remedy="wait")
    assert (found.state, "clock" in found.remedy) == (State.FAIL, True)


def test_of_several_authorities_one_that_is_valid_will_do() -> None:
    ends = [NOW - timedelta(days=1), NOW + timedelta(days=365)]
    assert authorities("it", ends, now=NOW, remedy="renew").state is State.OK
    assert all_of([], otherwise="none").state is State.UNUSED


def held_by(role: Role, *, without: int = 0, **more: Any) -> HeldPrivileges:
    """Who may do what the role may, but for some rights."""
    mine = sorted(each for each in privileges("shop") if each.role == role_name("shop", role))
    held = frozenset(Privilege("", each.table, each.right, each.column) for each in mine[without:])
    known: dict[str, Any] = {"login": "web", "roles": ["gateway", "binder"], "member_of": [role], "held": held}
    return HeldPrivileges(**{**known, **more})


def judged(held: HeldPrivileges, service: Role | None = None) -> Result:
    return grant_verdicts.grants(held, prefix="shop", service=service)


def test_a_role_with_its_duty_and_no_more_is_green() -> None:
    assert judged(held_by("binder")).message == "web may do what the binder needs, and no more"


def test_a_role_that_lacks_a_grant_is_told_which() -> None:
    found = judged(held_by("binder", without=1))
    assert (found.state, found.message) == (State.FAIL, "web lacks what the binder needs: SELECT on alembic_version")
    assert "chandlery migrate --roles" in found.remedy
    closed = judged(held_by("binder", closed_sequences=["outbox_id_seq", "other_seq"]))
    assert closed.message == "web lacks what the binder needs: USAGE on outbox_id_seq"


def test_a_role_that_may_do_more_is_told_what() -> None:
    status = Privilege("", "serviceinstances", "UPDATE", "status")
    found = judged(held_by("binder", held=held_by("binder").held | {status}, makes_tables=True))
    assert found.state is State.WARN
    assert "make tables, UPDATE on serviceinstances.status" in found.message


def test_a_gateway_that_may_write_every_status_was_meant_to() -> None:
    every = {Privilege("", each.table, each.right, each.column) for each in privileges("shop", writes_status=True)}
    mine = {
        Privilege("", each.table, each.right, each.column)
        for each in privileges("shop", writes_status=True)
        if each.role == "shop_gateway"
    }
    assert mine < every
    assert judged(held_by("gateway", held=frozenset(mine))).state is State.OK


@pytest.mark.parametrize(
    ("more", "state", "said"),
    [
        ({"is_superuser": True}, State.WARN, "is a superuser"),
        ({"makes_others": True}, State.WARN, "may make roles or databases"),
        ({"owns_tables": True, "roles": []}, State.OK, "may do what all services need"),
        ({"owns_tables": True}, State.WARN, "there are roles for the services"),
        ({"member_of": [], "held": frozenset()}, State.FAIL, "may do the work of no service"),
        ({"member_of": []}, State.OK, "may do what the binder needs"),
    ],
)
def test_other_logins_are_told_what_they_are(more: dict[str, Any], state: State, said: str) -> None:
    found = judged(held_by("binder", **more))
    assert (found.state, said in found.message) == (state, True)


def test_a_service_that_is_named_is_the_one_that_counts() -> None:
    assert judged(held_by("binder", member_of=[]), "binder").state is State.OK
    assert judged(held_by("binder"), "syncer").state is State.FAIL
