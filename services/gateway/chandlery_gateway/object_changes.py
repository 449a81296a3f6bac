"""From what a write says to the change it makes, and to who owns which fields after it.

`resource_endpoints` builds these from requests; `wish_transactions` calls them with the object as it is stored then.
"""

from chandlery.model.faults import BadRequest, Conflict, FieldProblem, Invalid
from chandlery.model.kinds import AnyObject, kind_of
from chandlery.model.wire import JsonObject
from chandlery_gateway.kube.apply_configurations import with_data
from chandlery_gateway.kube.bodies import Body, parse_json, repeated_keys
from chandlery_gateway.kube.decoding import Decoded, FieldValidation, decode_dict
from chandlery_gateway.kube.field_comparison import compare
from chandlery_gateway.kube.field_ownership import appliers, is_same_but_for_times, on_create, on_update
from chandlery_gateway.kube.field_shapes import shape_of
from chandlery_gateway.kube.managed_fields import Author, decode, read_sent
from chandlery_gateway.kube.patches import apply_patch
from chandlery_gateway.kube.server_side_apply import applied, first_applied
from chandlery_gateway.selection import to_client
from chandlery_gateway.wishes import Change

_PARTS = frozenset({"spec", "status"})


def created(decoded: Decoded, author: Author) -> AnyObject:
    """A new object that belongs to whoever sent it."""
    return _owned(decoded.object, on_create(with_data(decoded.document), author))


def replacing(decoded: Decoded, author: Author) -> Change:
    """Puts the object in the place of the stored one."""
    return lambda old: (_tracked(old, decoded, author), decoded.warnings)


def check_replacement(decoded: Decoded, *, namespace: str, name: str) -> None:
    """The object has to be the one of the URL, and of the catalog's kinds a version that it is based on."""
    meta = decoded.object.metadata
    if meta.name != name:
        raise BadRequest(f"the name of the object ({meta.name}) does not match the name on the URL ({name})")
    if meta.namespace and meta.namespace != namespace:
        raise BadRequest(f"the namespace of the object ({meta.namespace}) does not match the URL's ({namespace})")
    if not meta.resource_version and kind_of(decoded.object).group:
        # As for custom resources; Kubernetes' own core kinds can be replaced blindly.
        sentence = "must be specified for an update; read the object first"
        raise Invalid(problems=(FieldProblem("metadata.resourceVersion", "FieldValueInvalid", sentence),))


def patching(payload: bytes, content_type: str, *, author: Author, validation: FieldValidation) -> Change:
    """Applies a JSON, merge or strategic merge patch to whatever is stored."""
    parse_json(payload)  # refuses before anything is looked up
    repeated = () if validation is FieldValidation.IGNORE else repeated_keys(payload)

    def change(old: AnyObject) -> tuple[AnyObject, tuple[str, ...]]:
        patched = apply_patch(to_client(author.kind, old), payload, content_type)
        decoded = decode_dict(author.kind, patched, field_validation=validation, repeated=repeated)
        return _tracked(old, decoded, author), decoded.warnings

    return change


def applying(body: Body, *, author: Author, validation: FieldValidation, force: bool) -> Change:
    """Applies a configuration, server-side, to the object that is there. The change raises ApplyConflict."""
    config = _relevant(body.document, author)

    def change(old: AnyObject) -> tuple[AnyObject, tuple[str, ...]]:
        result = applied(old.to_wire(), old.metadata.managed_fields, config, author, force=force)
        decoded = decode_dict(author.kind, result.document, field_validation=validation, repeated=body.repeated)
        return _owned(decoded.object, result.managed_fields), decoded.warnings

    return change


def first_applying(body: Body, *, author: Author, validation: FieldValidation) -> Decoded:
    """The object that a configuration makes where there is none. Raises Conflict if it speaks of one that was."""
    config = _relevant(body.document, author)
    decoded = decode_dict(author.kind, config, field_validation=validation, repeated=body.repeated)
    if decoded.object.metadata.uid or decoded.object.metadata.resource_version:
        raise Conflict("the configuration has a uid or a resourceVersion, and no such object was found; leave them out")
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
