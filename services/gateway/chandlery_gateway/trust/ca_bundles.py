"""The `caBundle` of our APIServices, by which kube-apiserver knows the gateway: kept in step with the certificate.

Only of those that lead to our Service: one of the same name may lead to whoever served this API before. Rights: `get`
and `patch` of these names.
"""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import structlog

from chandlery.model.faults import NotFound
from chandlery.model.objects.brokers import GROUP
from chandlery.model.objects.wire import JsonObject
from chandlery_gateway.kube.kinds import audit_kinds, operation_kinds
from chandlery_gateway.trust.stored_certificates import split_bundle

API_SERVICES: Final = (f"v1beta1.{GROUP}", f"v1.{operation_kinds.GROUP}", f"v1.{audit_kinds.GROUP}")
"""Their names; those that there are not, or not yet, are passed over."""
_PATH: Final = "/apis/apiregistration.k8s.io/v1/apiservices"
_MERGE_PATCH: Final = "application/merge-patch+json"

log = structlog.get_logger(__name__)


class Patches(Protocol):
    """What this needs of the cluster's client."""

    async def get(self, path: str, /, **query: str) -> JsonObject:
        """See the client."""

    async def patch(self, path: str, body: Any, /, *, content_type: str, **query: str) -> JsonObject:
        """See the client."""


@dataclass(frozen=True)
class KnownBundle:
    """What one APIService says."""

    name: str
    version: str
    text: str
    is_skipped: bool
    """Whether kube-apiserver is told to take any certificate."""

    @property
    def authorities(self) -> frozenset[str]:
        """Those in it."""
        try:
            return frozenset(split_bundle(self.text))
        except ValueError:
            return frozenset()


class CaBundles:
    """Those of our APIServices."""

    def __init__(self, cluster: Patches, *, service: str, namespace: str) -> None:
        self._cluster = cluster
        self._service = {"name": service, "namespace": namespace}

    async def read(self) -> Sequence[KnownBundle]:
        """What each says that there is. Raises Forbidden, Unavailable."""
        found = []
        for name in API_SERVICES:
            try:
                api_service = await self._cluster.get(f"{_PATH}/{name}")
            except NotFound:
                continue
            if (bundle := self._bundle(name, api_service)) is not None:
                found.append(bundle)
        return found

    async def put(self, text: str, known: Sequence[KnownBundle]) -> None:
        """Have all of them say this. Raises Conflict if one has changed since it was read, Forbidden, Unavailable."""
        for each in known:
            if each.text == text and not each.is_skipped:
                continue
            spec = {"caBundle": base64.b64encode(text.encode()).decode(), "insecureSkipTLSVerify": False}
            body = {"metadata": {"resourceVersion": each.version}, "spec": spec}
            await self._cluster.patch(f"{_PATH}/{each.name}", body, content_type=_MERGE_PATCH)
            log.info(
                f"the caBundle of the APIService {each.name} is that of the gateways now", action="keep_certificate"
            )

    def _bundle(self, name: str, api_service: JsonObject) -> KnownBundle | None:
        spec, metadata = api_service.get("spec") or {}, api_service.get("metadata") or {}
        service = spec.get("service") or {}
        if {key: service.get(key) for key in self._service} != self._service:
            return None
        return KnownBundle(
            name,
            str(metadata.get("resourceVersion", "")),
            _decoded(spec.get("caBundle")),
            is_skipped=spec.get("insecureSkipTLSVerify") is True,
        )


def _decoded(value: Any) -> str:
    try:
        return base64.b64decode(value).decode() if isinstance(value, str) else ""
    except (binascii.Error, UnicodeDecodeError):
        return ""
