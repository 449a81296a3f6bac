"""Settings of the audit log: what is recorded, where it goes, how long it stays, and what happens when it cannot."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, PositiveFloat, PositiveInt


class AuditSettings(BaseModel):
    """Part of `Settings`."""

    audit_table: bool = Field(
        default=True,
        description="Keep the audit log in the database, where administrators list it with `kubectl get auditevents`.",
    )
    audit_log: str = Field(
        default="",
        description="Write the audit log as JSON lines, too: to this file, or to the standard output if it is `-`.",
    )
    audit_policy_file: Path | None = Field(
        default=None,
        description="Policy in the format of `audit.k8s.io/v1` that says what is recorded. Default: the metadata of "
        "everything but discovery. It is read again when it changes.",
    )
    audit_unwritable: Literal["count", "refuse"] = Field(
        default="count",
        description="When the audit log cannot be written: `count` what is lost and go on, or `refuse` requests (503) "
        "before they act. With `refuse` every request waits until its event is on disk.",
    )
    audit_hours: PositiveFloat = Field(
        default=720.0, description="How long the database keeps the events of the audit log."
    )
    audit_log_mebibytes: PositiveInt = Field(
        default=100, description="Size in MiB at which the file of the audit log is set aside and a new one is begun."
    )
    audit_log_files: PositiveInt = Field(
        default=10, description="How many files of the audit log are kept beside the one that is written."
    )
