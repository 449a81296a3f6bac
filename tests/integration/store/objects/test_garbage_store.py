"""What is garbage is told by kind and uid of its owners: an object of another kind with the uid is no owner."""

import pytest
from sqlalchemy import delete, select

from chandlery.model.objects import kinds
from chandlery.model.objects.core import Secret
from chandlery.model.objects.kinds import AnyObject
from chandlery.model.objects.metadata import OwnerReference
from chandlery.store.connection.engine import open_engine
from chandlery.store.database import Database, UnitOfWork
from chandlery.store.schema import GARBAGE, OWNER_LINKS
from chandlery.store.sealing.sealing import Keyring
from tests.integration.store.samples import create_one, instance, meta


def _owned(name: str, owner: AnyObject, *, kind: str) -> Secret:
    reference = OwnerReference(
        api_version="servicecatalog.k8s.io/v1beta1",
        kind=kind,
        name=owner.metadata.name,
        uid=owner.metadata.uid or "",
    )
    return Secret(metadata=meta(name, owner_references=[reference]))


async def _suspects(unit: UnitOfWork) -> set[str]:
    return set((await unit._connection.execute(select(GARBAGE.c.uid))).scalars())


@pytest.mark.parametrize("is_older", [False, True])
async def test_who_names_an_owner_by_another_kind_has_none(database: Database, is_older: bool) -> None:
    owner = await create_one(database, instance("db"))
    right = _owned("right", owner, kind=kinds.SERVICE_INSTANCE.kind)
    wrong = _owned("wrong", owner, kind=kinds.SERVICE_BINDING.kind)

    async def insert(unit: UnitOfWork) -> None:
        for document in (right, wrong):
            await unit.objects.insert(document)

    await database.run(insert)
    if is_older:
        # As a release has left it that marked nothing.
        await database.run(lambda unit: unit._connection.execute(delete(GARBAGE)))
        assert await database.run(lambda unit: unit.garbage.find_lost(limit=100)) is None
    assert await database.run(_suspects) == {wrong.metadata.uid}


async def test_nothing_is_noted_where_the_garbage_collector_is_not_ours(database_url: str, keyring: Keyring) -> None:
    """A cluster has its own, and nobody would ever take out what is noted for ours."""
    engine = open_engine(database_url, application_name="chandlery-test")
    database = Database(engine, keyring, collects_garbage=False)

    async def written(unit: UnitOfWork) -> None:
        owner = await unit.objects.insert(instance("db"))
        lost = await unit.objects.insert(_owned("lost", owner, kind=kinds.SERVICE_BINDING.kind))
        await unit.objects.insert(_owned("owned", owner, kind=kinds.SERVICE_INSTANCE.kind))
        freed = lost.metadata.model_copy(update={"owner_references": None})
        await unit.objects.update(lost, lost.model_copy(update={"metadata": freed}))
        await unit.objects.remove(owner)

    async def noted(unit: UnitOfWork) -> int:
        rows = [(await unit._connection.execute(select(table.c.uid))).all() for table in (GARBAGE, OWNER_LINKS)]
        return sum(map(len, rows))

    try:
        await database.run(written)
        assert await database.run(noted) == 0
    finally:
        await database.close()
