"""Which providers of keys the settings name, and their keys. `key_choice` asks.

Built-in ones are imported only when they are named: their libraries are extras.
"""

from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Final

from chandlery.model.faults import ConfigurationFault
from chandlery.model.text.names import nearest_names
from chandlery.settings.checks.extras import extra
from chandlery.settings.settings import Settings
from chandlery.store.sealing.providers.key_provider import ENTRY_POINTS, LISTED, KeyProvider, KeyProviders
from chandlery.store.sealing.providers.listed_keys import ListedKeys
from chandlery.store.sealing.sealing import Keyring

AWS_KMS: Final = "aws-kms"
PKCS11: Final = "pkcs11"


def needs_listed_keys(settings: Settings) -> bool:
    """Whether a process cannot do without keys in its settings."""
    return _names(settings) == [LISTED] and settings.encryption_keys_file is None


def make_providers(settings: Settings, keyring: Keyring) -> KeyProviders:
    """In the order of the settings; keys that are listed decrypt in any case. Raises ConfigurationFault."""
    names = _names(settings)
    if not keyring.name and LISTED in names:
        raise ConfigurationFault(
            f"CHANDLERY_ENCRYPTION_PROVIDERS names {LISTED!r}, and there is no key: set CHANDLERY_ENCRYPTION_KEYS or "
            "CHANDLERY_ENCRYPTION_KEYS_FILE"
        )
    if keyring.name and LISTED not in names:
        names.append(LISTED)
    return KeyProviders({name: _made(name, settings, keyring) for name in names})


def _names(settings: Settings) -> list[str]:
    named = (name.strip() for name in settings.encryption_providers.split(","))
    return list(dict.fromkeys(name for name in named if name)) or [LISTED]


def _made(name: str, settings: Settings, keyring: Keyring) -> KeyProvider:
    if name == LISTED:
        return ListedKeys(keyring)
    if name == AWS_KMS:
        return _aws_kms(settings)
    if name == PKCS11:
        return _pkcs11(settings)
    announced = entry_points(group=ENTRY_POINTS)
    if name in announced.names:
        make: Callable[[Settings], KeyProvider] = announced[name].load()
        return make(settings)
    known = [LISTED, AWS_KMS, PKCS11, *sorted(announced.names)]
    near = nearest_names(name, known, most=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
    raise ConfigurationFault(f"CHANDLERY_ENCRYPTION_PROVIDERS: there is no provider of keys {name!r}; {hint}")


def _aws_kms(settings: Settings) -> KeyProvider:
    with extra("aws", asked_by=_asked_by(AWS_KMS)):
        from chandlery.store.sealing.providers.aws_kms import AwsKms  # noqa: PLC0415 - its library is an extra
    return AwsKms(settings.aws_kms_key_id, region=settings.aws_kms_region, endpoint_url=settings.aws_kms_endpoint_url)


def _pkcs11(settings: Settings) -> KeyProvider:
    with extra("pkcs11", asked_by=_asked_by(PKCS11)):
        from chandlery.store.sealing.providers.pkcs11_token import Pkcs11Token  # noqa: PLC0415 - its library is an extra
    return Pkcs11Token.of_settings(settings)


def _asked_by(name: str) -> str:
    return f"CHANDLERY_ENCRYPTION_PROVIDERS names {name!r}"
