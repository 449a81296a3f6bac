"""Puts `signature` into the context of a request: a JWT that says the same, and for whom and for what it is.

Comes in: a request that is about to be written down, and the endpoint it is for. Goes out: the request as it is sent.
Called by: the reconcilers of the provisioner and the binder, before the request is sealed: what is repeated after a
crash is repeated with its signature, whatever has become of the keys since.

The claims: `iss` (the id of this platform, `clusterid` in the context), `aud` (the URL of the broker), `sub` (the id of
the instance), `binding_id` if there is one, `context` (without the signature). No time is in it, so that equal requests
are equal; a broker that must not accept it twice has the ids to go by.
"""

from dataclasses import replace
from importlib import import_module
from typing import Final, TypeVar

from chandlery.model.json.json_text import write_json
from chandlery.model.objects.wire import JsonObject
from chandlery.osb.endpoint import BrokerEndpoint
from chandlery.osb.operations.binding_calls import BindRequest
from chandlery.osb.operations.instance_calls import ProvisionRequest, UpdateRequest
from chandlery.osb.operations.requests import OsbRequest
from chandlery.osb.signing.context_keys import ContextKeys
from chandlery.reconcile.operation.version_matrix import known_body

SIGNATURE: Final = "signature"
UNSIGNED: Final = ""
"""Stands for a signature that could not be made: such a request is not sent."""
_TYPE: Final = "osb-context+jwt"
RequestT = TypeVar("RequestT", bound=OsbRequest | None)


class ContextSigner:
    """Signs for one platform."""

    def __init__(self, keys: ContextKeys | None = None, *, issuer: str = "") -> None:
        """Without keys nothing is signed, and what wants a signature is not sent."""
        self._keys = keys
        self._issuer = issuer
        if keys is not None:
            # Now, and not when the first request waits for it.
            import_module("jwt")

    def signed(self, request: RequestT, endpoint: BrokerEndpoint | None) -> RequestT:
        """The request with its signature, if it has a context and its broker wants one."""
        if endpoint is None or not endpoint.signs_context or SIGNATURE in getattr(request, "context", {}):
            return request
        if not isinstance(request, ProvisionRequest | UpdateRequest | BindRequest):
            return request
        body = known_body(request.verb, {"context": request.context}, endpoint.api_version)
        if "context" not in body:
            return request
        context: JsonObject = body["context"]
        signature = self._signature(request, endpoint, context)
        return replace(request, context={**request.context, SIGNATURE: signature})

    def _signature(
        self, request: ProvisionRequest | UpdateRequest | BindRequest, endpoint: BrokerEndpoint, context: JsonObject
    ) -> str:
        key = self._keys.signing() if self._keys is not None else None
        if key is None or key.private is None:
            return UNSIGNED
        claims = {"iss": self._issuer, "aud": endpoint.base, "sub": request.instance_id, "context": _ordered(context)}
        if isinstance(request, BindRequest):
            claims["binding_id"] = request.binding_id
        import jwt  # noqa: PLC0415 - few platforms sign

        return jwt.PyJWS().encode(
            write_json(dict(sorted(claims.items()))),
            key.private,
            algorithm=key.algorithm,
            headers={"kid": key.key_id, "typ": _TYPE},
            sort_headers=True,
        )


def is_unsigned(request: object) -> bool:
    """Whether the request was to be signed, and could not be."""
    context = getattr(request, "context", None)
    return isinstance(context, dict) and context.get(SIGNATURE) == UNSIGNED


def _ordered(context: JsonObject) -> JsonObject:
    return {key: _ordered(value) if isinstance(value, dict) else value for key, value in sorted(context.items())}
