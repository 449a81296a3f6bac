# ruff: noqa: INP001 - part of a script
"""All runbooks, by the name of their alert."""

from collections.abc import Mapping
from typing import Final

from docs.runbooks.api import API
from docs.runbooks.brokers import BROKERS
from docs.runbooks.messaging import MESSAGING
from docs.runbooks.processes import PROCESSES
from docs.runbooks.runbook import Runbook
from docs.runbooks.store import STORE
from docs.runbooks.work import WORK

EVERY_RUNBOOK: Final[Mapping[str, Runbook]] = {**API, **BROKERS, **WORK, **MESSAGING, **STORE, **PROCESSES}
