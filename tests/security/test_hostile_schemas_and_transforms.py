"""What a user's transforms, a broker's credentials and a broker's schemas may cost, with all services in one loop."""

from itertools import pairwise

import pytest

from tests.conformance.platform import BINDING, INSTANCE, Platform
from tests.conformance.scripted.scripted_broker import Reply
from tests.conformance.scripted.scripted_catalog import parameter_schemas, simple_plan
from tests.conformance.scripted.scripted_templates import BIND, UNBIND
from tests.integration.gateway.api_client import Document

pytestmark = pytest.mark.asyncio(loop_scope="session")

DRAFT_7 = "http://json-schema.org/draft-07/schema#"
DOUBLING = [
    {"addKey": {"key": new, "jsonPathExpression": f"{{.{old}}}{{.{old}}}"}}
    for old, new in pairwise(["uri", *(f"k{number}" for number in range(40))])
]
TEMPLATES = ["{range ..}{range ..}{range ..}{range ..}{end}{end}{end}{end}", "{.list[?(@.x!=1)]}" * 100, "{..}" * 400]
CREDENTIALS: Document = {"uri": "tcp://rope", "list": [{"x": {"y": [number] * 5}} for number in range(4_000)]}
SCHEMAS: dict[str, Document] = {
    "a pattern that unrolls": {"properties": {"p": {"pattern": "(x?){99000}"}}},
    "a pattern that backtracks": {"properties": {"p": {"pattern": "^(x+x+)+y$"}}},
    "many patterns": {"properties": {"p": {"allOf": [{"pattern": f"(x?){{{1_000 + each}}}"} for each in range(300)]}}},
    "references to a name": {
        "definitions": {"text": {"$id": "#text", "type": "string"}},
        "properties": {f"p{number}": {"$ref": "#text"} for number in range(1_500)},
    },
}
LONG = "x" * 5_000
SECRETS: dict[str, Document] = {
    "long": {f"k{number}": 'é"<&' * 600 + str(number) for number in range(100)},
    "many": {f"k{number}": f"value-{number}" for number in range(9_000)},
    "as many as are looked for": {f"k{number}": f"{number * 7919:032x}" for number in range(500)},
}


@pytest.mark.parametrize(
    "steps",
    [DOUBLING, *([{"addKey": {"key": "k", "jsonPathExpression": template}}] for template in TEMPLATES)],
    ids=["doubling", "ranges of descents", "filters", "descents"],
)
async def test_transforms_that_grow_without_an_end_fail_once(platform: Platform, steps: list[Document]) -> None:
    platform.broker.script(BIND, Reply(201, {"credentials": CREDENTIALS}))
    await platform.provisions()
    await platform.creates_binding(secretTransforms=steps)
    await platform.until_condition(BINDING, "db-binding", "Failed", "True", reason="ErrorInjectingBindResult")
    await platform.broker.wait_for(UNBIND)
    await platform.comes_to_rest()
    assert len(platform.broker.seen_of(BIND)) == len(platform.broker.seen_of(UNBIND)) == 1


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
async def test_schema_of_a_broker_holds_nobody_up(platform: Platform, schema: Document) -> None:
    whole = {"$schema": DRAFT_7, **schema}
    platform.offers(simple_plan("small", schemas=parameter_schemas(create=whole, update=whole, bind=whole)))
    await platform.provisions(plan="small", parameters={"p": LONG})
    await platform.updates(parameters={"p": LONG + "x"})
    await platform.binds(parameters={"p": LONG})
    await platform.until_ready(INSTANCE, "db")


@pytest.mark.parametrize("credentials", SECRETS.values(), ids=SECRETS)
async def test_looking_for_the_secrets_of_a_broker_in_its_words_holds_nobody_up(
    platform: Platform, credentials: Document
) -> None:
    platform.broker.script(BIND, Reply(201, {"credentials": credentials}))
    platform.broker.script(UNBIND, Reply(500, {"description": f"cannot: {LONG}"}))
    await platform.provisions()
    await platform.binds()
    await platform.deletes(BINDING, "db-binding")
    await platform.until_gone(BINDING, "db-binding")
