"""`chandlery new-key` prints only what every process reads."""

import pytest
from click.testing import CliRunner

from chandlery.model.faults import ConfigurationFault
from chandlery.process.commands.keys.key_command import make_key
from chandlery.store.sealing.sealing import Keyring


@pytest.mark.parametrize("name", ["key1", "2026-11", "a.b_c", "k" * 31])
def test_printed_key_is_one_that_every_process_reads(name: str) -> None:
    printed = CliRunner().invoke(make_key, [name]).output
    assert Keyring.parse(printed).name == name


@pytest.mark.parametrize("name", ["a,b:c", "a:b", "a,b", "", " ", "k" * 32, "ключ", "a\nb"])
def test_name_that_no_process_could_read_is_refused_with_a_name_that_it_could(name: str) -> None:
    result = CliRunner().invoke(make_key, [name])
    assert isinstance(result.exception, ConfigurationFault)
    assert result.output == ""
    assert "chandlery new-key key2" in result.exception.message
