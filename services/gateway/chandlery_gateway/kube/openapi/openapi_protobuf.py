"""The Swagger 2.0 document in protobuf: `Accept: application/com.github.proto-openapi.spec.v2@v1.0+protobuf`.

kubectl 1.20 reads nothing else. The message is `openapi.v2.Document` of the gnostic project; only the parts that our
documents use are declared here, with gnostic's field numbers.
"""

from typing import Any, Final

from chandlery.model.json.json_text import write_json
from chandlery_gateway.kube.protobuf.protobuf_messages import MessageSet, Shape

ACCEPTED_TYPE: Final = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
# What clients ask for is no valid media type: Go refuses an answer that repeats it. kube-apiserver, too, writes a dot.

# A field's name is the key in the JSON document, or gnostic's own where JSON has no such level.
_LAYOUT: Final = {
    "AdditionalPropertiesItem": "1 schema Schema",
    "Any": "2 yaml",
    "BodyParameter": "1 description, 2 name, 3 in, 4 required bool, 5 schema Schema",
    "Definitions": "1 additional_properties []NamedSchema",
    "Document": "1 swagger, 2 info Info, 8 paths Paths, 9 definitions Definitions",
    "Info": "1 title, 2 version",
    "ItemsItem": "1 schema []Schema",
    "NamedAny": "1 name, 2 value Any",
    "NamedPathItem": "1 name, 2 value PathItem",
    "NamedResponseValue": "1 name, 2 value ResponseValue",
    "NamedSchema": "1 name, 2 value Schema",
    "NonBodyParameter": "3 query QueryParameterSubSchema, 4 path PathParameterSubSchema",
    "Operation": "1 tags []string, 3 description, 5 operationId, 6 produces []string, 7 consumes []string,"
    "8 parameters []ParametersItem, 9 responses Responses, 13 vendor_extension []NamedAny",
    "Parameter": "1 body BodyParameter, 2 non_body NonBodyParameter",
    "ParametersItem": "1 parameter Parameter",
    "PathItem": "2 get Operation, 3 put Operation, 4 post Operation, 5 delete Operation, 8 patch Operation,"
    "9 parameters []ParametersItem",
    "PathParameterSubSchema": "1 required bool, 2 in, 3 description, 4 name, 5 type, 6 format",
    "Paths": "2 path []NamedPathItem",
    "Properties": "1 additional_properties []NamedSchema",
    "QueryParameterSubSchema": "1 required bool, 2 in, 3 description, 4 name, 6 type, 7 format, 20 uniqueItems bool",
    "Response": "1 description, 2 schema SchemaItem",
    "ResponseValue": "1 response Response",
    "Responses": "1 response_code []NamedResponseValue",
    "Schema": "1 $ref, 2 format, 4 description, 5 default Any, 6 multipleOf double, 7 maximum double,"
    "8 exclusiveMaximum bool, 9 minimum double, 10 exclusiveMinimum bool, 11 maxLength int64, 12 minLength int64,"
    "13 pattern, 14 maxItems int64, 15 minItems int64, 19 required []string, 20 enum []Any,"
    "21 additionalProperties AdditionalPropertiesItem, 22 type TypeItem, 23 items ItemsItem, 25 properties Properties,"
    "31 vendor_extension []NamedAny",
    "SchemaItem": "1 schema Schema",
    "TypeItem": "1 value []string",
}
_MESSAGES: Final = MessageSet("openapi.v2", _LAYOUT)


def encode(document: dict[str, Any]) -> bytes:
    """The bytes of a Swagger 2.0 document as `openapi_v2.document` makes it.

    Raises:
        ValueError: the document has a key that is not declared here, which would be lost on the way.
    """
    message = _MESSAGES.new("Document")
    _fill(message, "Document", document)
    encoded: bytes = message.SerializeToString(deterministic=True)
    return encoded


def _fill(message: Any, name: str, value: Any) -> None:
    message.SetInParent()  # tells "no properties" from "an empty set of properties"
    match name:
        case "Any":
            message.yaml = write_json(value, sort_keys=True).decode()  # JSON is YAML
        case "Definitions" | "Paths" | "Properties" | "Responses":
            (field,) = _MESSAGES.fields(name).values()
            for key, item in value.items():
                _fill_named(getattr(message, field.name).add(name=key), field.type, item)
        case "AdditionalPropertiesItem" | "ParametersItem" | "ResponseValue" | "SchemaItem":
            (field,) = _MESSAGES.fields(name).values()
            _fill(getattr(message, field.name), field.type, value)
        case "ItemsItem":
            _fill(message.schema.add(), "Schema", value)
        case "TypeItem":
            message.value.append(value)
        case "Parameter":
            _fill_parameter(message, value)
        case _:
            for key, item in value.items():
                _fill_key(message, name, key=key, value=item)


def _fill_named(message: Any, name: str, value: Any) -> None:
    _fill(message.value, _MESSAGES.fields(name)["value"].type, value)


def _fill_parameter(message: Any, value: dict[str, Any]) -> None:
    if value["in"] == "body":
        _fill(message.body, "BodyParameter", value)
    else:
        kind = _MESSAGES.fields("NonBodyParameter")[value["in"]].type
        _fill(getattr(message.non_body, value["in"]), kind, value)


def _fill_key(message: Any, name: str, *, key: str, value: Any) -> None:
    fields = _MESSAGES.fields(name)
    if key.startswith("x-") and "vendor_extension" in fields:
        _fill_named(message.vendor_extension.add(name=key), "NamedAny", value)
        return
    field = fields.get(key)
    if field is None:
        raise ValueError(f"the protobuf form of {name} has no place for {key!r}")
    is_repeated = field.shape is Shape.REPEATED
    if field.is_scalar:
        getattr(message, field.name).extend(value) if is_repeated else setattr(message, field.name, value)
        return
    target = getattr(message, field.name)
    for item in value if is_repeated else (value,):
        _fill(target.add() if is_repeated else target, field.type, item)
