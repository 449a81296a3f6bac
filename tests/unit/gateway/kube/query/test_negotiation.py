import pytest

from chandlery_gateway.kube.query.negotiation import (
    DISCOVERY_FORMS,
    Form,
    NotAcceptable,
    Representation,
    negotiate,
)

KUBECTL_GET = (
    "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json"
)
KUBECTL_DISCOVERY = (
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
    "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json"
)


@pytest.mark.parametrize(
    ("accept", "form", "version", "media_type"),
    [
        ("", Form.PLAIN, "", "application/json"),
        ("*/*", Form.PLAIN, "", "application/json"),
        ("application/json, */*", Form.PLAIN, "", "application/json"),
        (KUBECTL_GET, Form.TABLE, "v1", "application/json"),
        ("application/json;as=Table;v=v1beta1;g=meta.k8s.io", Form.TABLE, "v1beta1", "application/json"),
        ("application/json;as=Table;v=v9;g=meta.k8s.io, application/json", Form.PLAIN, "", "application/json"),
        ("application/json;as=Table;v=v1;g=other, application/json", Form.PLAIN, "", "application/json"),
        (KUBECTL_DISCOVERY, Form.PLAIN, "", "application/json"),
        ("application/yaml", Form.PLAIN, "", "application/yaml"),
        ("text/yaml;q=0.9, application/json;q=0.5", Form.PLAIN, "", "application/yaml"),
        ("application/json;q=0, application/yaml", Form.PLAIN, "", "application/yaml"),
        ("application/vnd.kubernetes.protobuf,application/json", Form.PLAIN, "", "application/json"),
        (
            (
                "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,"
                "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
            ),
            Form.METADATA_LIST,
            "v1",
            "application/json",
        ),
        ("application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1", Form.METADATA, "v1", "application/json"),
        ("application/json;stream=watch;charset=utf-8", Form.PLAIN, "", "application/json"),
        ("application/json;q=nonsense", Form.PLAIN, "", "application/json"),
    ],
)
def test_negotiation_takes_the_first_clause_that_is_served(
    accept: str, form: Form, version: str, media_type: str
) -> None:
    assert negotiate(accept) == Representation(form, version, media_type)


def test_negotiation_gives_the_aggregated_form_where_discovery_is_asked() -> None:
    representation = negotiate(KUBECTL_DISCOVERY, DISCOVERY_FORMS)
    assert representation.api_version == "apidiscovery.k8s.io/v2"
    assert representation.content_type == "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


def test_negotiation_names_the_document_of_a_table() -> None:
    assert negotiate(KUBECTL_GET).api_version == "meta.k8s.io/v1"
    assert negotiate(KUBECTL_GET).content_type == "application/json"
    assert negotiate("").api_version == ""


@pytest.mark.parametrize(
    "accept",
    [
        "application/vnd.kubernetes.protobuf",
        "text/html",
        "application/json;as=Table;v=v1;g=other",
        "application/json;q=0",
    ],
)
def test_negotiation_refuses_what_cannot_be_served(accept: str) -> None:
    with pytest.raises(NotAcceptable, match="application/json"):
        negotiate(accept)
