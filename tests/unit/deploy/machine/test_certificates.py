"""deploy/certificates.sh: makes what is missing, renews what ends soon, and leaves everything else alone."""

import os
import signal
import ssl
import stat
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.support.waiting import SOON, wait_for


class Machine:
    """The folders of one machine."""

    def __init__(self, root: Path, folder: Path) -> None:
        self._script = root / "deploy/certificates.sh"
        self.authority, self.certificates, self.wanted = folder / "authority", folder / "tls", folder / "list"
        self.want("# a remark", "", "gateway - DNS:catalog.example.com,IP:127.0.0.1", "bus - DNS:bus.example.com")

    def want(self, *lines: str) -> None:
        self.wanted.write_text("\n".join(lines) + "\n")

    def keep(self, **variables: str) -> subprocess.CompletedProcess[str]:
        command = [self._script, self.authority, self.certificates, self.wanted]
        return subprocess.run(command, env={**os.environ, **variables}, capture_output=True, text=True, check=False)

    def certificate(self, name: str) -> x509.Certificate:
        return x509.load_pem_x509_certificate((self.certificates / f"{name}.crt").read_bytes())

    def contents(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.certificates.iterdir()}


@pytest.fixture
def machine(root: Path, tmp_path: Path) -> Machine:
    return Machine(root, tmp_path)


def test_certificates_are_for_their_names_and_fit_key_and_authority(machine: Machine) -> None:
    assert machine.keep().returncode == 0
    found = machine.certificate("gateway")
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["catalog.example.com"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]
    # Not for clients: the gateway trusts this authority for those, too.
    usage = found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]
    authority = x509.load_pem_x509_certificate((machine.certificates / "ca.crt").read_bytes())
    found.verify_directly_issued_by(authority)
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(
        machine.certificates / "gateway.crt", machine.certificates / "gateway.key"
    )
    days = (found.not_valid_after_utc - datetime.now(UTC)) / timedelta(days=1)
    assert 89 < days <= 90


def test_nobody_else_may_read_a_key(machine: Machine) -> None:
    machine.keep()
    keys = [*machine.certificates.glob("*.key"), machine.authority / "ca.key"]
    assert len(keys) == 3
    assert {stat.S_IMODE(path.stat().st_mode) for path in keys} == {0o600}
    assert stat.S_IMODE((machine.certificates / "ca.crt").stat().st_mode) == 0o644


def test_what_is_good_is_left_as_it_is(machine: Machine) -> None:
    machine.keep()
    before = machine.contents()
    again = machine.keep()
    assert (again.returncode, again.stdout, machine.contents()) == (0, "", before)


def test_what_ends_soon_is_renewed_by_the_same_authority(machine: Machine) -> None:
    machine.keep(CERTIFICATE_DAYS="20")
    before = machine.contents()
    assert "made a certificate for gateway" in machine.keep(RENEW_DAYS="30").stdout
    after = machine.contents()
    assert after["ca.crt"] == before["ca.crt"]
    assert all(after[name] != before[name] for name in ("gateway.crt", "gateway.key", "bus.crt", "bus.key"))


def test_other_names_make_another_certificate_of_that_line_alone(machine: Machine) -> None:
    machine.keep()
    before = machine.contents()
    machine.want("gateway - DNS:catalog.example.com,DNS:new.example.com", "bus - DNS:bus.example.com")
    machine.keep()
    after = machine.contents()
    assert after["gateway.crt"] != before["gateway.crt"]
    assert after["bus.crt"] == before["bus.crt"]


def test_a_certificate_of_another_authority_is_replaced(machine: Machine) -> None:
    machine.keep()
    for path in machine.authority.iterdir():
        path.unlink()
    machine.keep()
    authority = x509.load_pem_x509_certificate((machine.certificates / "ca.crt").read_bytes())
    machine.certificate("gateway").verify_directly_issued_by(authority)


def test_the_last_line_needs_no_end(machine: Machine) -> None:
    machine.wanted.write_text("gateway - DNS:catalog.example.com\nbus - DNS:bus.example.com")
    assert machine.keep().returncode == 0
    assert (machine.certificates / "bus.crt").is_file()


def test_who_goes_on_for_ever_ends_when_told_to(machine: Machine, root: Path) -> None:
    """As the first process of a container, where a signal that nobody asks for is not delivered."""
    script = root / "deploy/certificates.sh"
    command: list[str | Path] = [script, machine.authority, machine.certificates, machine.wanted, "--every", "600"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        wait_for((machine.certificates / "bus.names").exists, bool, what="the last certificate")
        running.send_signal(signal.SIGTERM)
        assert running.wait(SOON) == 0
        # Nobody is left who has its standard output.
        assert running.stdout is not None
        assert "made a certificate for bus" in running.stdout.read()


@pytest.mark.parametrize("line", ["gateway DNS:a", "gateway - DNS:a DNS:b"], ids=["too little", "too much"])
def test_a_line_that_says_something_else_ends_it_with_one_sentence(machine: Machine, line: str) -> None:
    machine.want(line)
    found = machine.keep()
    assert (found.returncode, found.stderr.count("\n")) == (2, 1)
    assert "is not NAME OWNER NAMES" in found.stderr
