"""What `chandlery doctor` prints of a broken installation has none of the secrets in its settings and files."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from tests.security.leaks.planted import Evidence, new_value
from tests.support.waiting import SOON

_COMMAND: Final = Path(sys.executable).with_name("chandlery")


def _planted() -> dict[str, str]:
    names = ("database", "passphrase", "bus", "administrator", "user", "key", "filed", "pin", "proxy", "signing")
    return {name: new_value(name, odd=False) for name in names}


def _settings(planted: dict[str, str], folder: Path) -> dict[str, str]:
    """Servers that are away, and every secret where a check looks at it."""
    files = {
        "tokens.csv": f"{planted['user']},ann,1\n{planted['user']},bob,2\n",
        "keys": f"filed:{planted['filed']}\n",
        "pin": planted["pin"],
        "proxy": f"chandlery:{planted['proxy']}",
        "signing.pem": f"-----BEGIN PRIVATE KEY-----\n{planted['signing']}\n-----END PRIVATE KEY-----\n",
        "policy.yaml": "rules: [",
    }
    for name, text in files.items():
        (folder / name).write_text(text)
    return {
        "DATABASE_URL": f"postgresql://chandlery:{planted['database']}@127.0.0.1:1/d?sslpassword={planted['passphrase']}",
        "AMQP_URL": f"amqp://chandlery:{planted['bus']}@127.0.0.1:1/x,amqp://chandlery:{planted['bus']}@127.0.0.1:2/x",
        "TOKEN": planted["administrator"],
        "TOKEN_FILE": str(folder / "tokens.csv"),
        "ENCRYPTION_KEYS": f"planted:{planted['key']}",
        "ENCRYPTION_KEYS_FILE": str(folder / "keys"),
        "PKCS11_PIN_FILE": str(folder / "pin"),
        "BROKER_PROXY_CREDENTIALS_FILE": str(folder / "proxy"),
        "CONTEXT_SIGNING_KEY_FILE": str(folder / "signing.pem"),
        "AUDIT_POLICY_FILE": str(folder / "policy.yaml"),
        "HOST": "0.0.0.0",
    }


def _said(settings: dict[str, str], *arguments: str) -> str:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CHANDLERY_")}
    done = subprocess.run(
        [_COMMAND, "doctor", *arguments],
        env=inherited | {f"CHANDLERY_{name}": value for name, value in settings.items()},
        capture_output=True,
        text=True,
        check=False,
        timeout=SOON,
    )
    return done.stdout + done.stderr


def test_no_secret_of_settings_or_files_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loop_watchdog: Any
) -> None:
    # There is no loop of ours in this process.
    monkeypatch.setattr(loop_watchdog, "beat", lambda: None)
    planted, evidence = _planted(), Evidence()
    settings = _settings(planted, tmp_path)
    failures = _said(settings, "-o", "json")
    evidence.add("output of failures", failures)
    # What is refused before anything is checked.
    evidence.add("output of refusals", _said({**settings, "PORT": planted["pin"], "TOKN": planted["key"]}))
    broken = {**settings, "DATABASE_URL": f"postgresql://u:{planted['database']}@@h", "AMQP_URL": planted["bus"]}
    evidence.add("output of URLs", _said(broken))

    found = {name: sorted(evidence.where(value)) for name, value in planted.items()}
    assert {name: places for name, places in found.items() if places} == {}
    failed = {each["id"] for each in json.loads(failures)["checks"] if each["state"] == "fail"}
    looked_at = {"database", "rabbitmq", "encryption-keys", "tokens", "signing-keys", "audit-policy"}
    assert looked_at <= failed, "what has secrets was not looked at"
