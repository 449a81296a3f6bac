"""The table of grants: complete, and true to who owns what."""

import re

import pytest

from chandlery.model.objects import kinds
from chandlery.store.roles.database_roles import RolePlan, roles_sql
from chandlery.store.roles.duties import NOTHING, OWNS, READS
from chandlery.store.roles.grants import REVISIONS, ROLES, Privilege, duties, privileges
from chandlery.store.roles.role_statements import changes
from chandlery.store.schema import METADATA, OBJECTS

WORKERS = ("provisioner", "binder", "syncer")
SPECIFIED = (
    kinds.SERVICE_INSTANCE,
    kinds.SERVICE_BINDING,
    kinds.CLUSTER_SERVICE_BROKER,
    kinds.SERVICE_BROKER,
)
"""Kinds that users specify and workers make real."""


def _may(role: str, right: str, table: str, column: str) -> bool:
    has = privileges("shop")
    return any(Privilege(f"shop_{role}", table, right, each) in has for each in ("", column))  # type: ignore[arg-type]


def test_every_table_has_a_duty_for_every_role() -> None:
    assert duties().keys() == METADATA.tables.keys() | {REVISIONS}
    assert all(set(row) == set(ROLES) for row in duties().values())


@pytest.mark.parametrize("kind", SPECIFIED, ids=lambda kind: kind.plural)
def test_the_gateway_writes_no_status_and_workers_write_no_spec(kind: kinds.Kind) -> None:
    table = OBJECTS[kind.kind].name

    for right in ("INSERT", "UPDATE"):
        assert not _may("gateway", right, table, "status")
        assert _may("gateway", right, table, "spec")
    for worker in WORKERS:
        assert not _may(worker, "INSERT", table, "spec")
        assert not _may(worker, "UPDATE", table, "generation")
        # References alone, which a trigger sees to.
        refers = duties()[table][worker].refers  # type: ignore[index]
        assert _may(worker, "UPDATE", table, "spec") is bool(refers)


def test_a_status_is_written_by_the_worker_that_owns_it_and_by_nobody_else() -> None:
    writers = {
        kind.plural: [role for role in ROLES if _may(role, "UPDATE", OBJECTS[kind.kind].name, "status")]
        for kind in SPECIFIED
    }

    assert writers == {
        "serviceinstances": ["provisioner"],
        "servicebindings": ["binder"],
        "clusterservicebrokers": ["syncer"],
        "servicebrokers": ["syncer"],
    }


def test_the_log_of_changes_is_never_rewritten_and_revisions_are_only_read() -> None:
    assert not any(_may(role, "UPDATE", "changes", "object") for role in ROLES)
    assert set(duties()[REVISIONS].values()) == {READS}


def test_who_may_do_what_is_for_the_gateway_to_know() -> None:
    for kind in (kinds.ROLE, kinds.CLUSTER_ROLE, kinds.ROLE_BINDING, kinds.CLUSTER_ROLE_BINDING):
        row = duties()[OBJECTS[kind.kind].name]
        assert row["provisioner"] == row["binder"] == NOTHING
        # A cluster role that the syncer takes away takes its rules from those that gather them.
        assert row["syncer"].refers == ({"rules"} if kind is kinds.CLUSTER_ROLE else set())


def test_status_writes_are_granted_where_the_operator_asks_for_them() -> None:
    instances = OBJECTS[kinds.SERVICE_INSTANCE.kind].name

    assert duties(writes_status=True)[instances]["gateway"] == OWNS
    assert duties()[instances]["gateway"] != OWNS


def test_a_difference_is_made_up_for_and_nothing_else() -> None:
    wanted = {Privilege("a", "t", "SELECT"), Privilege("a", "t", "UPDATE", "x"), Privilege("a", "t", "UPDATE", "y")}
    has = {Privilege("a", "t", "UPDATE", "x"), Privilege("a", "t", "UPDATE", "z"), Privilege("a", "t", "DELETE")}

    assert changes(wanted, wanted) == []
    assert changes(has, wanted) == [
        'REVOKE DELETE, UPDATE (z) ON TABLE t FROM "a"',
        'GRANT SELECT, UPDATE (y) ON TABLE t TO "a"',
    ]


def test_a_right_to_columns_is_granted_anew_when_that_to_the_table_goes() -> None:
    # PostgreSQL takes the columns' rights away together with the table's.
    has = {Privilege("a", "t", "UPDATE"), Privilege("a", "t", "UPDATE", "x")}

    assert changes(has, {Privilege("a", "t", "UPDATE", "x")}) == [
        'REVOKE UPDATE ON TABLE t FROM "a"',
        'GRANT UPDATE (x) ON TABLE t TO "a"',
    ]


def test_the_sql_for_administrators_has_all_of_it_and_no_password() -> None:
    sql = roles_sql(RolePlan(prefix="shop"))

    assert sql.startswith("BEGIN;\n")
    assert sql.endswith("COMMIT;\n")
    assert all(f'"shop_{role}"' in sql for role in ROLES)
    assert not re.search("password", sql, re.IGNORECASE)
