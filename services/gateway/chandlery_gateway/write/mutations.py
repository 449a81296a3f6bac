"""From what a write says to the mutation it makes, and to who owns which fields after it.

`write_handlers` builds these from requests; `write_transactions` calls them with the object as it is stored then.

What is small is computed where it is wanted. What takes long is computed beside the event loop, and before the
transaction rather than in it: `object_writer` wraps every mutation in a `PreparedMutation`, which gives the transaction
up; then the mutation is computed from the object that was found, and the transaction begun again; if the object is
another one by then, so is the mutation.
"""

from dataclasses import replace
from typing import Any, Final

from pydantic import BaseModel

from chandlery.model.faults import BadRequest, Conflict, Fault, FieldProblem, Invalid
from chandlery.model.objects.brokers import GROUP
from chandlery.model.objects.kinds import AnyObject, kind_of
from chandlery.model.objects.wire import JsonObject
from chandlery.process.aside import aside
from chandlery_gateway.kube.apply.field_comparison import compare
from chandlery_gateway.kube.apply.field_shapes import shape_of
from chandlery_gateway.kube.apply.managed_fields import (
    Author,
    appliers,
    decode,
    is_same_but_for_times,
    on_create,
    on_update,
    read_sent,
    with_data,
)
from chandlery_gateway.kube.apply.server_side_apply import applied, first_applied
from chandlery_gateway.kube.body.bodies import Body, parse_json, repeated_keys
from chandlery_gateway.kube.body.decoding import Decoded, FieldValidation, StrictDecodingError, decode_dict
from chandlery_gateway.kube.patch.patches import apply_patch
from chandlery_gateway.read.selection import to_client
from chandlery_gateway.write.write_requests import Mutation

_PARTS: Final = frozenset({"spec", "status"})
_MANY_VALUES: Final = 400
_MANY_CHARACTERS: Final = 64 * 1024

Result = tuple[AnyObject, tuple[str, ...]]


def created(decoded: Decoded, author: Author) -> AnyObject:
    """A new object that belongs to whoever sent it. Raises BadRequest if it says that it has been stored before."""
    if decoded.object.metadata.resource_version:
        raise BadRequest("resourceVersion should not be set on objects to be created; remove it")
    return _owned(decoded.object, on_create(with_data(decoded.document), author))


def replacing(decoded: Decoded, author: Author) -> Mutation:
    """Puts the object in the place of the stored one. Of the catalog's kinds it has to be based on a version of it.

    The mutation raises Invalid if it is based on none: only once there is an object, for else there is none to read.
    """

    def mutate(old: AnyObject) -> tuple[AnyObject, tuple[str, ...]]:
        if not decoded.object.metadata.resource_version and author.kind.group == GROUP:
            # As for custom resources; Kubernetes' own kinds can be replaced blindly.
            sentence = "must be specified for an update; read the object first"
            raise Invalid(problems=(FieldProblem("metadata.resourceVersion", "FieldValueInvalid", sentence),))
        return _tracked(old, _with_finalizers(old, decoded), author), decoded.warnings

    return mutate


def _with_finalizers(old: AnyObject, decoded: Decoded) -> Decoded:
    """With those of the stored object, if it comes from a manifest (`kubectl replace -f`) that says nothing of them.

    Else its worker would take it for one that it has nothing to do with any more. A client that lets go on purpose, as
    `svcat deprovision --abandon` does, has read the object, and so sends its uid.
    """
    sent = decoded.document.get("metadata")
    if decoded.object.metadata.uid or not isinstance(sent, dict) or sent.get("finalizers") is not None:
        return decoded
    metadata = decoded.object.metadata.model_copy(update={"finalizers": old.metadata.finalizers})
    return replace(decoded, object=decoded.object.model_copy(update={"metadata": metadata}))


def check_replacement(decoded: Decoded, *, namespace: str, name: str) -> None:
    """The object has to be the one of the URL."""
    meta = decoded.object.metadata
    if meta.name != name:
        raise BadRequest(f"the name of the object ({meta.name}) does not match the name on the URL ({name})")
    if meta.namespace and meta.namespace != namespace:
        raise BadRequest(f"the namespace of the object ({meta.namespace}) does not match the URL's ({namespace})")


def patching(payload: bytes, content_type: str, *, author: Author, validation: FieldValidation) -> Mutation:
    """Applies a JSON, merge or strategic merge patch to whatever is stored.

    What is strictly refused is said to be invalid, as Kubernetes does here and not with whole objects: `kubectl edit`
    opens the editor once more then.
    """
    parse_json(payload)  # refuses before anything is looked up
    repeated = () if validation is FieldValidation.IGNORE else repeated_keys(payload)

    def mutate(old: AnyObject) -> tuple[AnyObject, tuple[str, ...]]:
        patched = apply_patch(to_client(author.kind, old), payload, content_type)
        try:
            decoded = decode_dict(author.kind, patched, field_validation=validation, repeated=repeated)
        except StrictDecodingError as fault:
            problem = FieldProblem("patch", "FieldValueInvalid", fault.message)
            raise Invalid(problems=(problem,), name=old.metadata.name) from None
        return _tracked(old, decoded, author), decoded.warnings

    return mutate


def applying(body: Body, *, author: Author, validation: FieldValidation, force: bool) -> Mutation:
    """Applies a configuration, server-side, to the object that is there. The mutation raises ApplyConflict."""
    config = _relevant(body.document, author)

    def mutate(old: AnyObject) -> tuple[AnyObject, tuple[str, ...]]:
        result = applied(old.to_wire(), old.metadata.managed_fields, config, author, force=force)
        decoded = decode_dict(author.kind, result.document, field_validation=validation, repeated=body.repeated)
        return _owned(decoded.object, result.managed_fields), decoded.warnings

    return mutate


def first_applying(body: Body, *, author: Author, validation: FieldValidation) -> Decoded:
    """The object that a configuration makes where there is none. Raises Conflict if it speaks of one that was."""
    config = _relevant(body.document, author)
    decoded = decode_dict(author.kind, config, field_validation=validation, repeated=body.repeated)
    if decoded.object.metadata.uid or decoded.object.metadata.resource_version:
        raise Conflict("the configuration has a uid or a resourceVersion, but no such object was found; remove them")
    return Decoded(_owned(decoded.object, first_applied(config, author)), decoded.warnings)


def settled(old: AnyObject, wanted: AnyObject, new: AnyObject) -> AnyObject:
    """What is to be written: the object as it was, if nothing came of the change but a time in its managed fields.

    `wanted` is what the change asked for, `new` what the rules have made of it.
    """
    before, after = old.metadata.managed_fields, new.metadata.managed_fields
    if before == after or _owned(new, before) != old:
        return new
    if is_same_but_for_times(before, after):
        return old
    # Fields that are kept as they were, such as those of a binding, have not come to be somebody else's.
    is_undone = not compare(old.to_wire(), with_data(wanted.to_wire()), shape_of(kind_of(old))).is_equal
    return old if is_undone and appliers(before) == appliers(after) else new


def _relevant(document: JsonObject, author: Author) -> JsonObject:
    """Without the part that belongs to the other one of object and status."""
    passed_over = _PARTS - author.shape.fields.keys()
    return {name: value for name, value in document.items() if name not in passed_over}


def _tracked(old: AnyObject, decoded: Decoded, author: Author) -> AnyObject:
    sent = None if author.subresource else decoded.sent_managed_fields
    entries = read_sent(sent, api_version=author.kind.api_version)
    if entries is None:
        entries = decode(old.metadata.managed_fields)
    if not entries:
        return _owned(decoded.object, None)
    return _owned(
        decoded.object, on_update(old.to_wire(), with_data(decoded.object.to_wire()), entries=entries, author=author)
    )


def _owned(document: AnyObject, managed_fields: str | None) -> AnyObject:
    if document.metadata.managed_fields == managed_fields:
        return document
    metadata = document.metadata.model_copy(update={"managed_fields": managed_fields})
    return document.model_copy(update={"metadata": metadata})


class NotPrepared(Exception):
    """The mutation of this object has to be computed first."""

    def __init__(self, document: AnyObject) -> None:
        super().__init__()
        self.document = document


class PreparedMutation:
    """A mutation that is not computed within a transaction if it is costly."""

    def __init__(self, mutation: Mutation, *, is_costly: bool) -> None:
        """`is_costly` says so of the mutation itself; that of a large object is costly in any case."""
        self._mutation = mutation
        self._is_costly = is_costly
        self._version: str | None = None
        self._outcome: Result | Fault | None = None

    def __call__(self, document: AnyObject) -> Result:
        """As the mutation itself; raises NotPrepared."""
        if self._outcome is not None and self._version == _version(document):
            if isinstance(self._outcome, Fault):
                raise self._outcome
            return self._outcome
        if self._is_costly or is_large(document):
            raise NotPrepared(document)
        return self._mutation(document)

    async def prepare(self, document: AnyObject) -> None:
        """Compute the mutation of this object. What is wrong with it is told when it is wanted."""
        try:
            self._outcome = await aside(lambda: self._mutation(document))
        except Fault as fault:
            self._outcome = fault
        self._version = _version(document)


def preparable(mutation: Mutation) -> PreparedMutation:
    """The mutation, able to be prepared."""
    return mutation if isinstance(mutation, PreparedMutation) else PreparedMutation(mutation, is_costly=False)


def is_large(document: AnyObject) -> bool:
    """Whether the object has so much in it that working with it takes milliseconds."""
    values = characters = 0
    waiting: list[Any] = [document]
    while waiting:
        value = waiting.pop()
        values += 1
        if isinstance(value, str):
            characters += len(value)
        elif isinstance(value, BaseModel):
            waiting += [each for each in value.__dict__.values() if each is not None]
        elif isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, list | tuple):
            waiting += value
        if values > _MANY_VALUES or characters > _MANY_CHARACTERS:
            return True
    return False


def _version(document: AnyObject) -> str:
    return f"{document.metadata.uid} {document.metadata.resource_version}"
