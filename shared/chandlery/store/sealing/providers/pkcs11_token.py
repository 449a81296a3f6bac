"""Key-encryption keys in a hardware module, by PKCS#11. The extra `pkcs11`.

The keys never leave the token: it encrypts a data key with AES-GCM itself. Calls block, and a session serves one at a
time, so all of them have one thread. A session that breaks is opened anew by the next call.
"""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar

import pkcs11
from pkcs11 import exceptions
from pydantic import SecretStr

from chandlery.model.faults import ConfigurationFault
from chandlery.settings.settings import Settings
from chandlery.store.sealing.providers.key_provider import KeyRefused, KeysAway

T = TypeVar("T")

_NONCE_BYTES: Final = 12
_GCM: Final = pkcs11.Mechanism.AES_GCM
_PROBE: Final = bytes(16)
_WRONG: Final = (
    exceptions.PinIncorrect,
    exceptions.PinInvalid,
    exceptions.PinLocked,
    exceptions.PinExpired,
    exceptions.NoSuchToken,
    exceptions.EncryptedDataInvalid,
    exceptions.EncryptedDataLenRange,
    exceptions.MechanismInvalid,
    exceptions.MechanismParamInvalid,
)
"""Waiting does not help."""


class Pkcs11Token:
    """AES keys in one token, by their labels; the one that is named wraps."""

    def __init__(self, module: Path, *, token: str, pin: str, key: str) -> None:
        """Raises ConfigurationFault if the module cannot be loaded."""
        try:
            self._library: Any = pkcs11.lib(str(module))
        except (exceptions.PKCS11Error, RuntimeError, OSError) as error:
            raise ConfigurationFault(f"the PKCS#11 module {module} cannot be loaded ({type(error).__name__})") from None
        self._token = token
        self._key = key
        self._pin = SecretStr(pin)
        self._session: Any = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="pkcs11")

    @classmethod
    def of_settings(cls, settings: Settings) -> "Pkcs11Token":
        """Raises ConfigurationFault that names what is missing."""
        module, token, key = settings.pkcs11_module, settings.pkcs11_token, settings.pkcs11_key
        pin = _pin(settings)
        needed = {"PKCS11_MODULE": module, "PKCS11_TOKEN": token, "PKCS11_KEY": key, "PKCS11_PIN": pin}
        missing = [f"CHANDLERY_{name}" for name, value in needed.items() if not value]
        if missing or module is None:
            raise ConfigurationFault(f"the provider of keys 'pkcs11' needs more settings: {', '.join(missing)}")
        return cls(module, token=token, pin=pin, key=key)

    async def key_in_use(self) -> str:
        """The label of the key that wraps."""
        return self._key

    async def wrap(self, plain: bytes, *, context: str) -> tuple[str, bytes]:
        """Raises KeysAway, KeyRefused."""
        nonce = os.urandom(_NONCE_BYTES)
        blob = await self._call(
            lambda session: _key(session, self._key).encrypt(
                plain, mechanism=_GCM, mechanism_param=_params(nonce, context)
            )
        )
        return self._key, nonce + bytes(blob)

    async def unwrap(self, key: str, blob: bytes, *, context: str) -> bytes:
        """Raises KeysAway, KeyRefused."""
        params = _params(blob[:_NONCE_BYTES], context)

        def decrypted(session: Any) -> bytes:
            return bytes(_key(session, key).decrypt(blob[_NONCE_BYTES:], mechanism=_GCM, mechanism_param=params))

        try:
            return await self._call(decrypted)
        except KeysAway:
            # SoftHSM says only "general error" of what does not open. If the key works, that is it.
            fresh = _params(os.urandom(_NONCE_BYTES), context)
            await self._call(lambda session: _key(session, key).encrypt(_PROBE, mechanism=_GCM, mechanism_param=fresh))
            raise KeyRefused(f"the key {key!r} of the PKCS#11 token {self._token!r} does not open it") from None

    async def close(self) -> None:
        """End the session."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._drop)
        self._thread.shutdown(wait=False)

    async def _call(self, call: Callable[[Any], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: self._called(call))

    def _called(self, call: Callable[[Any], T]) -> T:
        try:
            if self._session is None:
                self._session = self._opened()
            return call(self._session)
        except exceptions.NoSuchKey:
            raise KeyRefused(f"there is no such AES key in the PKCS#11 token {self._token!r}") from None
        except _WRONG as error:
            self._drop()
            raise KeyRefused(f"the PKCS#11 token {self._token!r} refuses ({type(error).__name__})") from None
        except exceptions.PKCS11Error as error:
            self._drop()
            raise KeysAway(f"the PKCS#11 token {self._token!r} cannot do it now ({type(error).__name__})") from None

    def _opened(self) -> Any:
        token = self._library.get_token(token_label=self._token)
        try:
            return token.open(user_pin=self._pin.get_secret_value())
        except exceptions.UserAlreadyLoggedIn:
            # The login is the whole process's: somebody else in it uses the token, too.
            return token.open()

    def _drop(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            try:
                session.close()
            except exceptions.PKCS11Error:
                # It has gone by itself.
                return


def _key(session: Any, label: str) -> Any:
    return session.get_key(object_class=pkcs11.ObjectClass.SECRET_KEY, key_type=pkcs11.KeyType.AES, label=label)


def _params(nonce: bytes, context: str) -> Any:
    return pkcs11.GCMParams(nonce, context.encode(), 128)


def _pin(settings: Settings) -> str:
    if settings.pkcs11_pin_file is None:
        return settings.pkcs11_pin.get_secret_value() if settings.pkcs11_pin else ""
    try:
        return settings.pkcs11_pin_file.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise ConfigurationFault(
            f"CHANDLERY_PKCS11_PIN_FILE names {settings.pkcs11_pin_file}, which cannot be read ({type(error).__name__})"
        ) from None
