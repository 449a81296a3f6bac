"""The settings of encryption at rest: where key-encryption keys are, how far a data key goes, what else is sealed."""

from pathlib import Path

from pydantic import BaseModel, Field, NonNegativeFloat, PositiveFloat, SecretStr


class EncryptionSettings(BaseModel):
    """A part of `Settings`."""

    encryption_keys: SecretStr = Field(
        default=SecretStr(""),
        description="`name:base64` of 32 bytes, separated by commas. The first encrypts, all decrypt.",
    )
    encryption_keys_file: Path | None = Field(
        default=None,
        description="File with more of them, one on each line, which come before the others. Read again when it "
        "changes.",
    )
    encryption_providers: str = Field(
        default="keys",
        description="Where key-encryption keys are: `keys` (the two settings before), `aws-kms`, `pkcs11`, or what a "
        "package announces; separated by commas. The first encrypts data keys, all decrypt them.",
    )
    data_key_writes: int = Field(
        default=1 << 24,
        ge=16,
        le=1 << 30,
        description="How many texts are encrypted with one data key before a new one is made.",
    )
    data_key_days: PositiveFloat = Field(
        default=7.0, description="How long a data key is used before a new one is made."
    )
    data_key_cache_seconds: PositiveFloat = Field(
        default=3600.0,
        description="How long data keys that have been decrypted stay in memory while no provider can be reached. "
        "After that what they encrypt cannot be read (503).",
    )
    data_key_wait_seconds: NonNegativeFloat = Field(
        default=5.0, description="How long a request waits for a data key before it is answered 503."
    )
    aws_kms_key_id: str = Field(
        default="",
        description="Id, ARN or alias of the AWS KMS key for `aws-kms`. Credentials come as boto3 finds them.",
    )
    aws_kms_region: str | None = Field(default=None, description="Region of AWS KMS. Default: as boto3 finds it.")
    aws_kms_endpoint_url: str | None = Field(
        default=None, description="Address of AWS KMS, if it is not the usual one."
    )
    pkcs11_module: Path | None = Field(default=None, description="Shared library of the PKCS#11 module for `pkcs11`.")
    pkcs11_token: str = Field(default="", description="Label of the PKCS#11 token.")
    pkcs11_pin: SecretStr | None = Field(default=None, description="User PIN of the token.")
    pkcs11_pin_file: Path | None = Field(default=None, description="File with the user PIN, instead of it.")
    pkcs11_key: str = Field(
        default="",
        description="Label of the AES key in the token that encrypts data keys. Others there still decrypt theirs.",
    )
    seal_specs: bool = Field(
        default=False,
        description="Encrypt parameters, messages in conditions and events, and what brokers tell of operations, too. "
        "What is stored already: `chandlery keys reseal`.",
    )
