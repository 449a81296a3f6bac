"""How our models look on the wire: camelCase with the initialisms that `servicecatalog.k8s.io/v1beta1` uses."""

from functools import cache
from typing import Any

from pydantic import BaseModel, ConfigDict

_INITIALISMS = {"api": "API", "guid": "GUID", "id": "ID", "tls": "TLS", "url": "URL", "urls": "URLs"}


@cache
def wire_name(field: str) -> str:
    """`cluster_service_class_external_id` -> `clusterServiceClassExternalID`; the first word stays lower case."""
    first, *rest = field.split("_")
    return first + "".join(_INITIALISMS.get(word, word.capitalize()) for word in rest)


class WireModel(BaseModel):
    """A frozen value with a JSON form. Unknown fields are refused; the gateway decides what that means to a caller."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=wire_name,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
    )

    def to_wire(self) -> dict[str, Any]:
        """The JSON object that clients see and the store keeps: camelCase, without absent fields."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


JsonObject = dict[str, Any]
