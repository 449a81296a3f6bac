"""A database belongs to the platform that it was begun with: what one has stored means nothing to the other."""

import pytest

from chandlery.model.faults import ConfigurationFault
from chandlery.model.objects import kinds
from chandlery.process.choices.platform_choice import check_database
from chandlery.store.database import Database
from tests.integration.store import samples


async def begin(database: Database, platform: str) -> None:
    await database.run(lambda unit: check_database(unit, platform))


@pytest.mark.parametrize(("first", "other"), [("standalone", "kubernetes"), ("kubernetes", "standalone")])
async def test_database_is_refused_by_another_platform_than_its_first(
    database: Database, first: str, other: str
) -> None:
    await begin(database, first)
    with pytest.raises(ConfigurationFault, match=f"CHANDLERY_PLATFORM={other}: .*with CHANDLERY_PLATFORM={first}"):
        await begin(database, other)
    await begin(database, first)


async def test_database_of_a_release_without_clusters_is_known_by_its_namespaces(database: Database) -> None:
    await samples.create(database, samples.sample(kinds.NAMESPACE, "shop"))
    with pytest.raises(ConfigurationFault, match="CHANDLERY_PLATFORM=standalone"):
        await begin(database, "kubernetes")
    await begin(database, "standalone")
