"""What has to be true when the storm is over. Each function answers what is not, in sentences."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import aiormq
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from chandlery.contracts import topology
from chandlery.contracts.messages import UNRESOLVED_LANE
from chandlery.store import schema
from chandlery.store.connection.engine import open_engine
from tests.chaos.counting.watcher import Watcher
from tests.chaos.gateways import Gateways
from tests.chaos.workload import BINDINGS, INSTANCES, Workload
from tests.e2e.stacks.api_client import secret_values
from tests.e2e.stacks.servers import ServerShare

JsonObject = dict[str, Any]
Look = Callable[[], Awaitable[list[str]]]

BROKER: Final = "counting"
LANES: Final = (UNRESOLVED_LANE, f"broker:/{BROKER}")
_PAUSE: Final = 0.3
_SECRETS: Final = "/api/v1/namespaces/default/secrets"
_TRACED: Final = '%"traceparent"%'


async def finally_nothing(look: Look, *, seconds: float = 60.0) -> list[str]:
    """Look until there is nothing to say; what is still said at the end of the patience."""
    deadline = time.monotonic() + seconds
    while (said := await look()) and time.monotonic() < deadline:
        await asyncio.sleep(_PAUSE)
    return said


async def differences(workload: Workload, gateways: Gateways, ledger: JsonObject) -> dict[str, list[str]]:
    """Between what the platform shows, what the users desired and what the broker has: lost, doubled, orphaned."""
    staying = {lifecycle.name: lifecycle for lifecycle in workload.lifecycles if not lifecycle.is_gone}
    instances, bindings = workload.board[INSTANCES], workload.board[BINDINGS]
    secrets = await gateways.list(_SECRETS)
    found = {"lost": list[str](), "doubled": list(ledger["says"]), "orphaned": list[str]()}
    for name, lifecycle in staying.items():
        if name not in instances or name not in bindings:
            continue
        there = ledger["instances"].get(instances[name]["spec"]["externalID"])
        bound = ledger["bindings"].get(bindings[name]["spec"]["externalID"])
        if there is None or there["desired"]["parameters"] != {"size": lifecycle.size}:
            found["lost"].append(
                f"instance {name} at the broker is {there and there['desired']}, desired {lifecycle.size}"
            )
        if bound is None or name not in secrets or secret_values(secrets[name]) != bound["credentials"]:
            found["lost"].append(f"the Secret {name} does not hold what the broker gave")
    for plural, objects, known in (("instances", instances, ledger["instances"]),
                                   ("bindings", bindings, ledger["bindings"])):  # fmt: skip
        wanted = {each["spec"]["externalID"] for each in objects.values()}
        found["orphaned"] += [f"{plural[:-1]} {id_} ({known[id_]['owner']})" for id_ in known.keys() - wanted]
    found["orphaned"] += [f"Secret {name}" for name in secrets.keys() - staying.keys()]
    return found


async def unseen(watcher: Watcher, kind: str, database_url: str) -> list[str]:
    """Where the watcher's story differs from the log's."""
    query = select(schema.CHANGES.c.verb, schema.CHANGES.c.position).where(
        schema.CHANGES.c.kind == kind,
        schema.CHANGES.c.namespace == "default",
        schema.CHANGES.c.position > watcher.begun_at,
    )
    rows = await _rows(database_url, query.order_by(schema.CHANGES.c.position))
    logged, seen = [(str(verb), position) for verb, position in rows], list(watcher.seen)
    if seen == logged:
        return []
    missed, extra = len(set(logged) - set(seen)), len(set(seen) - set(logged))
    return [f"watch of {watcher.plural}: {missed} missed, {extra} unknown, {len(seen)} seen of {len(logged)}"]


async def left_in_tables(database_url: str, *, read_by_all: bool = True) -> list[str]:
    """Messages and work that should be done with; unless messages are `read_by_all`, those without a trace alone."""
    work, waiting = schema.WORK_QUEUE, select(func.count()).select_from(schema.OUTBOX)
    kinds = work.c.kind.in_(("ServiceInstance", "ServiceBinding"))
    queries = {
        "messages in the outbox": waiting if read_by_all else waiting.where(schema.OUTBOX.c.message.not_like(_TRACED)),
        "late wakes": select(func.count()).select_from(schema.LATE_WAKES),
        "leases held": select(func.count()).select_from(work).where(work.c.lease_owner.is_not(None), kinds),
        "objects due": select(func.count()).select_from(work).where(work.c.due_at.is_not(None), kinds),
    }
    counts = {what: (await _rows(database_url, query))[0][0] for what, query in queries.items()}
    return [f"{count} {what}" for what, count in counts.items() if count]


async def left_in_queues(share: ServerShare, amqp_url: str) -> list[str]:
    """Messages in work queues, and dead letters."""
    names = {topology.work_queue(kind, lane) for kind in topology.WORK_QUEUES for lane in LANES}
    names |= set(topology.DEAD_LETTER_QUEUES.values())
    said = []
    try:
        connection = await aiormq.connect(amqp_url)
    except (OSError, aiormq.exceptions.AMQPError) as error:
        return [f"RabbitMQ does not answer: {type(error).__name__}"]
    try:
        for name in sorted(names):
            channel = await connection.channel()
            try:
                count = (await channel.queue_declare(share.amqp_prefix + name, passive=True)).message_count
            except aiormq.exceptions.ChannelNotFoundEntity:
                continue
            if count:
                said.append(f"{count} messages in {name}")
    finally:
        await connection.close()
    return said


async def all_commands(database_url: str) -> Sequence[tuple[str, str, str]]:
    """Kind, uid and lane of everything that workers look after."""
    work = schema.WORK_QUEUE
    return [(row[0], row[1], row[2]) for row in await _rows(database_url, select(work.c.kind, work.c.uid, work.c.lane))]


async def _rows(database_url: str, query: Any) -> list[Any]:
    engine = open_engine(database_url, application_name="chandlery-chaos")
    try:
        async with engine.connect() as connection:
            return await _all(connection, query)
    finally:
        await engine.dispose()


async def _all(connection: AsyncConnection, query: Any) -> list[Any]:
    return list((await connection.execute(query)).all())
