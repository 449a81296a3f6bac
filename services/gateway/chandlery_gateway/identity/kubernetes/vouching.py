"""Which authority has signed a client certificate: decided by verification against its certificates alone.

The handshake has verified that one of all known authorities vouches for it; which one matters, since the front proxy's
lets speak for anybody, and the cluster's for the owner of the certificate alone. The name of an issuer is a claim that
any authority may make.
"""

import re
from collections import OrderedDict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.x509 import verification

from chandlery.model.faults import ConfigurationFault
from chandlery.process.http.presented_certificates import PresentedCertificate

_MOST_REMEMBERED: Final = 1024
_REMEMBERED: Final = timedelta(minutes=1)
"""So long an authority that expires in the meantime goes on vouching; the certificate itself is looked at each time."""
_MOST_AUTHORITIES: Final = 100
_CERTIFICATE: Final = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


class Authorities:
    """Certificates that all vouch for the same: none, if there are none."""

    def __init__(self, pem: str, *, source: str) -> None:
        """`source` is where they were found. Raises ConfigurationFault that names it."""
        try:
            found = x509.load_pem_x509_certificates(pem.encode()) if pem.strip() else []
        except ValueError as error:
            raise ConfigurationFault(f"{source} contains no readable PEM certificate") from error
        if len(found) > _MOST_AUTHORITIES:
            raise ConfigurationFault(f"{source} contains more than {_MOST_AUTHORITIES} certificates")
        self.pem = "\n".join((*_CERTIFICATE.findall(pem), "")) if found else ""
        """They alone, without what is written between them."""
        self._store = verification.Store(found) if found else None
        self._known: OrderedDict[tuple[str, int], tuple[datetime, bool]] = OrderedDict()

    def __bool__(self) -> bool:
        return self._store is not None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Authorities) and other.pem == self.pem

    def __hash__(self) -> int:
        return hash(self.pem)

    def vouch_for(self, shown: PresentedCertificate, now: datetime) -> bool:
        """Whether one of them has signed it, or whoever has."""
        if self._store is None or not shown.chain:
            return False
        key = (shown.fingerprint, len(shown.chain))
        known = self._known.get(key)
        if known is not None and known[0] <= now < known[0] + _REMEMBERED:
            return known[1]
        answer = _is_verified(self._store, shown.chain, now)
        self._known.pop(key, None)
        self._known[key] = (now, answer)
        if len(self._known) > _MOST_REMEMBERED:
            self._known.popitem(last=False)
        return answer


def _is_verified(store: verification.Store, chain: Sequence[bytes], now: datetime) -> bool:
    anything = verification.ExtensionPolicy.permit_all()
    # What is for browsers is left out: certificates of clusters name nobody but in their subject.
    authority = anything.require_present(x509.BasicConstraints, verification.Criticality.AGNOSTIC, _check_authority)
    policy = verification.PolicyBuilder().store(store).time(now)
    verifier = policy.extension_policies(ca_policy=authority, ee_policy=anything).build_client_verifier()
    try:
        leaf, *issuers = map(x509.load_der_x509_certificate, chain)
        verifier.verify(leaf, issuers)
    except (verification.VerificationError, ValueError, TypeError):
        return False
    return True


def _check_authority(
    _policy: verification.Policy, _certificate: x509.Certificate, constraints: x509.BasicConstraints
) -> None:
    if not constraints.ca:
        raise ValueError("a certificate that is no authority's vouches for nobody")
