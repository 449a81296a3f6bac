"""A small service broker that is real: each instance is an SQLite database on this machine, each binding a way into it.

    python examples/sqlite_broker/sqlite_broker.py --folder ~/databases

openbrokerapi turns HTTP requests into the calls below. What exists is on disk and nowhere else, so a restart forgets
nothing, and a request that comes a second time finds what the first has made; see `docs/write-a-broker.md`.
"""

import argparse
import json
import re
import secrets
import sqlite3
from pathlib import Path
from typing import Any

from flask import Flask
from openbrokerapi import errors
from openbrokerapi.api import get_blueprint
from openbrokerapi.auth import BrokerCredentials
from openbrokerapi.catalog import Schemas, ServicePlan
from openbrokerapi.log_util import basic_config
from openbrokerapi.service_broker import (
    BindDetails,
    Binding,
    BindState,
    DeprovisionDetails,
    DeprovisionServiceSpec,
    ProvisionDetails,
    ProvisionedServiceSpec,
    ProvisionState,
    Service,
    ServiceBroker,
    UnbindDetails,
    UnbindSpec,
    UpdateDetails,
    UpdateServiceSpec,
)
from werkzeug.serving import make_server

SERVICE_ID, PLAN_ID = "1d3f0b3e-6a57-4c6e-9a3b-0f5f5d0f2c11", "7c0c6f0e-2a0d-4a3c-8a25-9a1f6f1b7d22"
PAGE_BYTES = 4096
PARAMETERS = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "additionalProperties": False,
    "properties": {"megabytes": {"type": "integer", "minimum": 1, "maximum": 1024, "default": 16}},
}


class SqliteBroker(ServiceBroker):
    """Databases and bindings are files of a folder, called after their ids."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def catalog(self) -> Service:
        schemas = Schemas(service_instance={"create": {"parameters": PARAMETERS}, "update": {"parameters": PARAMETERS}})
        plan = ServicePlan(id=PLAN_ID, name="file", description="one file on one machine", free=True, schemas=schemas)
        return Service(
            id=SERVICE_ID,
            name="sqlite",
            description="An SQLite database",
            bindable=True,
            plans=[plan],
            plan_updateable=False,
        )

    def provision(
        self, instance_id: str, details: ProvisionDetails, async_allowed: bool, **kwargs: Any
    ) -> ProvisionedServiceSpec:
        wanted = details.parameters or {}
        note, database = self._files(instance_id)
        if note.exists():
            # The same again is success: whoever asks did not get the answer. Another one is a conflict.
            if json.loads(note.read_text()) != wanted:
                raise errors.ErrInstanceAlreadyExists
            return ProvisionedServiceSpec(ProvisionState.IDENTICAL_ALREADY_EXISTS)
        _limit(database, wanted)
        # Last: only what is complete exists.
        note.write_text(json.dumps(wanted))
        return ProvisionedServiceSpec(ProvisionState.SUCCESSFUL_CREATED)

    def update(self, instance_id: str, details: UpdateDetails, async_allowed: bool, **kwargs: Any) -> UpdateServiceSpec:
        note, database = self._existing(instance_id)
        wanted = json.loads(note.read_text()) | (details.parameters or {})
        _limit(database, wanted)
        note.write_text(json.dumps(wanted))
        return UpdateServiceSpec(is_async=False)

    def deprovision(
        self, instance_id: str, details: DeprovisionDetails, async_allowed: bool, **kwargs: Any
    ) -> DeprovisionServiceSpec:
        # What is gone is answered with 410, which counts as deleted.
        note, database = self._existing(instance_id)
        for binding in self._folder.glob(f"{_safe(instance_id)}.*.binding"):
            binding.unlink()
        database.unlink(missing_ok=True)
        note.unlink()
        return DeprovisionServiceSpec(is_async=False)

    def bind(
        self, instance_id: str, binding_id: str, details: BindDetails, async_allowed: bool, **kwargs: Any
    ) -> Binding:
        _, database = self._existing(instance_id)
        file = self._binding_file(instance_id, binding_id)
        is_new = not file.exists()
        if is_new:
            file.touch(mode=0o600)
            file.write_text(secrets.token_urlsafe(24))
        credentials = {"uri": f"sqlite:///{database}", "path": str(database), "token": file.read_text()}
        return Binding(BindState.SUCCESSFUL_BOUND if is_new else BindState.IDENTICAL_ALREADY_EXISTS, credentials)

    def unbind(
        self, instance_id: str, binding_id: str, details: UnbindDetails, async_allowed: bool, **kwargs: Any
    ) -> UnbindSpec:
        file = self._binding_file(instance_id, binding_id)
        if not file.exists():
            raise errors.ErrBindingDoesNotExist
        file.unlink()
        return UnbindSpec(is_async=False)

    def _existing(self, instance_id: str) -> tuple[Path, Path]:
        note, database = self._files(instance_id)
        if not note.exists():
            raise errors.ErrInstanceDoesNotExist
        return note, database

    def _files(self, instance_id: str) -> tuple[Path, Path]:
        name = _safe(instance_id)
        return self._folder / f"{name}.json", self._folder / f"{name}.db"

    def _binding_file(self, instance_id: str, binding_id: str) -> Path:
        return self._folder / f"{_safe(instance_id)}.{_safe(binding_id)}.binding"


def _safe(name: str) -> str:
    """An id is the platform's, and may not lead out of the folder."""
    if not re.fullmatch(r"[A-Za-z0-9_~-]{1,100}", name):
        raise errors.ErrBadRequest("an id may have letters, digits, - _ and ~")
    return name


def _limit(database: Path, wanted: dict[str, Any]) -> None:
    size = wanted.get("megabytes", 16)
    if not isinstance(size, int) or not 1 <= size <= 1024:
        raise errors.ErrInvalidParameters("megabytes has to be a number from 1 to 1024")
    connection = sqlite3.connect(database)
    try:
        connection.execute(f"PRAGMA max_page_count = {size * 1024 * 1024 // PAGE_BYTES}")
        connection.execute(f"PRAGMA user_version = {size}")
    finally:
        connection.close()


def main() -> None:
    parser = argparse.ArgumentParser(description="A service broker for SQLite databases on this machine.")
    parser.add_argument("--folder", type=Path, default=Path.home() / "databases")
    parser.add_argument("--port", type=int, default=5001)
    parser.add_argument("--username", default="chandlery")
    parser.add_argument("--password", required=True, help="what the platform has to show")
    options = parser.parse_args()
    app = Flask("sqlite_broker")
    login = BrokerCredentials(options.username, options.password)
    app.register_blueprint(get_blueprint(SqliteBroker(options.folder.resolve()), login, basic_config()))
    server = make_server("127.0.0.1", options.port, app, threaded=True)
    print(f"sqlite broker listens on http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
