"""Ids at a service broker that users choose themselves: who may, and what is said if one is taken. For `object_writer`.

Whoever gives an external id takes over what the broker has under it. So that is a verb of its own, `adopt`, beside
`create`: an authorizer may grant the one without the other. Without an id given a random one is made.
"""

from chandlery.model.faults import FieldProblem, Forbidden, Invalid
from chandlery.model.objects.bindings import ServiceBinding
from chandlery.model.objects.instances import ServiceInstance
from chandlery.model.objects.kinds import AnyObject
from chandlery_gateway.identity.authorization import Access, Authorizer
from chandlery_gateway.write.write_requests import Request

ADOPT = "adopt"
_FIELD = "spec.externalID"


async def require_adoption(authorizer: Authorizer, request: Request, wished: AnyObject) -> None:
    """Raises Forbidden if the new object, as the user sent it, has an id that the user may not choose."""
    if not isinstance(wished, ServiceInstance | ServiceBinding) or not wished.spec.external_id:
        return
    access = Access(
        user=request.user,
        verb=ADOPT,
        group=request.kind.group,
        version=request.kind.version,
        resource=request.kind.plural,
        namespace=request.namespace,
        name=wished.metadata.name,
    )
    if (await authorizer.decide(access)).allowed:
        return
    message = (
        f"user '{request.user.username}' may not {ADOPT} {request.kind.plural}, which is to choose their id at the "
        f"service broker; leave externalID out, and a random one is made"
    )
    raise Forbidden(problems=(FieldProblem(_FIELD, "FieldValueForbidden", message),))


def taken(wished: AnyObject) -> Invalid:
    """What to answer for an id that belongs to another object of the same service broker, whosever that is."""
    given = getattr(getattr(wished, "spec", None), "external_id", "")
    message = f'"{given}": is in use at the service broker; give another one, or leave it out to have a random one made'
    return Invalid(problems=(FieldProblem(_FIELD, "FieldValueDuplicate", message),))
