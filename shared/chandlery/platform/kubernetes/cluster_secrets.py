"""The Secrets of a cluster: read, written for a binding, and taken away with it. Somebody else's is never touched.

What is not there is made by POST, which never writes over what somebody else makes at the same moment. What is ours is
changed by server-side apply: only the fields that we set, whoever else may add labels. That names uid and version of
the Secret that was looked at. So it cannot be another one of the same name; and a call that was on its way when its
worker lost the lease cannot write older credentials over those of the successor.
"""

from typing import Any, Final

from chandlery.model.faults import AlreadyExists, Conflict, Fault, NotFound
from chandlery.model.objects.core import Secret
from chandlery.model.objects.metadata import ObjectMeta, OwnerReference
from chandlery.model.objects.wire import JsonObject
from chandlery.platform.kubernetes.cluster_client import JSON_PATCH, METADATA, ClusterClient
from chandlery.platform.kubernetes.cluster_refusals import explained
from chandlery.platform.protocol import SecretNotOwned
from chandlery.reconcile.reconcile_result import DeleteSecret

FIELD_MANAGER: Final = "chandlery"
MANAGED_BY: Final = {"app.kubernetes.io/managed-by": "chandlery"}
"""The label of what we have made."""
KEYS: Final = "chandlery.io/secret-keys"
"""Annotation with the number of keys. Of a Secret only metadata is followed: by it a key that somebody has taken out
is missed among those that we own."""
_ATTEMPTS: Final = 4


class ClusterSecrets:
    """All Secrets that we have the right to."""

    def __init__(self, client: ClusterClient) -> None:
        self._client = client

    async def read(self, namespace: str, name: str) -> Secret | None:
        """The Secret, None if there is none. Raises Forbidden with the way out, Unavailable."""
        try:
            return secret_from(await self._client.get(_path(namespace, name)))
        except NotFound:
            return None
        except Fault as fault:
            raise explained(fault, namespace, name, writes=False) from fault

    async def write(self, secret: Secret) -> None:
        """Make the Secret, or give it this data.

        Raises:
            SecretNotOwned: there is one that its controller does not control.
            Forbidden, Invalid, NotFound: it cannot be written; the sentence says what would help.
            Conflict: others change it all the time.
            Unavailable: the cluster is away; perhaps it was written.
        """
        namespace, name = secret.metadata.namespace or "", secret.metadata.name
        try:
            for _ in range(_ATTEMPTS):
                if await self._is_written(secret):
                    return
        except Fault as fault:
            raise explained(fault, namespace, name, writes=True) from fault
        raise Conflict(f'the Secret "{namespace}/{name}" is being changed by others at the same time')

    async def withdraw(self, secret: DeleteSecret) -> bool:
        """Delete it if that owner controls it; whether it did. Raises Forbidden, Conflict, Unavailable."""
        path = _path(secret.namespace, secret.name)
        try:
            for _ in range(_ATTEMPTS):
                found = await self._look(path)
                if found is None or controller_of(found) != secret.owner_uid:
                    return False
                precise = {"uid": found["uid"], "resourceVersion": found["resourceVersion"]}
                options = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": precise}
                try:
                    await self._client.delete(path, options)
                except (NotFound, Conflict):
                    # Somebody has been there since; look again whose it is.
                    continue
                return True
        except Fault as fault:
            raise explained(fault, secret.namespace, secret.name, writes=True) from fault
        raise Conflict(f'the Secret "{secret.namespace}/{secret.name}" is being changed by others at the same time')

    async def _look(self, path: str) -> JsonObject | None:
        """Its metadata; what is in it is not sent."""
        try:
            found: JsonObject = (await self._client.get(path, accept=METADATA))["metadata"]
        except NotFound:
            return None
        return found

    async def _is_written(self, secret: Secret) -> bool:
        """One attempt; False if somebody else was there in between."""
        namespace, name = secret.metadata.namespace or "", secret.metadata.name
        path, document = _path(namespace, name), _document(secret)
        existing = await self._look(path)
        try:
            if existing is None:
                await self._client.create(secrets_path(namespace), document, fieldManager=FIELD_MANAGER)
                return True
            if controller_of(existing) is None or controller_of(existing) != controller_of(document["metadata"]):
                raise SecretNotOwned(f'Secret "{namespace}/{name}" exists and is not owned by this binding')
            version = existing["resourceVersion"]
            if (entries := applied_entries(existing.get("managedFields") or [])) is not None:
                taken = await self._client.patch(path, _taken_over(existing, entries), content_type=JSON_PATCH)
                version = taken["metadata"]["resourceVersion"]
            document["metadata"] |= {"uid": existing["uid"], "resourceVersion": version}
            await self._client.apply(path, document, field_manager=FIELD_MANAGER, force=True)
        except (AlreadyExists, Conflict):
            return False
        except NotFound:
            if existing is None:
                # The namespace, then.
                raise
            return False
        return True


def secret_from(document: JsonObject) -> Secret:
    """Our model of a cluster's Secret: what we have a use for."""
    metadata = document["metadata"]
    return Secret(
        metadata=metadata_from(metadata),
        data=document.get("data") or None,
        type=document.get("type") or "Opaque",
        immutable=document.get("immutable"),
    )


def metadata_from(metadata: JsonObject) -> ObjectMeta:
    """Our model of any object's metadata: newer clusters have fields that it does not know."""
    owners = [
        OwnerReference(
            api_version=each["apiVersion"],
            kind=each["kind"],
            name=each["name"],
            uid=each["uid"],
            controller=each.get("controller"),
            block_owner_deletion=each.get("blockOwnerDeletion"),
        )
        for each in metadata.get("ownerReferences") or ()
    ]
    return ObjectMeta(
        name=metadata["name"],
        namespace=metadata.get("namespace"),
        uid=metadata.get("uid"),
        resource_version=metadata.get("resourceVersion"),
        creation_timestamp=metadata.get("creationTimestamp"),
        deletion_timestamp=metadata.get("deletionTimestamp"),
        labels=metadata.get("labels"),
        annotations=metadata.get("annotations"),
        owner_references=owners or None,
    )


def controller_of(metadata: JsonObject) -> str | None:
    """The uid of the owner that manages the object."""
    owners = metadata.get("ownerReferences") or ()
    return next((str(owner["uid"]) for owner in owners if owner.get("controller")), None)


def applied_entries(entries: list[JsonObject]) -> list[JsonObject] | None:
    """Entries of managedFields with our own of a POST turned into that of an apply; None if there is nothing to turn.

    Otherwise a key that a later version leaves out would stay, for it would still be owned by who has made it.
    """
    if not any(_is_of_a_create(entry) for entry in entries):
        return None
    is_applied = any(entry.get("manager") == FIELD_MANAGER and entry.get("operation") == "Apply" for entry in entries)
    if is_applied:
        # Both, after an apply without this step: what the other has must only go.
        return [entry for entry in entries if not _is_of_a_create(entry)]
    return [{**entry, "operation": "Apply"} if _is_of_a_create(entry) else entry for entry in entries]


def _is_of_a_create(entry: JsonObject) -> bool:
    return entry.get("manager") == FIELD_MANAGER and entry.get("operation") == "Update"


def _taken_over(existing: JsonObject, entries: list[JsonObject]) -> list[JsonObject]:
    # With a version that is another by now the patch is a conflict.
    version = {"op": "replace", "path": "/metadata/resourceVersion", "value": existing["resourceVersion"]}
    return [{"op": "replace", "path": "/metadata/managedFields", "value": entries}, version]


def _document(secret: Secret) -> JsonObject:
    meta, data = secret.metadata, secret.data or {}
    owners: list[dict[str, Any]] = [owner.to_wire() for owner in meta.owner_references or ()]
    metadata = {
        "name": meta.name,
        "namespace": meta.namespace,
        "labels": MANAGED_BY,
        "annotations": {KEYS: str(len(data))},
        "ownerReferences": owners,
    }
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": secret.type, "data": data}


def secrets_path(namespace: str) -> str:
    """Of the Secrets of a namespace, or of all where none is given."""
    return f"/api/v1/namespaces/{namespace}/secrets" if namespace else "/api/v1/secrets"


def _path(namespace: str, name: str) -> str:
    return f"{secrets_path(namespace)}/{name}"
