"""A platform that is a call away: no transaction is open meanwhile, and whoever dies at whatever call loses nothing."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from chandlery.model.objects.bindings import AddKeysFromTransform, SecretTransform
from chandlery.model.objects.brokers import ClusterBrokerAuth, ClusterSecretAuth, ObjectReference
from chandlery.model.objects.conditions import ConditionType, find_condition
from chandlery.model.objects.instances import ParametersFromSource, SecretKeyReference, ServiceInstance
from chandlery.model.objects.kinds import AnyObject
from chandlery.reconcile.reconcile_result import secret_key
from chandlery.store.database import UnitOfWork
from tests.conformance.scripted import scripted_templates as osb
from tests.conformance.scripted.scripted_broker import Reply, ScriptedBroker
from tests.integration.workers.distant_platform import DistantPlatform, Halt, Moment
from tests.integration.workers.fleet import BINDING, INSTANCE, NS, Fleet, Process, binding, instance
from tests.support.waiting import SOON, eventually

CREDENTIALS = {"uri": "tcp://rope", "password": "knot"}
OTHERS = {"uri": "tcp://rope", "password": "bowline"}
IN_THE_SECRET = CREDENTIALS | {"extra": "key"}
LEASE_SECONDS = 10.0
LOCAL = pytest.mark.parametrize("fleet", ["sqlite, in process"], indirect=True)
"""What differs between databases is shown once; where a worker dies makes no difference to them."""
FROM_WORDS = (ParametersFromSource(secret_key_ref=SecretKeyReference(name="words", key="json")),)


@pytest.fixture
async def platform(fleet: Fleet) -> DistantPlatform:
    """The one of all processes that come."""
    fleet.platform = made = DistantPlatform()
    made.put("login", username="ann", password="sesame")
    made.put("words", json='{"word": "mellon"}')
    made.put("extra", extra="key")
    return made


@pytest.fixture
async def broker(fleet: Fleet, platform: DistantPlatform) -> AsyncIterator[ScriptedBroker]:
    """A broker that wants a password, and shows credentials once: whoever loses them cannot have them again."""
    auth = ClusterBrokerAuth(basic=ClusterSecretAuth(secret_ref=ObjectReference(namespace=NS, name="login")))
    async with ScriptedBroker(basic=("ann", "sesame")) as broker:
        broker.script(osb.BIND, Reply(201, {"credentials": CREDENTIALS}))
        broker.always(osb.BIND, Reply(200, {}))
        await fleet.offer("db", broker.url, auth_info=auth)
        yield broker


async def test_no_transaction_is_open_during_any_call(
    fleet: Fleet, platform: DistantPlatform, broker: ScriptedBroker
) -> None:
    await bound(fleet)
    await fleet.delete(new_binding())
    await fleet.until_gone(BINDING, "one")
    assert platform.within_transactions == []
    assert platform.values("one") is None
    kinds_of_calls = {call.partition(" ")[0] for call in platform.calls}
    assert kinds_of_calls == {"namespace", "read", "write", "withdraw", "event"}
    assert "InjectedBindResult" in platform.events
    assert len(broker.seen_of(osb.PROVISION)) == len(broker.seen_of(osb.BIND)) == len(broker.seen_of(osb.UNBIND)) == 1


@LOCAL
async def test_two_seconds_for_each_call_hold_nothing_up(
    fleet: Fleet, platform: DistantPlatform, broker: ScriptedBroker
) -> None:
    await fleet.worker("ServiceInstance")
    await fleet.create(new_instance())
    await fleet.until_ready(INSTANCE, "one")
    platform.seconds = 2.0
    # Its lease is shorter than what its calls take together, and its heart beats.
    slow = (await fleet.worker("ServiceBinding", lease_seconds=5.0)).beat()
    await fleet.create(new_binding())
    halt = platform.halt("write one", "before")
    await until(halt)
    await until_no_transaction(slow)
    halt.over.set()
    await fleet.until_ready(BINDING, "one")
    assert platform.within_transactions == []
    assert platform.values("one") == IN_THE_SECRET
    assert len(broker.seen_of(osb.BIND)) == 1


@LOCAL
@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize(
    "call", ["read login", "read words", f"namespace {NS}", "read extra", "write one", "event InjectedBindResult"]
)
async def test_binder_that_dies_at_a_call_loses_no_credentials(
    fleet: Fleet, platform: DistantPlatform, broker: ScriptedBroker, call: str, moment: Moment
) -> None:
    await fleet.worker("ServiceInstance")
    await fleet.create(new_instance())
    await fleet.until_ready(INSTANCE, "one")
    await dies_at(fleet, platform.halt(call, moment), "ServiceBinding", new_binding())
    await fleet.until_ready(BINDING, "one")
    assert platform.values("one") == IN_THE_SECRET
    assert len(broker.seen_of(osb.BIND)) == 1, "they are shown once"
    assert broker.seen_of(osb.UNBIND) == []
    assert platform.within_transactions == []


@LOCAL
@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("call", ["read login", "read words", f"namespace {NS}", "event ProvisionedSuccessfully"])
async def test_provisioner_that_dies_at_a_call_makes_one_instance(
    fleet: Fleet, platform: DistantPlatform, broker: ScriptedBroker, call: str, moment: Moment
) -> None:
    await dies_at(fleet, platform.halt(call, moment), "ServiceInstance", new_instance())
    await fleet.until_ready(INSTANCE, "one")
    (provision,) = broker.seen_of(osb.PROVISION)
    assert provision.body["parameters"] == {"word": "mellon"}
    assert platform.within_transactions == []


@LOCAL
@pytest.mark.parametrize("moment", ["before", "after"])
async def test_binder_that_dies_while_a_secret_is_taken_away_unbinds_all_the_same(
    fleet: Fleet, platform: DistantPlatform, broker: ScriptedBroker, moment: Moment
) -> None:
    binder = await bound(fleet)
    halt = platform.halt("withdraw one", moment)
    await fleet.delete(new_binding())
    await succeeded_by_another(fleet, halt, binder, "ServiceBinding")
    await fleet.until_gone(BINDING, "one")
    assert platform.values("one") is None
    assert len(broker.seen_of(osb.UNBIND)) == 1


@LOCAL
@pytest.mark.parametrize("moment", ["before", "after"])
async def test_binder_that_dies_while_it_replaces_credentials_has_them_replaced_once(
    fleet: Fleet, platform: DistantPlatform, broker: ScriptedBroker, moment: Moment
) -> None:
    binder = await bound(fleet)
    broker.script(osb.BIND, Reply(201, {"credentials": OTHERS}))
    halt = platform.halt("write one", moment)
    await fleet.change(new_binding(), annotated("rotate-requested-at"))
    await succeeded_by_another(fleet, halt, binder, "ServiceBinding")

    async def is_rotated() -> bool:
        return (await fleet.find(BINDING, "one")).status.last_rotation_time is not None

    await eventually(is_rotated, what="the credentials to be replaced")
    assert platform.values("one") == OTHERS | {"extra": "key"}
    first, second = broker.seen_of(osb.BIND)
    assert first.ids["binding_id"] != second.ids["binding_id"]
    assert (await fleet.find(BINDING, "one")).status.external_id == second.ids["binding_id"]


@LOCAL
async def test_secret_of_somebody_else_is_told_and_the_credentials_wait_for_it_to_go(
    fleet: Fleet, platform: DistantPlatform, broker: ScriptedBroker
) -> None:
    platform.put("one", theirs="untouched")
    binder = await fleet.worker("ServiceInstance", "ServiceBinding")
    await fleet.create(new_instance(), new_binding())
    await fleet.until_condition(BINDING, "one", ("False", "ErrorInjectingBindResult"))
    ready = find_condition((await fleet.find(BINDING, "one")).status.conditions, ConditionType.READY)
    assert ready is not None
    assert f'Secret "{NS}/one" exists and is not owned by this binding' in ready.message
    assert platform.values("one") == {"theirs": "untouched"}
    del platform.secrets[NS, "one"]
    await fleet.ready_in_time(BINDING, "one", binder.sweep(), seconds=600)
    assert platform.values("one") == IN_THE_SECRET
    assert len(broker.seen_of(osb.BIND)) == 1


@LOCAL
async def test_secret_that_somebody_has_changed_is_written_again(
    fleet: Fleet, platform: DistantPlatform, broker: ScriptedBroker
) -> None:
    await bound(fleet)
    secret = platform.secrets[NS, "one"]
    platform.secrets[NS, "one"] = secret.model_copy(update={"data": {"uri": "aGE="}})
    await fleet.change(new_binding(), annotated("retry-requested-at"))

    async def is_restored() -> bool:
        return platform.values("one") == IN_THE_SECRET

    await eventually(is_restored, what="the Secret to be restored")
    assert len(broker.seen_of(osb.BIND)) == 1


@LOCAL
async def test_event_that_cannot_be_recorded_changes_nothing(
    fleet: Fleet, platform: DistantPlatform, broker: ScriptedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "events", None)
    await bound(fleet)
    assert platform.values("one") == IN_THE_SECRET
    assert len(broker.seen_of(osb.BIND)) == 1


@LOCAL
async def test_parameters_that_may_not_be_read_are_told_and_waited_for(
    fleet: Fleet, platform: DistantPlatform, broker: ScriptedBroker
) -> None:
    platform.closed.add("words")
    await fleet.worker("ServiceInstance")
    await fleet.create(new_instance())
    await fleet.until_condition(INSTANCE, "one", ("False", "ErrorWithParameters"))
    ready = find_condition((await fleet.find(INSTANCE, "one")).status.conditions, ConditionType.READY)
    assert ready is not None
    assert f'the Secret "{NS}/words" may not be read: the namespace has not opted in' in ready.message
    platform.closed.clear()
    await wake(fleet, "words")
    await fleet.until_ready(INSTANCE, "one")
    assert len(broker.seen_of(osb.PROVISION)) == 1


@LOCAL
async def test_login_that_may_not_be_read_is_told(
    fleet: Fleet, platform: DistantPlatform, broker: ScriptedBroker
) -> None:
    platform.closed.add("login")
    await fleet.worker("ServiceInstance")
    await fleet.create(new_instance())
    await fleet.until_condition(INSTANCE, "one", ("False", "ErrorGettingAuthCredentials"))
    assert broker.seen_of(osb.PROVISION) == []
    platform.closed.clear()
    await wake(fleet, "login")
    await fleet.until_ready(INSTANCE, "one")


@LOCAL
async def test_binding_whose_secret_may_not_be_looked_at_stays_as_it_is(
    fleet: Fleet, platform: DistantPlatform, broker: ScriptedBroker
) -> None:
    await bound(fleet)
    platform.closed.add("one")
    platform.calls.clear()
    await wake(fleet, "one")
    await eventually(lambda: "read one" in platform.calls, what="the look")

    async def is_at_rest() -> bool:
        return (await fleet.work_row(BINDING, "one"))["lease_until"] is None

    await eventually(is_at_rest, what="the end of the round")
    ready = find_condition((await fleet.find(BINDING, "one")).status.conditions, ConditionType.READY)
    assert ready is not None
    assert ready.status == "True"
    assert len(broker.seen_of(osb.BIND)) == 1


async def wake(fleet: Fleet, secret: str) -> None:
    """What a watch of the platform's Secrets does."""

    async def bring(unit: UnitOfWork) -> None:
        unit.enqueue_waiting_at_end([secret_key(NS, secret)])

    await fleet.front.database.run(bring)


def new_instance() -> ServiceInstance:
    return instance("one", "db", parameters_from=FROM_WORDS)


def new_binding() -> Any:
    made = binding("one")
    source = SecretTransform(add_keys_from=AddKeysFromTransform(secret_ref=ObjectReference(namespace=NS, name="extra")))
    spec = {"parameters_from": FROM_WORDS, "secret_transforms": (source,)}
    return made.model_copy(update={"spec": made.spec.model_copy(update=spec)})


def annotated(name: str) -> Any:
    def change(old: AnyObject) -> tuple[AnyObject, tuple[str, ...]]:
        metadata = old.metadata.model_copy(update={"annotations": {f"chandlery.io/{name}": "now"}})
        return old.model_copy(update={"metadata": metadata}), ()

    return change


async def bound(fleet: Fleet) -> Process:
    """An instance with a binding that are ready, and the binder."""
    await fleet.worker("ServiceInstance")
    binder = await fleet.worker("ServiceBinding")
    await fleet.create(new_instance(), new_binding())
    await fleet.until_ready(INSTANCE, "one")
    await fleet.until_ready(BINDING, "one")
    return binder


async def dies_at(fleet: Fleet, halt: Halt, kind: str, document: AnyObject) -> None:
    """A worker is given the object and dies when the platform stands still; another takes over."""
    dying = await fleet.worker(kind)
    await fleet.create(document)
    await succeeded_by_another(fleet, halt, dying, kind)


async def succeeded_by_another(fleet: Fleet, halt: Halt, dying: Process, kind: str) -> None:
    await until(halt)
    await until_no_transaction(dying)
    await dying.kill()
    successor = await fleet.worker(kind)
    fleet.clock.advance(LEASE_SECONDS + 1)
    await successor.sweep().once()


async def until(halt: Halt) -> None:
    async with asyncio.timeout(SOON):
        await halt.reached.wait()


async def until_no_transaction(process: Process) -> None:
    """One that waits for the platform would never end while that stands still."""

    async def is_free() -> bool:
        return process.database.under_way == 0

    await eventually(is_free, what="no transaction to be open")
