"""Settings: where they come from, who wins, and what is said about bad ones."""

import re
from pathlib import Path

import pytest
from pydantic import SecretStr

from chandlery.model.faults import ConfigurationFault
from chandlery.settings.settings import PREFIX, Settings, load_settings, require

PASSWORD = "hunter2-of-the-database"


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """No setting comes from the environment that the tests run in."""
    for name in Settings.model_fields:
        monkeypatch.delenv(f"{PREFIX}{name.upper()}", raising=False)
    return monkeypatch


def write_file(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = folder / "chandlery.toml"
    path.write_text(text)
    monkeypatch.setenv(f"{PREFIX}CONFIG_FILE", str(path))
    return path


def test_settings_have_defaults_for_all_but_the_servers() -> None:
    settings = load_settings()
    assert settings.port == 8080
    with pytest.raises(ConfigurationFault, match=r"not set: CHANDLERY_DATABASE_URL, CHANDLERY_AMQP_URL$"):
        require(settings, "database_url", "port", "amqp_url")
    with pytest.raises(ConfigurationFault, match=r"not set: CHANDLERY_ENCRYPTION_KEYS; .*`chandlery new-key`"):
        require(settings, "encryption_keys")


def test_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHANDLERY_PORT", "9000")
    monkeypatch.setenv("CHANDLERY_DATABASE_URL", f"postgresql://me:{PASSWORD}@db/name")
    settings = load_settings()
    assert settings.port == 9000
    assert PASSWORD in settings.database_url.get_secret_value()
    require(settings, "database_url")


def test_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_file(tmp_path, 'port = 9001\nlog_level = "warning"\nlease_seconds = 2.5\n', monkeypatch)
    settings = load_settings()
    assert (settings.port, settings.log_level, settings.lease_seconds) == (9001, "warning", 2.5)


def test_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_file(tmp_path, 'port = 9001\nlog_level = "warning"\n', monkeypatch)
    monkeypatch.setenv("CHANDLERY_PORT", "9002")
    settings = load_settings()
    assert (settings.port, settings.log_level) == (9002, "warning")


def test_arguments_win_over_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_file(tmp_path, "port = 9001\n", monkeypatch)
    monkeypatch.setenv("CHANDLERY_PORT", "9002")
    assert load_settings(port=9003).port == 9003


def test_every_bad_setting_is_named_without_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    bad = {
        "PORT": "eighty-hunter2",
        "LOG_LEVEL": "loud-hunter2",
        "LEASE_SECONDS": "-7.25",
        "BROKER_CONCURRENCY": "0.0625",
        "ACCEPT_PLAIN_HTTP": "perhaps-hunter2",
    }
    for name, value in bad.items():
        monkeypatch.setenv(PREFIX + name, value)
    with pytest.raises(ConfigurationFault) as caught:
        load_settings()
    for name, value in bad.items():
        assert f"{PREFIX}{name}: " in caught.value.message
        assert value not in caught.value.message
    assert caught.value.__cause__ is None, "the cause would quote the values"


def test_bad_setting_of_the_file_is_named_by_its_key_without_its_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = 'port = "eighty-hunter2"\nlog_lvl = "hunter2"\nCHANDLERY_HOST = "h"\n[gateway]\nport = 1\n'
    path = write_file(tmp_path, text, monkeypatch)
    with pytest.raises(ConfigurationFault) as caught:
        load_settings()
    told = caught.value.message.split("; ")
    assert f"log_lvl in {path} is not a setting" in told
    assert "did you mean log_level?" in told
    assert f"CHANDLERY_HOST in {path} is not a setting" in told
    assert "write host" in told
    assert f"gateway in {path} is not a setting" in told
    assert any(each.startswith(f"port in {path}: Input should be a valid integer") for each in told)
    assert "hunter2" not in caught.value.message


def test_variable_that_wins_over_the_file_is_the_one_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_file(tmp_path, "port = 9001\n", monkeypatch)
    monkeypatch.setenv("CHANDLERY_PORT", "eighty")
    with pytest.raises(ConfigurationFault, match=r"^CHANDLERY_PORT: "):
        load_settings()


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("CHANDLERY_LOG_FROMAT", "; did you mean CHANDLERY_LOG_FORMAT?"),
        ("chandlery_log_fromat", "; did you mean CHANDLERY_LOG_FORMAT?"),
        ("CHANDLERY_PROB_PORT", "; did you mean CHANDLERY_PROBE_PORT?"),
        ("CHANDLERY_ZZZ", ""),
    ],
)
def test_unknown_variable_is_refused_with_the_nearest_real_name(
    name: str, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "hunter2")
    with pytest.raises(ConfigurationFault) as caught:
        load_settings()
    assert caught.value.message == f"{name} is not a setting{hint}"


def test_variables_that_kubernetes_compose_and_tests_set_stop_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    links = {
        "CHANDLERY_GATEWAY_SERVICE_HOST": "10.0.0.1",
        "CHANDLERY_GATEWAY_SERVICE_PORT": "8080",
        "CHANDLERY_GATEWAY_SERVICE_PORT_HTTP": "8080",
        "CHANDLERY_GATEWAY_PORT": "tcp://10.0.0.1:8080",
        "CHANDLERY_GATEWAY_PORT_8080_TCP": "tcp://10.0.0.1:8080",
        "CHANDLERY_GATEWAY_PORT_8080_TCP_ADDR": "10.0.0.1",
        "CHANDLERY_SERVICE_HOST": "10.0.0.1",
        "CHANDLERY_PORT": "tcp://10.0.0.1:8080",
        "CHANDLERY_PORT_8080_TCP": "tcp://10.0.0.1:8080",
        "CHANDLERY_PUBLISHED_PORT": "8080",
        "CHANDLERY_TEST_ANYTHING": "1",
        "OTHER_SETTING": "1",
    }
    for name, value in links.items():
        monkeypatch.setenv(name, value)
    assert load_settings().port == 8080


def test_file_that_names_another_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_file(tmp_path, 'config_file = "other.toml"', monkeypatch)
    with pytest.raises(ConfigurationFault) as caught:
        load_settings()
    assert caught.value.message == f"config_file in {path} has no effect: a configuration file cannot name another one"


def test_file_is_read_in_whatever_case_its_variable_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_file(tmp_path, "port = 8123", monkeypatch)
    monkeypatch.delenv("CHANDLERY_CONFIG_FILE")
    monkeypatch.setenv("chandlery_config_file", str(path))
    assert load_settings().port == 8123


def test_file_that_is_no_toml_is_refused_without_its_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_file(tmp_path, f'token = "{PASSWORD}\nport = 1', monkeypatch)
    with pytest.raises(ConfigurationFault, match=re.escape(f"{path} is not valid TOML")) as caught:
        load_settings()
    assert PASSWORD not in caught.value.message


def test_file_that_is_not_there_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHANDLERY_CONFIG_FILE", str(tmp_path / "nowhere.toml"))
    with pytest.raises(ConfigurationFault, match=r"CHANDLERY_CONFIG_FILE names .*nowhere\.toml, which is not a file"):
        load_settings()


@pytest.mark.parametrize("name", ["database_url", "amqp_url", "encryption_keys", "token"])
def test_secret_is_in_no_text_of_the_settings(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{PREFIX}{name.upper()}", f"scheme://user:{PASSWORD}@host/name")
    settings = load_settings()
    assert isinstance(getattr(settings, name), SecretStr)
    for text in (repr(settings), str(settings), settings.model_dump_json(), str(settings.model_dump())):
        assert PASSWORD not in text


def test_settings_cannot_be_changed_while_the_process_runs() -> None:
    settings = load_settings()
    with pytest.raises(ValueError, match="frozen"):
        settings.port = 1
