"""What form of answer a request asks for: the `Accept` header becomes a `Representation`.

kubectl asks for tables with fallbacks, controllers for metadata alone, discovery clients for one aggregated document.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final

from chandlery.model.faults import Fault

JSON: Final = "application/json"
YAML: Final = "application/yaml"
PROTOBUF: Final = "application/vnd.kubernetes.protobuf"
PROTO_OPENAPI: Final = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
_PROTO_OPENAPI_NAMES: Final = frozenset({PROTO_OPENAPI, PROTO_OPENAPI.replace("v2.v1.0", "v2@v1.0")})
META_GROUP: Final = "meta.k8s.io"
DISCOVERY_GROUP: Final = "apidiscovery.k8s.io"


_LONGEST_KNOWN: Final = 512


class NotAcceptable(Fault):
    """None of the media types in Accept can be served; ask for application/json or application/yaml."""


class UnsupportedMediaType(Fault):
    """The request body is of a media type that is not read here."""


class Form(StrEnum):
    """What is to be made of the object or list; values are those of the `as` parameter."""

    PLAIN = ""
    TABLE = "Table"
    METADATA = "PartialObjectMetadata"
    METADATA_LIST = "PartialObjectMetadataList"
    DISCOVERY = "APIGroupDiscoveryList"


OBJECT_FORMS: Final = frozenset({Form.PLAIN, Form.TABLE, Form.METADATA, Form.METADATA_LIST})
DISCOVERY_FORMS: Final = frozenset({Form.PLAIN, Form.DISCOVERY})

_GROUPS: Final = {
    Form.TABLE: META_GROUP,
    Form.METADATA: META_GROUP,
    Form.METADATA_LIST: META_GROUP,
    Form.DISCOVERY: DISCOVERY_GROUP,
}
_VERSIONS: Final = {META_GROUP: ("v1", "v1beta1"), DISCOVERY_GROUP: ("v2", "v2beta1")}
_MEDIA_TYPES: Final = {
    JSON: JSON,
    "application/*": JSON,
    "*/*": JSON,
    YAML: YAML,
    "application/x-yaml": YAML,
    "text/yaml": YAML,
}


@dataclass(frozen=True, slots=True)
class Representation:
    """A form that can be served. `version` belongs to the form's group; empty for the plain form."""

    form: Form = Form.PLAIN
    version: str = ""
    media_type: str = JSON

    @property
    def api_version(self) -> str:
        """The `apiVersion` of the document that carries the form; empty for the plain form."""
        return f"{_GROUPS[self.form]}/{self.version}" if self.form else ""

    @property
    def content_type(self) -> str:
        """The answer's Content-Type; discovery clients recognise the aggregated form by its parameters."""
        if self.form is not Form.DISCOVERY:
            return self.media_type
        return f"{self.media_type};g={DISCOVERY_GROUP};v={self.version};as={self.form}"


def negotiate(accept: str, forms: frozenset[Form] = OBJECT_FORMS, *, is_stream: bool = False) -> Representation:
    """The first clause of the header (by q, then by order) that can be served in one of the forms; JSON if it is empty.

    Raises:
        NotAcceptable: there are clauses and none can be served, such as protobuf alone, or YAML alone for a watch.
    """
    choose = _known if len(accept) <= _LONGEST_KNOWN else _choose
    return choose(accept, forms, is_stream=is_stream)


def negotiate_openapi(accept: str, *, protobuf: bool = False) -> str:
    """The media type of an OpenAPI document: JSON, or kube-openapi's `protobuf` where there is one.

    Raises NotAcceptable. Rule: kube-openapi's handlers, which know `@v1.0` and `.v1.0` as the end of its name.
    """
    if not accept.strip():
        return JSON
    for media_type, _parameters in _clauses(accept):
        if protobuf and media_type in _PROTO_OPENAPI_NAMES:
            return PROTO_OPENAPI
        if _MEDIA_TYPES.get(media_type) == JSON:
            return JSON
    raise NotAcceptable("OpenAPI documents are served as application/json; ask for it in Accept")


def _choose(accept: str, forms: frozenset[Form], *, is_stream: bool) -> Representation:
    if not accept.strip():
        return Representation()
    for media_type, parameters in _clauses(accept):
        representation = _representation(media_type, parameters, forms)
        if representation is not None and not (is_stream and representation.media_type == YAML):
            return representation
    raise NotAcceptable("only application/json can be streamed; ask for it in Accept" if is_stream else None)


# Clients have few; what somebody makes up to fill it stays small.
_known = lru_cache(maxsize=512)(_choose)


def _representation(media_type: str, parameters: dict[str, str], forms: frozenset[Form]) -> Representation | None:
    served = _MEDIA_TYPES.get(media_type)
    if served is None:
        return None
    wanted = parameters.get("as", "")
    if not wanted:
        return Representation(media_type=served)
    form = next((form for form in forms if form.value == wanted), None)
    group, version = parameters.get("g", ""), parameters.get("v", "")
    if form is None or group != _GROUPS[form] or version not in _VERSIONS[group]:
        return None
    return Representation(form, version, served)


def _clauses(accept: str) -> Iterator[tuple[str, dict[str, str]]]:
    clauses = [_clause(text) for text in accept.split(",") if text.strip()]
    weighted = [(_weight(parameters), media_type, parameters) for media_type, parameters in clauses]
    for weight, media_type, parameters in sorted(weighted, key=lambda clause: -clause[0]):
        if weight > 0:
            yield media_type, parameters


def _clause(text: str) -> tuple[str, dict[str, str]]:
    media_type, *parameters = (part.strip() for part in text.split(";"))
    pairs = (parameter.partition("=") for parameter in parameters)
    return media_type.lower(), {key.strip().lower(): value.strip().strip('"') for key, _, value in pairs}


def _weight(parameters: dict[str, str]) -> float:
    try:
        return float(parameters.get("q", "1"))
    except ValueError:
        return 1.0
