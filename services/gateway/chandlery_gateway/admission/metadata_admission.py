"""Rules for `metadata` of all kinds, as apimachinery's `ValidateObjectMeta` has them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from chandlery.model.faults import FieldProblem
from chandlery.model.objects.kinds import AnyObject
from chandlery.model.objects.metadata import ObjectMeta, OwnerReference
from chandlery.model.text.names import subdomain_problem
from chandlery_gateway.admission.field_checks import forbidden, invalid, required
from chandlery_gateway.admission.kind_rules import NameRule
from chandlery_gateway.kube.query.selectors import label_key_problem, label_value_problem

_MOST_ANNOTATION_BYTES: Final = 256 * 1024
_COLLECTIONS: Final = ("labels", "annotations", "finalizers", "owner_references")


def server_owned(old: AnyObject, new: AnyObject) -> AnyObject:
    """What a client sends of these is ignored, as in Kubernetes; managed fields have been settled by the mutation."""
    before = old.metadata
    return with_metadata(
        new,
        namespace=before.namespace,
        uid=before.uid,
        resource_version=before.resource_version,
        generation=before.generation,
        creation_timestamp=before.creation_timestamp,
        deletion_timestamp=before.deletion_timestamp,
        deletion_grace_period_seconds=before.deletion_grace_period_seconds,
        generate_name=before.generate_name,
        self_link=None,
    )


def with_metadata(document: AnyObject, **fields: object) -> AnyObject:
    """The object with these of its metadata."""
    # Empty is the same as absent, and absent is how it is read back.
    absent: dict[str, object] = {field: None for field in _COLLECTIONS if not getattr(document.metadata, field)}
    return document.model_copy(update={"metadata": document.metadata.model_copy(update=absent | fields)})


def metadata_problems(metadata: ObjectMeta, *, name_problem: NameRule = subdomain_problem) -> Iterator[FieldProblem]:
    """Name, labels, annotations, owner references and finalizers. A generated name has to be there."""
    yield from _name_problems(metadata, name_problem=name_problem)
    yield from _label_problems(metadata.labels or {})
    yield from _annotation_problems(metadata.annotations or {})
    for position, owner in enumerate(metadata.owner_references or ()):
        for field, value in (("apiVersion", owner.api_version), ("kind", owner.kind), ("name", owner.name)):
            if not value:
                yield required(f"metadata.ownerReferences[{position}].{field}", "must not be empty")
        if not owner.uid:
            yield required(f"metadata.ownerReferences[{position}].uid", "must not be empty")
    yield from _controller_problems([owner for owner in metadata.owner_references or () if owner.controller])
    for position, finalizer in enumerate(metadata.finalizers or ()):
        if problem := label_key_problem(finalizer):
            yield invalid(f"metadata.finalizers[{position}]", problem, given=finalizer)


def _controller_problems(controllers: Sequence[OwnerReference]) -> Iterator[FieldProblem]:
    if len(controllers) > 1:
        first, second = (f"{owner.kind}/{owner.name}" for owner in controllers[:2])
        message = f"only one reference can have controller set to true; it is in those to {first} and {second}"
        yield invalid("metadata.ownerReferences", message)


def _name_problems(metadata: ObjectMeta, *, name_problem: NameRule) -> Iterator[FieldProblem]:
    if not metadata.name:
        yield required("metadata.name", "give a name or generateName")
        return
    if problem := name_problem(metadata.name):
        yield invalid("metadata.name", problem, given=metadata.name)


def _label_problems(labels: Mapping[str, str]) -> Iterator[FieldProblem]:
    for key, value in labels.items():
        if problem := label_key_problem(key):
            yield invalid("metadata.labels", problem, given=key)
        if problem := label_value_problem(value):
            yield invalid("metadata.labels", problem, given=value)


def _annotation_problems(annotations: Mapping[str, str]) -> Iterator[FieldProblem]:
    for key in annotations:
        if problem := label_key_problem(key.lower()):
            yield invalid("metadata.annotations", problem, given=key)
    size = sum(len(key) + len(value) for key, value in annotations.items())
    # Characters are at least as many as a quarter of the bytes, so most objects need no encoding to be measured.
    if size * 4 > _MOST_ANNOTATION_BYTES:
        size = sum(len(key.encode()) + len(value.encode()) for key, value in annotations.items())
        if size > _MOST_ANNOTATION_BYTES:
            yield FieldProblem(
                "metadata.annotations",
                "FieldValueTooLong",
                f"may have at most {_MOST_ANNOTATION_BYTES} bytes in total, not {size}",
            )


def metadata_change_problems(old: ObjectMeta, new: ObjectMeta) -> Iterator[FieldProblem]:
    """What may not change, and that an object on its way out gets no new finalizers."""
    if new.name != old.name:
        yield forbidden("metadata.name", "cannot be changed; create another object")
    if new.uid and new.uid != old.uid:
        yield invalid("metadata.uid", "belongs to another object; remove it, or read the object again")
    if old.deletion_timestamp is None:
        return
    added = sorted(set(new.finalizers or ()) - set(old.finalizers or ()))
    if added:
        yield forbidden(
            "metadata.finalizers", f"the object is being deleted, so no finalizers can be added: {', '.join(added)}"
        )
