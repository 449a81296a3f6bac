"""How the cluster is asked for reviews: what we are not allowed is no fault of whoever's request it is about."""

from typing import Final, Protocol

import structlog

from chandlery.model.faults import BadRequest, Fault, Forbidden, Invalid, NotFound, Unavailable
from chandlery.model.objects.wire import JsonObject

log = structlog.get_logger(__name__)

DELEGATOR_NEEDED: Final = (
    "the gateway's service account needs the ClusterRole system:auth-delegator: `kubectl create clusterrolebinding "
    "chandlery-auth-delegator --clusterrole=system:auth-delegator --serviceaccount=NAMESPACE:NAME`"
)


class Creates(Protocol):
    """What reviews need of the cluster's client."""

    async def create(self, path: str, body: JsonObject, /, **query: str) -> JsonObject:
        """What the cluster answers to a POST. Raises faults."""


async def reviewed(cluster: Creates, path: str, body: JsonObject) -> JsonObject:
    """The status of a review. Raises Unavailable if the cluster does not answer it, for whatever reason."""
    try:
        answer = await cluster.create(path, body)
    except Unavailable as fault:
        raise Unavailable("the cluster cannot be asked who this is and what they may do; try again shortly") from fault
    except Fault as fault:
        is_ours = isinstance(fault, Forbidden | BadRequest | Invalid | NotFound)
        why = f"{fault.message}; {DELEGATOR_NEEDED}" if isinstance(fault, Forbidden) else fault.message
        log.error(f"the cluster refuses a review: {why}", action="ask_cluster")  # noqa: TRY400 - a right is missing
        raise Unavailable(
            "the cluster refuses to tell the gateway who this is and what they may do; its operator finds in the "
            f"gateway's log {'what it needs' if is_ours else 'why'}"
        ) from fault
    status = answer.get("status")
    return status if isinstance(status, dict) else {}
