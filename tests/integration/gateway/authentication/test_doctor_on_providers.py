"""`chandlery doctor` asks real identity providers for what they tell of themselves."""

import asyncio
from pathlib import Path

from chandlery.process.commands.doctor.check import Result, State
from tests.support.authority import Authority
from tests.support.doctor.doctor_runs import examined
from tests.support.oidc_issuer import AUDIENCE, LocalIssuer


async def look(issuer: LocalIssuer, authority: Path | None = None) -> Result:
    found = await examined(
        "identity-providers",
        oidc_issuer_url=issuer.url,
        oidc_client_id=AUDIENCE,
        oidc_ca_file=authority or issuer.ca_file,
    )
    return found["identity-providers"]


async def test_a_provider_that_answers_is_told_with_its_keys(issuer: LocalIssuer) -> None:
    found = await look(issuer)
    assert (found.state, found.message.startswith(f"{issuer.url} answers with ")) == (State.OK, True)


async def test_a_provider_that_is_away_or_not_trusted_is_told_why(issuer: LocalIssuer, tmp_path: Path) -> None:
    await asyncio.to_thread(issuer.become, "down")
    try:
        down = await look(issuer)
    finally:
        await asyncio.to_thread(issuer.become, "ok")
    place = f"{issuer.url}/.well-known/openid-configuration"
    assert down.message == f"the keys of {issuer.url} cannot be fetched: {place} answered 503"
    assert (down.state, "CHANDLERY_OIDC_CA_FILE" in down.remedy) == (State.FAIL, True)
    untrusted = await look(issuer, Authority(tmp_path).certificate)
    assert (untrusted.state, "has a certificate that is not trusted" in untrusted.message) == (State.FAIL, True)
