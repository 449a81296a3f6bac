"""What the gateway says of its settings when it starts."""

from pathlib import Path

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from chandlery.model.faults import ConfigurationFault
from chandlery.process.http.tls_files import self_signed
from chandlery.settings.settings import Settings
from chandlery_gateway import main
from chandlery_gateway.http import listening


@pytest.fixture
def tls_files(tmp_path: Path) -> dict[str, Path]:
    """A certificate and its key, as the settings name them."""
    certificate, key = self_signed("127.0.0.1")
    (tmp_path / "tls.crt").write_text(certificate)
    (tmp_path / "tls.key").write_text(key)
    return {"tls_cert_file": tmp_path / "tls.crt", "tls_key_file": tmp_path / "tls.key"}


@pytest.mark.parametrize(
    ("host", "has_tls", "plain_too", "warning"),
    [
        ("127.0.0.1", False, False, ""),
        ("::1", False, False, ""),
        ("localhost", False, False, ""),
        ("0.0.0.0", True, False, ""),
        ("127.0.0.1", True, True, ""),
        (
            "0.0.0.0",
            False,
            False,
            "plain HTTP on 0.0.0.0: tokens and Secrets can be read on the network. To use TLS, set CHANDLERY_",
        ),
        ("::", False, False, "plain HTTP on ::"),
        ("gateway.example.com", False, False, "plain HTTP on gateway.example.com"),
        ("0.0.0.0", True, True, "unset CHANDLERY_ACCEPT_PLAIN_HTTP"),
    ],
)
def test_plain_http_that_others_can_reach_is_warned_of(
    host: str, has_tls: bool, plain_too: bool, warning: str, tls_files: dict[str, Path]
) -> None:
    files = tls_files if has_tls else {}
    with capture_logs() as logged:
        listening.warn_of_plain_http(Settings.model_validate({"host": host, "accept_plain_http": plain_too, **files}))
    assert len(logged) == bool(warning)
    assert not warning or warning in logged[0]["event"]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"token": SecretStr("a")}, "CHANDLERY_TOKEN: the token has 1 characters"),
        ({"token": None}, "no way to authenticate"),
        (
            {"tls_cert_file": Path("/nowhere/tls.crt")},
            "CHANDLERY_TLS_CERT_FILE and CHANDLERY_TLS_KEY_FILE must be set together",
        ),
        (
            {"tls_cert_file": Path("/nowhere/tls.crt"), "tls_key_file": Path("/nowhere/tls.key")},
            "CHANDLERY_TLS_CERT_FILE /nowhere/tls.crt cannot be read: No such file or directory",
        ),
    ],
    ids=["short token", "no token", "no key", "no such file"],
)
def test_setting_that_cannot_work_is_refused_before_anything_is_waited_for(
    wrong: dict[str, Path | SecretStr | None], words: str
) -> None:
    settings = Settings(token=SecretStr("x" * 32)).model_copy(update=wrong)
    with pytest.raises(ConfigurationFault, match=words):
        main.GATEWAY.check(settings)
