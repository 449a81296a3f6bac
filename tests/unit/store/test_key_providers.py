"""Which providers of keys the settings name: built-in ones, those of packages, and what is wrong with a name."""

import sys
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from types import ModuleType

import pytest
from pydantic import SecretStr

from chandlery.model.faults import ConfigurationFault
from chandlery.settings.settings import Settings
from chandlery.store.sealing.data_key_cache import DataKeyCache, DataKeyNeeded, KekName
from chandlery.store.sealing.providers import provider_choice
from chandlery.store.sealing.providers.key_provider import ENTRY_POINTS, KeyProviders, KeyRefused, WrappedKey
from chandlery.store.sealing.providers.listed_keys import KeyFile
from chandlery.store.sealing.providers.provider_choice import make_providers, needs_listed_keys
from chandlery.store.sealing.sealing import Keyring, new_key
from tests.integration.store.sealing.key_hall import Seconds, Vault

KEK = KekName("vault", "first")


def _providers(keys: str = "", **settings: object) -> KeyProviders:
    given = Settings(encryption_keys=SecretStr(keys), **settings)  # type: ignore[arg-type]
    return make_providers(given, Keyring(KeyFile(given.encryption_keys_file, keys).read()))


async def test_keys_of_the_settings_are_the_provider_unless_others_are_named() -> None:
    keys = f"{new_key('first')},{new_key('second')}"
    wrapped = await _providers(keys).wrap(b"k" * 32, context="here")
    assert wrapped.kek == KekName("keys", "first")
    turned = ",".join(reversed(keys.split(",")))
    assert await _providers(turned).unwrap(wrapped, context="here") == b"k" * 32
    with pytest.raises(KeyRefused, match="the key named 'first' is another one"):
        await _providers(turned).unwrap(wrapped, context="elsewhere")
    with pytest.raises(KeyRefused, match="'first', which is not configured"):
        await _providers(new_key("other")).unwrap(wrapped, context="here")


async def test_a_package_announces_a_provider_by_an_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("acme_vault")
    module.make = lambda settings: Vault(in_use=settings.cluster_id)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "acme_vault", module)
    announced = EntryPoint("acme", "acme_vault:make", ENTRY_POINTS)
    monkeypatch.setattr(provider_choice, "entry_points", lambda group: EntryPoints([announced]).select(group=group))

    providers = _providers(encryption_providers="acme", cluster_id="first")
    wrapped = await providers.wrap(b"k" * 32, context="here")
    assert wrapped.kek == KekName("acme", "first")
    assert await providers.unwrap(wrapped, context="here") == b"k" * 32
    with pytest.raises(ConfigurationFault, match="no provider of keys 'acne'; did you mean 'acme'"):
        _providers(encryption_providers="acne")


@pytest.mark.parametrize(("name", "module", "extra"), [("aws-kms", "boto3", "aws"), ("pkcs11", "pkcs11", "pkcs11")])
def test_a_library_that_is_missing_is_named_with_the_command_that_installs_it(
    name: str, module: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for loaded in [each for each in sys.modules if each.split(".")[-1] in ("aws_kms", "pkcs11_token")]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigurationFault, match=rf"pip install 'chandlery\[{extra}\]'"):
        _providers(encryption_providers=name)


def test_without_any_key_a_process_says_which_settings_are_missing() -> None:
    with pytest.raises(ConfigurationFault, match="set CHANDLERY_ENCRYPTION_KEYS or CHANDLERY_ENCRYPTION_KEYS_FILE"):
        _providers()
    with pytest.raises(ConfigurationFault, match="CHANDLERY_AWS_KMS_KEY_ID is not set"):
        _providers(encryption_providers="aws-kms")
    with pytest.raises(ConfigurationFault, match="CHANDLERY_PKCS11_MODULE, CHANDLERY_PKCS11_TOKEN"):
        _providers(encryption_providers="pkcs11")
    assert needs_listed_keys(Settings())
    assert not needs_listed_keys(Settings(encryption_providers="aws-kms"))


async def test_a_provider_that_is_not_named_any_more_is_told_by_name() -> None:
    wrapped = WrappedKey(KekName("vault", "first"), b"blob")
    with pytest.raises(KeyRefused, match="'vault', which CHANDLERY_ENCRYPTION_PROVIDERS does not name"):
        await _providers(new_key("first")).unwrap(wrapped, context="here")
    assert "blob" not in repr(wrapped)


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "has no key in it"), ("# nothing\n", "has no key in it"), ("first:AAAA", "is not of the form name:base64")],
)
def test_a_file_without_a_usable_key_is_refused(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text(text)
    with pytest.raises(ConfigurationFault, match=said):
        KeyFile(path, "").read()
    with pytest.raises(ConfigurationFault, match="cannot be read: No such file"):
        KeyFile(tmp_path / "none", "").read()


def test_the_cache_is_bounded_and_keeps_the_key_that_seals() -> None:
    cache = DataKeyCache(most=2)
    for key_id in ("a", "b", "c"):
        cache.put(key_id, bytes(32), KEK)
        if key_id == "a":
            cache.seal_with("a", writes=2, seconds=60)
    assert [cache.has(each) for each in "abc"] == [True, False, True]
    assert [cache.take()[0], cache.take()[0]] == ["a", "a"]
    with pytest.raises(DataKeyNeeded):
        cache.take()


def test_a_key_serves_no_longer_than_allowed_unless_its_key_encryption_key_is_in_reach() -> None:
    clock = Seconds()
    cache = DataKeyCache(seconds=10, clock=clock)
    cache.put("a", bytes(32), KEK)
    clock.now = 9
    cache.vouch(KekName("vault", "other"))
    cache.cipher("a")
    cache.vouch(KEK)
    clock.now = 18
    cache.cipher("a")
    clock.now = 20
    with pytest.raises(DataKeyNeeded) as needed:
        cache.cipher("a")
    assert needed.value.key_id == "a"
