"""Objects on both databases: what is stored comes back, what lost a race is refused, lists are ordered and paged."""

import pytest

from chandlery.model.faults import AlreadyExists, Conflict
from chandlery.model.objects import kinds
from chandlery.model.objects.instances import ServiceInstance
from chandlery.model.objects.kinds import AnyObject
from chandlery.store.database import Database, UnitOfWork
from chandlery.store.objects.object_reads import Listing
from tests.integration.store import samples
from tests.integration.store.samples import create, create_one, get_instance, instance, position_of

INSTANCE = kinds.SERVICE_INSTANCE


async def _names(database: Database, listing: Listing) -> list[tuple[str, str]]:
    found = await database.run(lambda unit: unit.objects.list(INSTANCE, listing))
    return [(each.metadata.namespace or "", each.metadata.name) for each in found]


async def test_an_object_comes_back_as_it_was_created(database: Database) -> None:
    created = await create_one(database, instance("db", external_id="id-1", parameters={"size": "xl"}))

    assert await get_instance(database, "db") == created
    by_uid = await database.run(lambda unit: unit.objects.get_by_uid(INSTANCE, created.metadata.uid or ""))
    assert by_uid == created


async def test_a_locked_read_sees_the_same_object(database: Database) -> None:
    created = await create_one(database, instance("db"))

    assert await database.run(lambda unit: unit.objects.get(INSTANCE, "ns", "db", lock=True)) == created


async def test_nothing_is_found_under_another_namespace_name_or_kind(database: Database) -> None:
    created = await create_one(database, instance("db"))

    assert await database.run(lambda unit: unit.objects.get(INSTANCE, "other", "db")) is None
    assert await database.run(lambda unit: unit.objects.get(INSTANCE, "ns", "DB")) is None
    uid = created.metadata.uid or ""
    assert await database.run(lambda unit: unit.objects.get_by_uid(kinds.SERVICE_BINDING, uid)) is None


async def test_a_second_object_of_the_same_name_is_refused(database: Database) -> None:
    first = await create_one(database, instance("db"))

    with pytest.raises(AlreadyExists, match=r'serviceinstances\.servicecatalog\.k8s\.io "db" already exists'):
        await create(database, instance("db"))

    assert await get_instance(database, "db") == first
    assert len(await samples.read_at_least(database, 1)) == 1


async def test_who_forgets_what_was_read_still_knows_what_this_transaction_has_put_off(database: Database) -> None:
    changed, gone = await create_one(database, instance("changed")), await create_one(database, instance("gone"))

    async def write(unit: UnitOfWork) -> list[AnyObject | None]:
        metadata = changed.metadata.model_copy(update={"labels": {"team": "a"}})
        written = [
            await unit.objects.insert_later(instance("new")),
            await unit.objects.update_later(changed, changed.model_copy(update={"metadata": metadata})),
        ]
        await unit.objects.remove_later(gone)
        unit.objects.forget()
        found = [await unit.objects.get_cached(INSTANCE, "ns", name) for name in ("new", "changed", "gone")]
        assert found == [*written, None]
        return found

    written = await database.run(write)

    assert [await get_instance(database, "new"), await get_instance(database, "changed"), None] == written


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("is_removed", [False, True])
async def test_what_is_put_off_is_refused_if_somebody_has_been_first(
    database: Database, count: int, is_removed: bool
) -> None:
    names = [f"db-{number}" for number in range(count)]
    seen = [await create_one(database, instance(name)) for name in names]
    await database.run(lambda unit: unit.objects.update(seen[-1], _labelled(seen[-1], "first")))

    async def write(unit: UnitOfWork) -> None:
        for each in seen:
            if is_removed:
                await unit.objects.remove_later(each)
            else:
                await unit.objects.update_later(each, _labelled(each, "second"))

    with pytest.raises(Conflict, match=f'"{names[-1]}"'):
        await database.run(write)

    found = [await get_instance(database, name) for name in names]
    assert [each and each.metadata.labels for each in found] == [None] * (count - 1) + [{"team": "first"}]


async def test_what_one_transaction_writes_several_times_is_written_in_turn(database: Database) -> None:
    changed, gone = await create_one(database, instance("changed")), await create_one(database, instance("gone"))

    async def write(unit: UnitOfWork) -> list[AnyObject]:
        first = [await unit.objects.update_later(each, _labelled(each, "first")) for each in (changed, gone)]
        await unit.objects.remove_later(first[1])
        return [await unit.objects.update_later(first[0], _labelled(changed, "second"))]

    [written] = await database.run(write)

    assert await get_instance(database, "changed") == written
    assert (written.metadata.labels, await get_instance(database, "gone")) == ({"team": "second"}, None)
    told = [(change.name, change.verb) for change in await samples.read_at_least(database, 6)]
    assert told == [
        ("changed", "ADDED"),
        ("gone", "ADDED"),
        ("changed", "MODIFIED"),
        ("gone", "MODIFIED"),
        ("gone", "DELETED"),
        ("changed", "MODIFIED"),
    ]


def _labelled(document: ServiceInstance, team: str) -> ServiceInstance:
    return document.model_copy(update={"metadata": document.metadata.model_copy(update={"labels": {"team": team}})})


async def test_the_same_name_is_free_in_another_namespace(database: Database) -> None:
    await create(database, instance("db"), instance("db", namespace="other"))

    assert await _names(database, Listing()) == [("ns", "db"), ("other", "db")]


async def test_an_update_is_written_with_a_larger_version(database: Database) -> None:
    created = await create_one(database, instance("db"))
    updated = await samples.update(database, created, samples.with_parameters(created, size="xl"))

    assert position_of(updated) > position_of(created)
    assert await get_instance(database, "db") == updated


async def test_an_update_over_an_old_version_is_a_conflict(database: Database) -> None:
    created = await create_one(database, instance("db"))
    updated = await samples.update(database, created, samples.with_parameters(created, size="xl"))

    with pytest.raises(Conflict, match="the object has been modified"):
        await samples.update(database, created, samples.with_parameters(created, size="s"))

    assert await get_instance(database, "db") == updated


async def test_an_equal_object_is_not_written(database: Database) -> None:
    created = await create_one(database, instance("db"))
    same = await samples.update(database, created, created.model_copy())

    assert same == created
    assert await get_instance(database, "db") == created
    assert len(await samples.read_at_least(database, 1)) == 1


async def test_a_removed_object_is_gone_and_its_name_free(database: Database) -> None:
    created = await create_one(database, instance("db"))
    removed = await samples.remove(database, created)

    assert position_of(removed) > position_of(created)
    assert await get_instance(database, "db") is None
    again = await create_one(database, instance("db"))
    assert position_of(again) > position_of(removed)


async def test_removing_an_old_version_is_a_conflict(database: Database) -> None:
    created = await create_one(database, instance("db"))
    updated = await samples.update(database, created, samples.with_parameters(created, size="xl"))

    with pytest.raises(Conflict):
        await samples.remove(database, created)

    assert await get_instance(database, "db") == updated


async def test_a_list_is_ordered_and_pages_join_without_overlap(database: Database) -> None:
    wanted = [(namespace, f"db-{number}") for namespace in ("a", "b") for number in range(5)]
    await create(database, *(instance(name, namespace=namespace) for namespace, name in reversed(wanted)))

    pages: list[list[tuple[str, str]]] = []
    after = None
    while page := await _names(database, Listing(after=after, limit=3)):
        pages.append(page)
        after = page[-1]

    assert [len(page) for page in pages] == [3, 3, 3, 1]
    assert [name for page in pages for name in page] == wanted
    assert await _names(database, Listing(namespace="b", after=("b", "db-2"))) == [("b", "db-3"), ("b", "db-4")]


async def test_a_count_ends_at_the_limit(database: Database) -> None:
    await create(database, *(instance(f"db-{number}") for number in range(4)), instance("x", namespace="other"))

    async def count(limit: int | None) -> int:
        return await database.run(lambda unit: unit.objects.count(INSTANCE, Listing(namespace="ns", limit=limit)))

    assert [await count(limit) for limit in (None, 5, 3)] == [4, 4, 3]
    assert await database.run(lambda unit: unit.objects.count(INSTANCE, Listing(after=("ns", "db-3")))) == 1


async def test_a_list_is_narrowed_by_lookup_columns(database: Database) -> None:
    plan = {"name": "plan-1"}
    await create(
        database,
        instance("a", external_id="id-a", cluster_service_plan_ref=plan),
        instance("b", external_id="id-b", service_plan_ref=plan),
        instance("c", external_id="id-c"),
    )

    assert await _names(database, Listing(where=(("external_id", "id-b"),))) == [("ns", "b")]
    assert await _names(database, Listing(where=(("plan_ref", "plan-1"),))) == [("ns", "a"), ("ns", "b")]
    assert await _names(database, Listing(where=(("plan_ref", "plan-1"), ("name", "a")))) == [("ns", "a")]
    assert await _names(database, Listing(where=(("plan_ref", "plan-2"),))) == []


async def test_a_lookup_follows_an_update(database: Database) -> None:
    created = await create_one(database, instance("a", external_id="old"))
    spec = created.spec.model_copy(update={"external_id": "new"})
    await samples.update(database, created, created.model_copy(update={"spec": spec}))

    assert await _names(database, Listing(where=(("external_id", "new"),))) == [("ns", "a")]
    assert await _names(database, Listing(where=(("external_id", "old"),))) == []


async def test_a_list_is_narrowed_by_labels(database: Database) -> None:
    await create(
        database,
        instance("a", labels={"app.kubernetes.io/name": "shop", "tier": "db"}),
        instance("b", labels={"app.kubernetes.io/name": "shop", "tier": ""}),
        instance("c", labels={"app": "shop"}),
        instance("d"),
    )

    shop = ("app.kubernetes.io/name", "shop")
    assert await _names(database, Listing(labels=(shop,))) == [("ns", "a"), ("ns", "b")]
    assert await _names(database, Listing(labels=(shop, ("tier", "db")))) == [("ns", "a")]
    assert await _names(database, Listing(labels=(("tier", ""),))) == [("ns", "b")]
    assert await _names(database, Listing(labels=(("app", "Shop"),))) == []


async def test_all_of_many_are_created_at_once_with_one_change_each(database: Database) -> None:
    many = [instance(f"db-{number:03}") for number in range(120)]
    many += [instance(f"db-{number:03}", namespace="other") for number in range(5)]

    assert await database.run(lambda unit: unit.objects.insert_many(many)) == []

    assert len(await _names(database, Listing())) == 125
    changes = await samples.read_at_least(database, 125)
    listed = await database.run(lambda unit: unit.objects.list(INSTANCE, Listing()))
    assert sorted(change.position for change in changes) == sorted(position_of(each) for each in listed)


async def test_none_of_many_is_created_when_one_name_is_taken(database: Database) -> None:
    taken = await create_one(database, instance("db-1"))
    many = [instance(f"db-{number}") for number in range(3)]

    assert await database.run(lambda unit: unit.objects.insert_many(many)) == [taken]
    assert await _names(database, Listing()) == [("ns", "db-1")]


async def test_a_catalog_of_twelve_thousand_is_created_at_once(postgresql: Database) -> None:
    """More names than PostgreSQL takes parameters (32,767), were each name three of them."""
    many = [instance(f"db-{number:05}") for number in range(12_000)]

    assert await postgresql.run(lambda unit: unit.objects.insert_many(many)) == []
    assert await postgresql.run(lambda unit: unit.objects.count(INSTANCE, Listing())) == 12_000


async def test_old_events_go_without_a_word_in_the_log(database: Database) -> None:
    await create(database, samples.sample(kinds.EVENT, "old"), samples.sample(kinds.EVENT, "older"))
    seen = await samples.read_at_least(database, 2)

    later = samples.NOON.replace(hour=13)
    step = await database.run(lambda unit: unit.old_events.forget(later, limit=10))

    assert step.removed == 2
    assert await database.run(lambda unit: unit.objects.count(kinds.EVENT, Listing())) == 0
    assert await samples.read(database, seen[-1].position) == []
