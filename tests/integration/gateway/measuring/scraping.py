"""How tests scrape a gateway."""

from typing import Final

from tests.integration.gateway.api_client import Api
from tests.support.measured.metrics_page import Told, told

PAGE: Final = "/metrics"


async def scraped(api: Api) -> Told:
    answer = await api.get(PAGE)
    assert answer.status == 200, answer.payload
    return told(answer.payload.decode())
