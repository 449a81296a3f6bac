"""Key-encryption keys in AWS KMS. The extra `aws`.

boto3 blocks, so each call has a thread; there are few of them, for data keys are kept in memory. What a data key is
wrapped for is its encryption context, which CloudTrail shows.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

import boto3  # type: ignore[import-untyped]
from botocore.config import Config  # type: ignore[import-untyped]
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError  # type: ignore[import-untyped]
from botocore.exceptions import ConnectionError as NoConnection

from chandlery.model.faults import ConfigurationFault
from chandlery.store.sealing.providers.key_provider import KeyRefused, KeysAway

T = TypeVar("T")

_CALLS: Final = 4
_CONNECT_SECONDS: Final = 2.0
_READ_SECONDS: Final = 3.0
_FIRST_SERVER_ERROR: Final = 500
_PASSING: Final = frozenset(
    {
        *("ThrottlingException", "Throttling", "RequestLimitExceeded", "LimitExceededException"),
        *("KMSInternalException", "DependencyTimeoutException", "KeyUnavailableException", "ServiceUnavailable"),
        *("ExpiredTokenException", "RequestExpired"),
    }
)
"""What another attempt may not meet any more."""


class AwsKms:
    """One symmetric key in AWS KMS that wraps; whatever KMS lets us use unwraps."""

    def __init__(self, key_id: str, *, region: str | None = None, endpoint_url: str | None = None) -> None:
        """Raises ConfigurationFault. Nothing is called yet."""
        if not key_id:
            raise ConfigurationFault("CHANDLERY_AWS_KMS_KEY_ID is not set: name the key in AWS KMS that is to be used")
        self._key_id = key_id
        self._threads = ThreadPoolExecutor(_CALLS, thread_name_prefix="aws-kms")
        # The data keys have patience of their own.
        config = Config(connect_timeout=_CONNECT_SECONDS, read_timeout=_READ_SECONDS, retries={"total_max_attempts": 1})
        try:
            self._client: Any = boto3.client("kms", region_name=region, endpoint_url=endpoint_url, config=config)
        except (BotoCoreError, ValueError) as error:
            raise ConfigurationFault(f"AWS KMS cannot be used: {error}") from None

    async def key_in_use(self) -> str:
        """The key's ARN."""
        told = await self._call(lambda: self._client.describe_key(KeyId=self._key_id))
        return str(told["KeyMetadata"]["Arn"])

    async def wrap(self, plain: bytes, *, context: str) -> tuple[str, bytes]:
        """Raises KeysAway, KeyRefused."""
        told = await self._call(
            lambda: self._client.encrypt(KeyId=self._key_id, Plaintext=plain, EncryptionContext=_context(context))
        )
        return str(told["KeyId"]), bytes(told["CiphertextBlob"])

    async def unwrap(self, key: str, blob: bytes, *, context: str) -> bytes:
        """Raises KeysAway, KeyRefused."""
        told = await self._call(
            lambda: self._client.decrypt(KeyId=key, CiphertextBlob=blob, EncryptionContext=_context(context))
        )
        return bytes(told["Plaintext"])

    async def close(self) -> None:
        """Wait for no call that is under way."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._client.close()

    async def _call(self, call: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, call)
        except ClientError as error:
            raise _told(error, self._key_id) from None
        except (NoConnection, HTTPClientError) as error:
            raise KeysAway(f"AWS KMS cannot be reached ({type(error).__name__})") from None
        except BotoCoreError as error:
            # No credentials, no region: they may still come, as those of an instance do.
            raise KeysAway(f"AWS KMS cannot be asked: {error}") from None


def _context(context: str) -> dict[str, str]:
    return {"chandlery": context}


def _told(error: ClientError, key_id: str) -> KeysAway | KeyRefused:
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _PASSING or status >= _FIRST_SERVER_ERROR:
        return KeysAway(f"AWS KMS cannot do it now ({code or status})")
    return KeyRefused(f"AWS KMS refuses the use of the key {key_id!r} ({code or status})")
