"""The rules of one kind, all in one object: `KindRules`, which each kind's module overrides as far as it asks for more.

What comes in is an object as it was decoded, with the one that is stored if there is one; what goes out is the object
with its defaults, what is wrong with it, what to warn of. Nothing is looked up: rules for that are `CatalogRules`. The
table that names the rules of each kind, and the only caller, is `catalog/object_admission.py`.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from chandlery.model.faults import FieldProblem
from chandlery.model.objects.instances import ParametersFromSource, UserInfo
from chandlery.model.objects.kinds import AnyObject
from chandlery.model.objects.wire import JsonObject, WireModel
from chandlery.model.text.names import subdomain_problem
from chandlery_gateway.admission.access.granted_rights import Grant

ObjectT = TypeVar("ObjectT", bound=AnyObject)
NewId = Callable[[], str]
NameRule = Callable[[str], str | None]


@dataclass(frozen=True, slots=True)
class SecretReference:
    """A Secret that an object has sent to a service broker, and the field that names it.

    Whoever writes such an object must be allowed to read the Secret. Without that rule a user could have any Secret
    sent to a broker of their own: Kubernetes Service Catalog asks a SubjectAccessReview for brokers; here instances and
    bindings are held to it as well.
    """

    field: str
    namespace: str
    name: str


class KindRules(Generic[ObjectT]):
    """What holds for objects of a kind of which nothing special is asked."""

    actions: ClassVar[tuple[str, ...] | None] = None
    """The annotations by which people may request an action of its worker; None: it has none, and they are free."""
    forced_deletion: ClassVar[str] = ""
    """What becomes of an object that is deleted by force, in words."""
    server_fields: ClassVar[frozenset[str]] = frozenset()
    """Fields of `spec` that are filled in by the server, or are another spelling of what stands beside them."""

    def name_problem(self, name: str) -> str | None:
        """Why the name cannot be that of such an object, or None."""
        return subdomain_problem(name)

    def default_new(self, document: ObjectT, user: UserInfo, *, new_id: NewId) -> ObjectT:
        """The new object with its defaults; `new_id` makes ids for service brokers."""
        return document

    def default_changed(self, old: ObjectT, new: ObjectT, *, user: UserInfo) -> ObjectT:
        """The changed object, with what the server owns or the client left empty as it was."""
        return new

    def new_problems(self, document: ObjectT) -> Iterable[FieldProblem]:
        """Everything that keeps the new object, defaults filled in, from being stored."""
        return ()

    def changed_problems(self, old: ObjectT, new: ObjectT) -> Iterable[FieldProblem]:
        """Everything that keeps the changed object from being stored; asked only if its specification is another."""
        return self.new_problems(new)

    def annotation_problems(self, document: ObjectT) -> Iterable[FieldProblem]:
        """What its annotations say that cannot be meant."""
        return ()

    def status_problems(self, document: ObjectT) -> Iterable[FieldProblem]:
        """What contradicts itself in the status."""
        return ()

    def deletion_problem(self, document: ObjectT) -> str | None:
        """Why the object may not be deleted by anybody."""
        return None

    def new_warnings(self, document: ObjectT) -> tuple[str, ...]:
        """Sentences for `Warning` headers about what is stored and will not be used."""
        return ()

    def changed_warnings(self, old: ObjectT, new: ObjectT) -> tuple[str, ...]:
        """The same of a change; `new` is what the client sent."""
        return ()

    def secrets(self, document: ObjectT) -> Iterable[SecretReference]:
        """The Secrets that are sent to a service broker; of names that are valid."""
        return ()

    def grant(self, document: ObjectT) -> Grant | None:
        """What the new object hands out to others, if it is of a kind that does."""
        return None

    def changed_grant(self, old: ObjectT, new: ObjectT) -> Grant | None:
        """The same of a change."""
        return None

    def chosen_id(self, document: ObjectT) -> str:
        """The id at the service broker that the user has chosen for the new object, if any."""
        return ""

    def acted_on(self, document: ObjectT, user: UserInfo) -> ObjectT:
        """The object once this user has taken an action that is no change of the specification."""
        return document

    def departing(self, document: ObjectT, user: UserInfo) -> ObjectT:
        """The object once this user has had it marked for deletion."""
        return self.acted_on(document, user)

    def spec_changed(self, old: ObjectT, new: ObjectT) -> bool:
        """Whether another state is asked for, which makes a new generation."""
        before, after = getattr(old, "spec", None), getattr(new, "spec", None)
        return before is not None and after is not None and specs_differ(before, after, ignored=self.server_fields)


def specs_differ(old: WireModel, new: WireModel, *, ignored: frozenset[str]) -> bool:
    """Whether anything but the ignored fields differs; absent and empty are the same, as in Kubernetes."""
    return old != new and _desired(old, ignored) != _desired(new, ignored)


def _desired(spec: WireModel, ignored: frozenset[str]) -> JsonObject:
    return {key: value for key, value in spec.to_wire().items() if key not in ignored and not _is_empty(value)}


def _is_empty(value: Any) -> bool:
    return value in ("", [], {})


def parameter_secrets(document: AnyObject, sources: tuple[ParametersFromSource, ...]) -> Iterable[SecretReference]:
    """The Secrets that parameters are taken from."""
    for position, source in enumerate(sources):
        if source.secret_key_ref is not None:
            field = f"spec.parametersFrom[{position}].secretKeyRef"
            yield SecretReference(field, document.metadata.namespace or "", source.secret_key_ref.name)
