"""An identity provider of its own process for all tests of a module."""

from collections.abc import Iterator

import pytest

from tests.support.oidc_issuer import LocalIssuer, local_issuer


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalIssuer]:
    """A real one, over TLS."""
    with local_issuer(tmp_path_factory.mktemp("issuer")) as running:
        yield running
        running.become("ok")
