"""PKCS#11 on SoftHSM2: keys that stay in the token wrap data keys."""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pkcs11
import pytest
from pydantic import SecretStr

from chandlery.model.faults import ConfigurationFault
from chandlery.model.objects import kinds
from chandlery.settings.settings import Settings
from chandlery.store.connection.engine import open_engine
from chandlery.store.database import Database
from chandlery.store.sealing.providers.key_provider import KeyProviders, KeyRefused
from chandlery.store.sealing.providers.pkcs11_token import Pkcs11Token
from chandlery.store.sealing.sealing import Keyring
from machine.console import MachineFault
from machine.softhsm import softhsm
from tests.integration.store.sealing.key_hall import BRIEF, DATA, insert_secret

PIN, TOKEN = "1234", "chandlery"


@dataclass(frozen=True)
class Hsm:
    """A token with two AES keys."""

    module: Path

    def provider(self, *, key: str = "first", pin: str = PIN, token: str = TOKEN) -> Pkcs11Token:
        return Pkcs11Token(self.module, token=token, pin=pin, key=key)


@pytest.fixture(scope="module")
def hsm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hsm]:
    try:
        software = softhsm()
    except MachineFault as fault:
        pytest.skip(str(fault))
    folder = tmp_path_factory.mktemp("hsm")
    (folder / "tokens").mkdir()
    configuration = folder / "softhsm2.conf"
    configuration.write_text(f"directories.tokendir = {folder}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", str(configuration))
        new = ["--init-token", "--free", "--label", TOKEN, "--so-pin", "5678", "--pin", PIN]
        subprocess.run([software.program, "--module", software.module, *new], env=os.environ, check=True, timeout=60)
        _make_keys(software.module)
        yield Hsm(software.module)


def _make_keys(module: Path) -> None:
    with pkcs11.lib(str(module)).get_token(token_label=TOKEN).open(rw=True, user_pin=PIN) as session:
        for label in ("first", "second"):
            session.generate_key(pkcs11.KeyType.AES, 256, label=label, store=True)


async def test_what_is_wrapped_unwraps_for_the_same_row_alone_with_whichever_key_wrapped_it(hsm: Hsm) -> None:
    first, second = hsm.provider(), hsm.provider(key="second")
    key, blob = await first.wrap(b"k" * 32, context="chandlery/data/one")
    assert [key, await first.key_in_use()] == ["first", "first"]
    assert b"k" * 32 not in blob
    assert await second.unwrap(key, blob, context="chandlery/data/one") == b"k" * 32
    for wrong in ({"key": "second", "context": "chandlery/data/one"}, {"key": "first", "context": "other"}):
        with pytest.raises(KeyRefused):
            await first.unwrap(blob=blob, **wrong)
    await first.close()
    await second.close()


async def test_what_is_wrong_is_refused_with_a_sentence_that_shows_no_pin(hsm: Hsm) -> None:
    with pytest.raises(KeyRefused, match=r"no such AES key in the PKCS#11 token 'chandlery'"):
        await hsm.provider(key="third").wrap(b"k" * 32, context="c")
    with pytest.raises(KeyRefused, match=r"refuses .NoSuchToken."):
        await hsm.provider(token="other").wrap(b"k" * 32, context="c")
    with pytest.raises(ConfigurationFault, match="cannot be loaded"):
        Pkcs11Token(Path("/nowhere.so"), token=TOKEN, pin=PIN, key="first")
    with pytest.raises(ConfigurationFault, match=r"needs more settings: CHANDLERY_PKCS11_TOKEN, CHANDLERY_PKCS11_KEY$"):
        Pkcs11Token.of_settings(Settings(pkcs11_module=hsm.module, pkcs11_pin=SecretStr(PIN)))
    assert PIN not in repr(vars(hsm.provider()))


async def test_a_database_is_sealed_with_data_keys_that_the_token_unwraps(hsm: Hsm, database_url: str) -> None:
    for _ in range(2):
        database = Database(
            open_engine(database_url, application_name="chandlery-test"),
            Keyring([]),
            providers=KeyProviders({"pkcs11": hsm.provider()}),
            limits=BRIEF,
        )
        await database.data_keys.start()
        await database.run(lambda unit: unit.seals.check())
        if not await database.run(lambda unit: unit.objects.get(kinds.SECRET, "ns", "login")):
            await insert_secret(database)
        found = await database.run(lambda unit: unit.objects.get(kinds.SECRET, "ns", "login"))
        assert getattr(found, "data", None) == DATA
        await database.close()
