"""Only what people can open without harm is shown as a URL."""

import pytest

from chandlery.model.objects.instances import ServiceInstanceStatus
from chandlery.model.text.shown_urls import bad_urls, image_problem, url_problem, without_bad_urls

NOT_HTTP, PASSWORD = "is not an http or https URL", "has a user name or password in it"
ODD = "has characters that no URL may have"
PIXEL = "data:image/png;base64,iVBORw0KGgo="


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com",
        "http://127.0.0.1:8080/ui?id=1#tab",
        "https://[::1]/",
        "https://bücher.example/größe",
        "HTTPS://EXAMPLE.COM/@user",
    ],
)
def test_address_of_a_page_is_shown(url: str) -> None:
    assert url_problem(url) is None


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("javascript:alert(1)", NOT_HTTP),
        ("JaVaScRiPt://example.com/%0aalert(1)", NOT_HTTP),
        ("data:text/html,<script>", NOT_HTTP),
        ("file:///etc/passwd", NOT_HTTP),
        ("//example.com", NOT_HTTP),
        ("/relative", NOT_HTTP),
        ("https://", NOT_HTTP),
        ("https:example.com", NOT_HTTP),
        ("https://example.com:99999", NOT_HTTP),
        ("https://[::1", NOT_HTTP),
        ("https://admin:PW@example.com", PASSWORD),
        ("https://admin@example.com", PASSWORD),
        ("https://@example.com", PASSWORD),
        ("https:\\\\example.com", ODD),
        ("https://example.com\\@evil.example", ODD),
        ("java\nscript:alert(1)", ODD),
        (" https://example.com", ODD),
        ("https://example.com/\u202egnp.exe", ODD),
        ("https://example.com/\x1b[31m", ODD),
        ("https://example.com/\u200b", ODD),
        ("https://example.com/" + "a" * 2_000, "is longer than 2,000 characters"),
        (4711, "is not a string"),
    ],
)
def test_address_that_could_do_harm_is_refused_without_repeating_it(url: object, problem: str) -> None:
    assert url_problem(url) == problem


def test_picture_may_stand_in_its_address() -> None:
    assert image_problem(PIXEL) is None
    assert image_problem("data:image/svg+xml;base64,PHN2Zz4=") == NOT_HTTP
    assert url_problem(PIXEL) == NOT_HTTP


def test_metadata_of_a_class_loses_the_addresses_that_cannot_be_shown() -> None:
    metadata = {
        "displayName": "Database",
        "documentationUrl": "javascript:alert(1)",
        "supportUrl": "https://example.com/help",
        "imageUrl": PIXEL,
    }
    assert without_bad_urls(metadata) == {key: metadata[key] for key in ("displayName", "supportUrl", "imageUrl")}
    assert list(bad_urls(metadata)) == [("documentationUrl", NOT_HTTP)]
    assert without_bad_urls({"documentationUrl": ""}) == {"documentationUrl": ""}
    assert without_bad_urls(None) is None


@pytest.mark.parametrize("url", ["javascript:alert(1)", "https://admin:PW@example.com/", 5])
def test_dashboard_that_an_earlier_release_has_stored_is_shown_to_nobody(url: object) -> None:
    stored = {"dashboardURL": url}
    assert ServiceInstanceStatus.model_validate(stored).dashboard_url is None
    good = {"dashboardURL": "https://example.com/"}
    assert ServiceInstanceStatus.model_validate(good).dashboard_url == good["dashboardURL"]
