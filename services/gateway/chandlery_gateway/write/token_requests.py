"""Makes tokens for service accounts (TokenRequest): checked as Kubernetes does, stored as a digest, shown once."""

from collections.abc import Iterator
from dataclasses import dataclass

from chandlery.model.faults import BadRequest, FieldProblem, Forbidden, Invalid, NotFound
from chandlery.model.objects import kinds
from chandlery.model.objects.metadata import ObjectMeta
from chandlery.reconcile.policies.token_lifetimes import MOST_TOKENS, granted_lifetime, lifetime_problems
from chandlery.store.access.account_tokens import new_token
from chandlery.store.database import Database, UnitOfWork
from chandlery_gateway.admission.field_checks import forbidden, invalid
from chandlery_gateway.kube.kinds.token_kinds import AUDIENCE, TokenRequest, TokenRequestStatus


@dataclass(frozen=True)
class IssuedToken:
    """The request with its answer."""

    request: TokenRequest
    warnings: tuple[str, ...] = ()


class TokenIssuer:
    """Issues tokens."""

    def __init__(self, database: Database, *, longest_hours: float) -> None:
        """`longest_hours` is how long the operator lets a token be valid."""
        self._database = database
        self._longest_hours = longest_hours

    async def issue(self, asked: TokenRequest, *, namespace: str, name: str, dry_run: bool) -> IssuedToken:
        """A token for the account of that name.

        Raises:
            Invalid: the request asks for what there is not.
            BadRequest: it names another account than its path.
            NotFound: there is no such account, or it is about to go.
            Forbidden: the account has too many tokens.
        """
        if asked.metadata.name not in ("", name) or asked.metadata.namespace not in (None, "", namespace):
            raise BadRequest("the name of the service account in the body does not match the one in the path")
        if problems := tuple(_problems(asked)):
            raise Invalid(problems=problems)
        seconds = asked.spec.expiration_seconds
        lifetime = granted_lifetime(seconds, longest_hours=self._longest_hours)
        granted = int(lifetime.total_seconds())

        async def issue(unit: UnitOfWork) -> TokenRequestStatus:
            account = await unit.objects.get(kinds.SERVICE_ACCOUNT, namespace, name)
            if account is None or account.metadata.deletion_timestamp is not None:
                raise NotFound
            uid = account.metadata.uid or ""
            if await unit.account_tokens.count(uid) >= MOST_TOKENS:
                raise Forbidden(
                    f"the service account has {MOST_TOKENS} tokens that have not expired; revoke some with "
                    "`chandlery token revoke`"
                )
            token, stored = new_token(
                account_uid=uid, namespace=namespace, account=name, now=unit.now, lifetime=lifetime
            )
            await unit.account_tokens.add(stored)
            return TokenRequestStatus(token="" if dry_run else token, expiration_timestamp=stored.expires_at)

        status = await self._database.run(issue, dry_run=dry_run)
        spec = asked.spec.model_copy(update={"audiences": (AUDIENCE,), "expiration_seconds": granted})
        metadata = ObjectMeta(name=name, namespace=namespace)
        shortened = f"requested expiration of {seconds} seconds shortened to {granted} seconds"
        return IssuedToken(
            TokenRequest(metadata=metadata, spec=spec, status=status), (shortened,) if granted < seconds else ()
        )


def _problems(asked: TokenRequest) -> Iterator[FieldProblem]:
    for problem in lifetime_problems(asked.spec.expiration_seconds):
        yield invalid("spec.expirationSeconds", problem)
    if any(audience != AUDIENCE for audience in asked.spec.audiences or ()):
        yield invalid("spec.audiences", f"tokens are for this API alone: leave audiences out, or write {AUDIENCE}")
    if asked.spec.bound_object_ref is not None:
        yield forbidden("spec.boundObjectRef", "a token belongs to its service account alone; leave boundObjectRef out")
