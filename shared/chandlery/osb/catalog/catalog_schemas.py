"""The rules for parameter schemas in a catalog (OSB v2.17, "Schemas Object"). Nothing is ever fetched."""

from typing import Any

from chandlery.model.json.json_text import write_json
from chandlery.model.objects.wire import JsonObject
from chandlery.osb.catalog.catalog_fields import INVALID, Fields, shown

SCHEMA_LIMIT = 64 * 1024
"""Bytes of one serialized schema."""

_DATA_KEYWORDS = frozenset({"enum", "const", "default", "examples"})
"""What is below them is data: a `$ref` in there refers to nothing."""


def parameter_schema(owner: Fields | None, action: str) -> JsonObject | None:
    """`<action>.parameters` of `service_instance` or `service_binding`, checked; None if it is absent or empty."""
    holder = owner and owner.inside(action)
    schema = holder and holder.object("parameters")
    if not holder or not schema:
        return None
    text = write_json(schema)
    if len(text) > SCHEMA_LIMIT:
        holder.complain("parameters", INVALID, message=f"has {len(text)} bytes and may have {SCHEMA_LIMIT}")
    if not isinstance(schema.get("$schema"), str):
        # Many brokers leave it out; which draft they mean is not for us to guess.
        holder.remark("parameters.$schema", "is required: it names the JSON Schema draft; parameters are not checked")
    if b'"$ref"' in text:
        for reference in _external_references(schema):
            message = f"refers to {shown(reference)} outside the schema"
            holder.complain("parameters", INVALID, message=message)
    return schema


def _external_references(schema: JsonObject) -> list[str]:
    """Every `$ref` that does not stay inside. A loop, since a broker decides how deep it goes."""
    found: list[str] = []
    waiting: list[Any] = [schema]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting.extend(node)
        if not isinstance(node, dict):
            continue
        reference = node.get("$ref")
        if isinstance(reference, str) and not reference.startswith("#"):
            found.append(reference)
        waiting.extend(value for keyword, value in node.items() if keyword not in _DATA_KEYWORDS)
    return found
