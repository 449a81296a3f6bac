"""Commands of stock kubectl that messages end with, for whoever reads them to copy. Pure.

The remedies (`instance_remedies.py`, `binding_remedies.py`, `broker_remedies.py`) make sentences of them.
"""

from typing import Final

from chandlery.model.objects.annotations import RETRY
from chandlery.model.objects.metadata import ObjectMeta

INSTANCE, BINDING = "serviceinstance", "servicebinding"
_NOW: Final = f"{RETRY}=$(date +%s)"


def annotate(kind: str, meta: ObjectMeta, annotation: str) -> str:
    """An order by annotation; given again, it takes the place of the one before."""
    return f"kubectl annotate {_named(kind, meta)} --overwrite {annotation}"


def retry(kind: str, meta: ObjectMeta) -> str:
    """The request to try again."""
    return annotate(kind, meta, _NOW)


def delete(kind: str, meta: ObjectMeta) -> str:
    """That the object be gone."""
    return f"kubectl delete {_named(kind, meta)}"


def edit(kind: str, meta: ObjectMeta) -> str:
    """To correct a specification by hand."""
    return f"kubectl edit {_named(kind, meta)}"


def describe(kind: str, meta: ObjectMeta) -> str:
    """To see the conditions and events of an object."""
    return f"kubectl describe {_named(kind, meta)}"


def create_secret(namespace: str | None, name: str, *keys: str) -> str:
    """To make a Secret that is not there; what it is to hold stands in files, and not in a shell's history."""
    values = "".join(f" --from-file={key}=FILE" for key in keys or ("KEY",))
    return f"kubectl create secret generic {name} -n {namespace}{values}"


def create_tls_secret(namespace: str | None, name: str) -> str:
    """To make a Secret with a certificate and its key."""
    return f"kubectl create secret tls {name} -n {namespace} --cert=FILE --key=FILE"


def edit_secret(namespace: str | None, name: str) -> str:
    """To correct what a Secret holds."""
    return f"kubectl edit secret {name} -n {namespace}"


def delete_secret(namespace: str | None, name: str) -> str:
    """To take a Secret out of the way."""
    return f"kubectl delete secret {name} -n {namespace}"


def catalog(what: str, meta: ObjectMeta) -> str:
    """To see what is on offer, for all and in the namespace of the object: `classes`, `plans` or `brokers`."""
    kind = "servicebrokers" if what == "brokers" else f"service{what}"
    return f"kubectl get cluster{kind},{kind} -n {meta.namespace}"


def _named(kind: str, meta: ObjectMeta) -> str:
    return f"{kind} {meta.name} -n {meta.namespace}" if meta.namespace else f"{kind} {meta.name}"
