"""What the scripted broker answers when nothing is scripted: the plain synchronous case, with a little memory.

The memory learns from scripted replies too: after a scripted 202 for a provision, its deletion is answered 200.
"""

from collections.abc import Mapping
from typing import Any

from tests.conformance.scripted import scripted_templates as osb
from tests.conformance.scripted.scripted_exchange import Reply, SeenRequest


class DefaultBroker:
    """Default replies. Instances and bindings are known by their ids and remembered with the body that created them."""

    def __init__(self, credentials: Mapping[str, Any] | None = None) -> None:
        self._credentials = credentials
        self._known: dict[tuple[str, ...], dict[str, Any]] = {}

    def reply(self, seen: SeenRequest, *, catalog: Any) -> Reply:
        """The answer of a well-behaved synchronous broker; does not change what is known."""
        known = self._known.get(_key(seen))
        match seen.template:
            case osb.GET_CATALOG:
                return Reply(200, catalog)
            case osb.POLL_INSTANCE | osb.POLL_BINDING:
                return Reply(200, {"state": "succeeded"})
            case osb.PROVISION | osb.BIND:
                return self._put(seen, known)
            case osb.UPDATE:
                return Reply(200) if known is not None else Reply(404, {"description": "unknown instance"})
            case osb.DEPROVISION | osb.UNBIND:
                return Reply(410 if known is None else 200)
            case osb.FETCH_INSTANCE | osb.FETCH_BINDING:
                return self._fetch(seen, known)
        return Reply(404, {"description": "no such endpoint"})

    def learn(self, seen: SeenRequest, reply: Reply) -> None:
        """Remember what exists after the reply; a server error or a dropped connection may have created something."""
        succeeded = reply.status < 300 and not reply.close
        key, body = _key(seen), seen.body if isinstance(seen.body, dict) else {}
        match seen.template:
            case osb.PROVISION | osb.BIND if succeeded or reply.close or reply.status >= 500:
                self._known.setdefault(key, body)
            case osb.UPDATE if succeeded and key in self._known:
                known = self._known[key]
                parameters = {**(known.get("parameters") or {}), **(body.get("parameters") or {})}
                self._known[key] = {**known, **body, "parameters": parameters}
            case osb.DEPROVISION | osb.UNBIND if succeeded or reply.status == 410:
                self._known = {other: known for other, known in self._known.items() if other[: len(key)] != key}

    def _put(self, seen: SeenRequest, known: dict[str, Any] | None) -> Reply:
        if not isinstance(seen.body, dict) or not seen.body.get("service_id") or not seen.body.get("plan_id"):
            return Reply(400, {"description": "service_id and plan_id are required"})
        if known is not None and _attributes(known) != _attributes(seen.body):
            return Reply(409)
        body = {} if seen.template == osb.PROVISION else {"credentials": self._credentials_of(seen)}
        return Reply(201 if known is None else 200, body)

    def _fetch(self, seen: SeenRequest, known: dict[str, Any] | None) -> Reply:
        if known is None:
            return Reply(404)
        if seen.template == osb.FETCH_BINDING:
            return Reply(200, {"credentials": self._credentials_of(seen)})
        return Reply(200, {name: value for name, value in _attributes(known).items() if value})

    def _credentials_of(self, seen: SeenRequest) -> Mapping[str, Any]:
        if self._credentials is not None:
            return self._credentials
        return {"uri": f"http://scripted.test/{seen.ids['binding_id']}", "username": "user", "password": "secret"}


def _key(seen: SeenRequest) -> tuple[str, ...]:
    return tuple(seen.ids.values())


def _attributes(body: Mapping[str, Any]) -> dict[str, Any]:
    return {name: body.get(name) or None for name in ("service_id", "plan_id", "parameters")}
