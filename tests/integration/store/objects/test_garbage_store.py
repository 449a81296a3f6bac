"""What is garbage is told by kind and uid of its owners: an object of another kind with the uid is no owner."""

import pytest
from sqlalchemy import delete, select

from chandlery.model.objects import kinds
from chandlery.model.objects.core import Secret
from chandlery.model.objects.kinds import AnyObject
from chandlery.model.objects.metadata import OwnerReference
from chandlery.store.database import Database, UnitOfWork
from chandlery.store.schema import GARBAGE
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
