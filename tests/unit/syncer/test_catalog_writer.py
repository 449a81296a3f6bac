"""What tells a stored catalog from another one."""

from types import SimpleNamespace
from typing import Any, cast

from chandlery.model.objects.kinds import Kind
from chandlery.store.database import UnitOfWork
from chandlery_syncer.catalog.catalog_writer import CatalogWriter
from tests.unit.syncer.builders import make_broker


async def _standing(*versions: int) -> str:
    """Of a catalog whose classes have these versions; one plan beside them."""

    async def count_with_versions(kind: Kind, _listing: Any) -> tuple[int, int]:
        return (len(versions), sum(versions)) if kind.kind == "ClusterServiceClass" else (1, 7)

    unit = SimpleNamespace(objects=SimpleNamespace(count_with_versions=count_with_versions))
    return (await CatalogWriter(cast("UnitOfWork", unit), make_broker()).standing())[1]


async def test_two_that_went_for_one_that_came_are_another_catalog() -> None:
    assert await _standing(3, 4) == await _standing(4, 3)
    assert await _standing(3, 4) != await _standing(7)
    assert await _standing(3, 4) != await _standing(3, 5)
