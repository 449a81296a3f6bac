"""Talks to whichever gateway answers: requests go on until one has an answer, as a careful client's do."""

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import aiohttp

JsonObject = dict[str, Any]

CATALOG: Final = "/apis/servicecatalog.k8s.io/v1beta1"
NAMESPACED: Final = f"{CATALOG}/namespaces/default"
PATIENCE: Final = 180.0
_REQUEST: Final = aiohttp.ClientTimeout(total=8.0)
_PAUSE: Final = 0.2
_AGAIN: Final = frozenset({429, 503, 504})


class Gateways:
    """Several gateways of one platform. `says` collects answers that no client should get."""

    def __init__(self, urls: Sequence[str], token: str, says: list[str]) -> None:
        self._urls = list(urls)
        self._headers = {"Authorization": f"Bearer {token}"}
        self._says = says
        self.answers: Counter[int] = Counter()
        """By status; 0 for requests that got none."""
        self.session = aiohttp.ClientSession(headers=self._headers)

    async def close(self) -> None:
        await self.session.close()

    def any_url(self) -> str:
        return random.choice(self._urls)

    async def ask(self, method: str, path: str, body: JsonObject | None = None) -> tuple[int, JsonObject, bool]:
        """Status, body, and whether an earlier try may have had an effect without an answer."""
        deadline = time.monotonic() + PATIENCE
        is_repeat = False
        while True:
            try:
                status, answer = await self._once(method, path, body)
            except (aiohttp.ClientError, OSError, TimeoutError):
                status, answer, is_repeat = 0, {}, True
            self.answers[status] += 1
            if status and status not in _AGAIN:
                if status >= 500:
                    self._says.append(f"{method} {path} was answered {status}: {answer.get('message')}")
                else:
                    return status, answer, is_repeat
            is_repeat = True
            if time.monotonic() > deadline:
                raise AssertionError(f"no gateway answers {method} {path}; last seen: {status}")
            await asyncio.sleep(_PAUSE)

    async def create(self, plural: str, document: JsonObject, *, within: str = NAMESPACED) -> None:
        status, answer, is_repeat = await self.ask("POST", f"{within}/{plural}", document)
        if status != 201 and not (status == 409 and is_repeat):
            self._says.append(f"creation of {document['metadata']['name']} was answered {status}: {answer}")

    async def patch(self, plural: str, name: str, change: JsonObject, *, within: str = NAMESPACED) -> None:
        status, answer, _ = await self.ask("PATCH", f"{within}/{plural}/{name}", change)
        if status != 200:
            self._says.append(f"change of {name} was answered {status}: {answer.get('message')}")

    async def delete(self, plural: str, name: str) -> None:
        status, answer, is_repeat = await self.ask("DELETE", f"{NAMESPACED}/{plural}/{name}")
        if status not in (200, 202) and not (status == 404 and is_repeat):
            self._says.append(f"deletion of {name} was answered {status}: {answer.get('message')}")

    async def list(self, path: str) -> Mapping[str, JsonObject]:
        """Objects by name."""
        _, answer, _ = await self.ask("GET", path)
        return {each["metadata"]["name"]: each for each in answer["items"]}

    async def _once(self, method: str, path: str, body: JsonObject | None) -> tuple[int, JsonObject]:
        kind = {"Content-Type": "application/merge-patch+json"} if method == "PATCH" else {}
        async with self.session.request(
            method, self.any_url() + path, json=body, headers=kind, timeout=_REQUEST
        ) as response:
            text = await response.text()
            try:
                answer = json.loads(text)
            except ValueError:
                self._says.append(f"{method} {path} was answered {response.status} without JSON: {text[:80]!r}")
                answer = {}
            return response.status, answer if isinstance(answer, dict) else {}
