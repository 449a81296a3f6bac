"""What browsers are told; part of `Settings`."""

from pydantic import BaseModel, Field, NonNegativeInt


class WebSettings(BaseModel):
    """Settings about answers that a browser may see."""

    hsts_seconds: NonNegativeInt = Field(
        default=31_536_000,
        description="How long a browser that came by TLS shall use TLS alone for this host name, other ports included "
        "(`Strict-Transport-Security`); 0 tells it nothing. Never sent over plain HTTP, nor where accept_plain_http "
        "is set.",
    )
