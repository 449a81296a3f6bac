"""The folder of the all-in-one: private, locked, and the same at every start."""

import base64
import os
import sqlite3
import stat
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from chandlery.model.faults import ConfigurationFault
from chandlery.process.commands.local_data_dir import DataDirectory, open_data_directory
from chandlery.store.sealing.sealing import Keyring, SealPlace


def test_folder_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    directory = opened(tmp_path / "deep" / "data")
    assert mode(directory.path) == 0o700


def test_every_file_with_a_secret_is_for_its_owner_alone(tmp_path: Path) -> None:
    directory = opened(tmp_path / "data")
    directory.encryption_keys()
    directory.token()
    directory.write_kubeconfig("127.0.0.1", 8080)
    for name in ("encryption-key", "token", "tls.key", "tls.crt", "kubeconfig"):
        assert mode(directory.path / name) == 0o600, name


def test_file_that_was_readable_to_others_is_not_after_it_is_written_again(tmp_path: Path) -> None:
    directory = opened(tmp_path / "data")
    directory.kubeconfig.write_text("old")
    directory.kubeconfig.chmod(0o644)
    directory.write_kubeconfig("127.0.0.1", 8080)
    assert mode(directory.kubeconfig) == 0o600


def test_a_key_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = opened(tmp_path / "data")
    key = directory.path / "encryption-key"
    written = []

    def note(descriptor: int) -> None:
        written.append((Path(f"/proc/self/fd/{descriptor}").readlink().name, key.exists()))

    monkeypatch.setattr(os, "fsync", note)

    directory.encryption_keys()

    assert written == [(".encryption-key.new", False), ("data", True)]


def test_second_start_is_refused_while_the_first_runs(tmp_path: Path) -> None:
    first = opened(tmp_path / "data")
    with pytest.raises(ConfigurationFault, match="in use by another `chandlery up`; choose another --data-dir"):
        open_data_directory(tmp_path / "data")
    first.lock.close()
    assert opened(tmp_path / "data").path == first.path


def test_folder_that_cannot_be_made_is_refused_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ConfigurationFault, match=r"the folder .*file/data cannot be used: Not a directory"):
        open_data_directory(tmp_path / "file" / "data")


def test_token_keys_and_certificate_are_the_same_at_every_start(tmp_path: Path) -> None:
    first = opened(tmp_path / "data")
    before = everything(first)
    first.lock.close()
    assert everything(opened(tmp_path / "data")) == before


def test_two_folders_have_nothing_in_common(tmp_path: Path) -> None:
    pairs = zip(everything(opened(tmp_path / "a")), everything(opened(tmp_path / "b")), strict=True)
    assert all(one != other for one, other in pairs)


def test_encryption_key_is_one_that_the_store_reads(tmp_path: Path) -> None:
    keyring = Keyring.parse(opened(tmp_path / "data").encryption_keys())
    sealed = keyring.seal({"a": 1}, bound_to=SealPlace("Secret", "ns", "a", "b"))
    assert keyring.open(sealed, bound_to=SealPlace("Secret", "ns", "a", "b")) == {"a": 1}


def test_kubeconfig_leads_to_the_gateway_with_token_and_authority(tmp_path: Path) -> None:
    directory = opened(tmp_path / "data")
    directory.write_kubeconfig("127.0.0.1", 8443)
    config: Any = yaml.safe_load(directory.kubeconfig.read_text())
    (context,) = [each["context"] for each in config["contexts"] if each["name"] == config["current-context"]]
    (cluster,) = [each["cluster"] for each in config["clusters"] if each["name"] == context["cluster"]]
    (user,) = [each["user"] for each in config["users"] if each["name"] == context["user"]]
    assert (config["apiVersion"], config["kind"]) == ("v1", "Config")
    assert cluster["server"] == "https://127.0.0.1:8443"
    assert base64.b64decode(cluster["certificate-authority-data"]) == directory.certificate().read_bytes()
    assert user == {"token": directory.token()}
    assert context["namespace"] == "default"


def test_certificate_is_made_again_when_its_key_is_lost(tmp_path: Path) -> None:
    directory = opened(tmp_path / "data")
    before = directory.certificate().read_text()
    directory.certificate_key.unlink()
    assert directory.certificate().read_text() != before
    assert directory.certificate_key.exists()


def test_database_is_in_the_folder(tmp_path: Path) -> None:
    assert opened(tmp_path / "data").database_url == f"sqlite:///{tmp_path / 'data'}/chandlery.db"


def test_database_and_what_lies_beside_it_are_for_their_owner_alone(tmp_path: Path) -> None:
    directory = opened(tmp_path / "data")
    connection = sqlite3.connect(directory.database)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("CREATE TABLE a (b)")
    modes = {path.name: mode(path) for path in directory.path.iterdir()}
    connection.close()
    assert modes == dict.fromkeys(("lock", "chandlery.db", "chandlery.db-wal", "chandlery.db-shm"), 0o600)


def test_database_that_others_could_read_is_for_its_owner_alone_from_now_on(tmp_path: Path) -> None:
    database = opened(tmp_path / "data").database
    database.chmod(0o644)
    _open.pop().lock.close()
    opened(tmp_path / "data")
    assert mode(database) == 0o600


@pytest.mark.parametrize("ending", ["-wal", "-shm", "-journal"])
def test_what_a_killed_process_left_beside_the_database_is_for_its_owner_alone_and_no_link(
    tmp_path: Path, ending: str
) -> None:
    database = opened(tmp_path / "data").database
    left = database.with_name(database.name + ending)
    left.write_text("pages")
    left.chmod(0o644)
    _open.pop().lock.close()
    opened(tmp_path / "data")
    assert (mode(left), left.read_text()) == (0o600, "pages")
    _open.pop().lock.close()
    target = left.rename(tmp_path / "target")
    left.symlink_to(target)
    with pytest.raises(ConfigurationFault, match=rf"{ending} is a symbolic link"):
        open_data_directory(tmp_path / "data")
    assert target.read_text() == "pages"


@pytest.mark.parametrize("name", ["token", "encryption-key", "tls.key", "tls.crt"])
def test_empty_secret_is_refused_by_its_file_with_the_way_out(tmp_path: Path, name: str) -> None:
    directory = opened(tmp_path / "data")
    everything(directory)
    path = directory.path / name
    path.write_text("\n")
    with pytest.raises(ConfigurationFault, match=rf"{path} is empty. Restore .*: rm {path}"):
        everything(directory)


@pytest.mark.parametrize("name", ["token", "encryption-key", "tls.key", "tls.crt"])
@pytest.mark.parametrize("lax", [0o666, 0o644, 0o640, 0o602])
def test_secret_that_others_had_a_hand_in_is_refused_with_the_way_out(tmp_path: Path, name: str, lax: int) -> None:
    directory = opened(tmp_path / "data")
    everything(directory)
    path = directory.path / name
    path.chmod(lax)
    with pytest.raises(ConfigurationFault, match=rf"other users may read or change .*: chmod 600 {path}"):
        everything(directory)
    path.chmod(0o600)
    everything(directory)


@pytest.mark.parametrize("name", ["lock", "chandlery.db"])
def test_link_in_the_folder_is_refused_and_its_target_stays(tmp_path: Path, name: str) -> None:
    target = tmp_path / "target"
    target.write_text("precious")
    target.chmod(0o644)
    (tmp_path / "data").mkdir(mode=0o700)
    (tmp_path / "data" / name).symlink_to(target)
    with pytest.raises(ConfigurationFault, match=rf"{name} is a symbolic link and is not followed. .*: rm "):
        open_data_directory(tmp_path / "data")
    assert (target.read_text(), mode(target)) == ("precious", 0o644)


@pytest.mark.parametrize("name", ["token", "encryption-key", "tls.key"])
def test_link_in_the_place_of_a_secret_is_refused(tmp_path: Path, name: str) -> None:
    directory = opened(tmp_path / "data")
    everything(directory)
    target = (directory.path / name).rename(tmp_path / "elsewhere")
    (directory.path / name).symlink_to(target)
    with pytest.raises(ConfigurationFault, match="is a symbolic link"):
        everything(directory)


def test_link_in_the_place_of_the_kubeconfig_goes_and_its_target_stays(tmp_path: Path) -> None:
    directory = opened(tmp_path / "data")
    target = tmp_path / "target"
    target.write_text("precious")
    directory.kubeconfig.symlink_to(target)
    directory.path.joinpath(".kubeconfig.new").symlink_to(target)
    directory.write_kubeconfig("127.0.0.1", 8080)
    assert not directory.kubeconfig.is_symlink()
    assert target.read_text() == "precious"


def test_pipe_in_the_place_of_a_secret_is_refused_at_once(tmp_path: Path) -> None:
    directory = opened(tmp_path / "data")
    os.mkfifo(directory.path / "token")
    with pytest.raises(ConfigurationFault, match="token is not a file; move it away"):
        directory.token()


@pytest.mark.parametrize("lax", [0o777, 0o770, 0o1777, 0o702])
def test_folder_that_others_may_write_into_is_refused_with_the_way_out(tmp_path: Path, lax: int) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data").chmod(lax)
    with pytest.raises(ConfigurationFault, match=r"other users may write to the folder .*: chmod 700 "):
        open_data_directory(tmp_path / "data")


@pytest.mark.parametrize("name", ["", "lock", "token", "chandlery.db"])
def test_what_belongs_to_another_user_is_refused(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    everything(opened(tmp_path / "data"))
    _open.pop().lock.close()
    foreign = (tmp_path / "data" / name).stat().st_ino

    def seen(honest: Callable[..., os.stat_result], *arguments: Any, **options: Any) -> os.stat_result:
        found = honest(*arguments, **options)
        if found.st_ino != foreign:
            return found
        return os.stat_result((*found[:4], 4321, *found[5:]))

    monkeypatch.setattr(os, "stat", partial(seen, os.stat))
    monkeypatch.setattr(os, "fstat", partial(seen, os.fstat))
    with pytest.raises(ConfigurationFault, match=r"belongs to another user \(uid 4321\); choose another --data-dir"):
        everything(opened(tmp_path / "data"))


_open: list[DataDirectory] = []


@pytest.fixture(autouse=True)
def _closed_afterwards() -> Any:
    yield
    while _open:
        _open.pop().lock.close()


def opened(path: Path) -> DataDirectory:
    directory = open_data_directory(path)
    _open.append(directory)
    return directory


def everything(directory: DataDirectory) -> tuple[str, ...]:
    certificate = directory.certificate().read_text()
    return directory.token(), directory.encryption_keys(), certificate, directory.certificate_key.read_text()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)
