"""The public keys of signed contexts, for service brokers: a JWK set, which is nobody's secret.

Brokers have no token of this platform, so it is answered without one. A broker is told the address of a gateway by
whoever runs it, and trusts the keys because of the TLS that they came by.
"""

from pathlib import Path
from typing import Final

from fastapi import APIRouter, Request, Response

from chandlery.model.faults import NotFound
from chandlery.model.json.json_text import write_json
from chandlery.osb.signing.context_keys import ContextKeys
from chandlery_gateway.http.pipeline import Pipeline

CONTEXT_KEYS_PATH: Final = "/.well-known/chandlery/context-keys"
_FRESH_SECONDS: Final = 300


def register_context_keys(router: APIRouter, pipeline: Pipeline, file: Path | None) -> None:
    """The route; without a file there are no keys, and nothing is found. Raises ConfigurationFault for a bad file."""
    keys = ContextKeys(file) if file is not None else None

    async def published(_request: Request) -> Response:
        if keys is None:
            raise NotFound("this platform signs no contexts")
        headers = {"Cache-Control": f"public, max-age={_FRESH_SECONDS}"}
        return Response(write_json(keys.published()), media_type="application/jwk-set+json", headers=headers)

    endpoint = pipeline.open_endpoint(published, route="context-keys")
    router.add_api_route(CONTEXT_KEYS_PATH, endpoint, methods=["GET"], include_in_schema=False)
