"""Settings of the log: how much, of what, in which form. Part of `Settings`."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field


class LogSettings(BaseModel):
    """What is logged, and how."""

    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="Lowest level to log.")
    log_levels: str = Field(
        default="",
        description="The same for single modules, packages or libraries: `name=level`, with commas between them, such "
        "as `chandlery.osb=debug,aiormq=warning`; see [Logs](logs.md#levels).",
    )
    log_levels_file: Path | None = Field(
        default=None,
        description="File with more of them, a line each, which win over log_levels. It is read again when it changes.",
    )
    log_requests: Literal["none", "writes", "all"] = Field(
        default="writes",
        description="Which API requests are logged, at info: none, those that change something, or all.",
    )
    log_format: Literal["json", "console"] = Field(
        default="json", description="Form of the log: `json` for machines, `console` for people."
    )
