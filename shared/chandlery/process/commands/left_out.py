"""What libraries would load for the asking, and nobody here uses: left out of every process, installed or not.

Comes in: nothing. Goes out: an importer in front of the others, which stands for a few modules.
Called by: `start.py`, before anything else is imported. Tests that run in a process of their own load what they like.

Some of it is looked for by libraries that go on without: structlog loads Rich for tracebacks that we do not print, and
jsonschema the checkers of formats that we do not check. Others come whether one likes it or not: with SQLAlchemy's
asynchronous engine its sessions, and the ORM with them; with uvicorn its supervisors. They are stood in for
by names without anything behind them.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Final, NoReturn

ABSENT: Final = frozenset(
    {
        "better_exceptions",
        "fqdn",
        "isoduration",
        "pygments",
        "rfc3986_validator",
        "rfc3987",
        "rfc3987_syntax",
        "rich",
        "uri_template",
        "webcolors",
    }
)
"""As if they were not installed."""
HOLLOW: Final = frozenset({"sqlalchemy.ext.asyncio.scoping", "sqlalchemy.ext.asyncio.session", "uvicorn.supervisors"})
"""Whatever is imported from them is there, and cannot be used."""

_PROVIDERS: Final = "CHANDLERY_ENCRYPTION_PROVIDERS"
_OUR_PROVIDERS: Final = frozenset({"keys", "aws-kms", "pkcs11"})


class Hollow:
    """Stands for a class or a function of a module that is not loaded."""

    def __init__(self, *_arguments: Any, **_named: Any) -> NoReturn:
        raise RuntimeError("this part of a library is left out of processes of Chandlery: see left_out.py")


class _HollowModule(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (Hollow,), {})


class LeftOut:
    """The importer. It has no base classes: `importlib.abc` alone would load twenty modules."""

    def find_spec(
        self, fullname: str, _path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """What stands for the module; nothing where it is not left out."""
        # typeshed asks for a class of `importlib.abc`; the interpreter does not.
        return ModuleSpec(fullname, self) if fullname in HOLLOW else None  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """One that has every name."""
        return _HollowModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """There is nothing in it."""


def leave_out(environment: Mapping[str, str] = os.environ) -> None:
    """From now on, in this process; not where a package of somebody else's is asked for, which may use all of it."""
    providers = {name.strip() for name in environment.get(_PROVIDERS, "").split(",")} - {""}
    if not providers <= _OUR_PROVIDERS:
        return
    sys.modules.update(dict.fromkeys(ABSENT))  # type: ignore[arg-type] # so the interpreter says: not to be found
    sys.meta_path.insert(0, LeftOut())
