"""What the authorizer is asked about a write beside the request itself: Secrets that are sent to a broker, chosen ids.

The authorizer may be far away and is never asked within a transaction. Which Secrets a change is about is only known
within one; so that is undone, the authorizer asked, and the change made again (`object_writer`).
"""

from dataclasses import replace

from chandlery.model.faults import FieldProblem, Forbidden, Invalid
from chandlery.model.objects.kinds import AnyObject
from chandlery_gateway.admission.kind_rules import SecretReference
from chandlery_gateway.identity.authorization import Access, Authorizer
from chandlery_gateway.write.write_requests import WriteRequest

ADOPT = "adopt"
"""To choose the id that an object has at its service broker, and so to take over what the broker has under it.

A verb of its own beside `create`: an authorizer may grant the one without the other. Without an id given a random one
is made.
"""
_ID_FIELD = "spec.externalID"


async def require_adoption(authorizer: Authorizer, request: WriteRequest, name: str) -> None:
    """Raises Forbidden if the user may not choose the id of the new object of this name."""
    access = Access(
        user=request.user,
        verb=ADOPT,
        group=request.kind.group,
        version=request.kind.version,
        resource=request.kind.plural,
        namespace=request.namespace,
        name=name,
    )
    if (await authorizer.decide(access)).allowed:
        return
    message = (
        f'User "{request.user.username}" may not choose the id of a {request.kind.kind} at the service broker '
        f'(verb "{ADOPT}"). Remove externalID to get a random one'
    )
    raise Forbidden(problems=(FieldProblem(_ID_FIELD, "FieldValueForbidden", message),))


def id_in_use(document: AnyObject) -> Invalid:
    """What to answer for an id that belongs to another object of the same service broker, whosever that is."""
    given = getattr(getattr(document, "spec", None), "external_id", "")
    message = f'"{given}" is in use at the service broker; use another one, or remove it to get a random one'
    return Invalid(problems=(FieldProblem(_ID_FIELD, "FieldValueDuplicate", message),))


async def with_access(
    authorizer: Authorizer, request: WriteRequest, references: frozenset[SecretReference]
) -> WriteRequest:
    """The request, with these Secrets among those that its user may read. Raises Forbidden that names the fields."""
    problems = []
    for reference in sorted(references, key=lambda one: one.field):
        access = Access(
            user=request.user,
            verb="get",
            version="v1",
            resource="secrets",
            namespace=reference.namespace,
            name=reference.name,
        )
        if not (await authorizer.decide(access)).allowed:
            place = f"{reference.namespace}/{reference.name}"
            user = request.user.username
            message = f'User "{user}" may not read the Secret "{place}", so it cannot be sent to a service broker'
            problems.append(FieldProblem(reference.field, "FieldValueForbidden", message))
    if problems:
        raise Forbidden(problems=tuple(problems))
    return replace(request, readable=request.readable | references)
