"""Whether the user may read the Secrets whose values a write sends to a service broker. `object_writer` asks first.

The authorizer may be far away and is never asked within a transaction. Which Secrets a change is about is only known
within one; so that is undone, the authorizer asked, and the change made again.
"""

from dataclasses import replace

from chandlery.model.faults import Fault, FieldProblem, Forbidden
from chandlery_gateway.admission.secrets.secret_references import SecretReference
from chandlery_gateway.identity.authorization import Access, Authorizer
from chandlery_gateway.write.write_requests import Request


class AccessOpen(Fault):
    """It has not been asked yet whether the user may read these Secrets. Never gets out of the write side."""

    def __init__(self, references: frozenset[SecretReference]) -> None:
        self.references = references
        super().__init__()


def require_access(request: Request, references: frozenset[SecretReference]) -> None:
    """Raises AccessOpen unless it has been asked for all of them."""
    if not references <= request.readable:
        raise AccessOpen(references - request.readable)


async def with_access(authorizer: Authorizer, request: Request, references: frozenset[SecretReference]) -> Request:
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
            message = f"user '{request.user.username}' may not get the Secret '{place}', so it is not sent to a broker"
            problems.append(FieldProblem(reference.field, "FieldValueForbidden", message))
    if problems:
        raise Forbidden(problems=tuple(problems))
    return replace(request, readable=request.readable | references)
