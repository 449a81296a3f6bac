"""AWS KMS dies under a gateway: what is in memory serves, then Secrets are 503 and all else goes on."""

import pytest
from pydantic import SecretStr

from chandlery.settings.settings import Settings
from tests.integration.gateway.api_client import Api, namespace, secret
from tests.integration.gateway.conftest import TOKEN, serving
from tests.support.moto_kms import REGION, moto_kms

SECRETS = "/api/v1/namespaces/team/secrets"
pytestmark = pytest.mark.both_backends


def _settings(url: str, kms_url: str, arn: str) -> Settings:
    return Settings(
        database_url=SecretStr(url),
        amqp_url=SecretStr("memory:"),
        encryption_providers="aws-kms",
        aws_kms_key_id=arn,
        aws_kms_region=REGION,
        aws_kms_endpoint_url=kms_url,
        data_key_wait_seconds=0.1,
        token=SecretStr(TOKEN),
        port=0,
    )


async def test_secrets_are_served_from_memory_and_then_refused_with_a_reason_and_nothing_is_stored_in_plain(
    own_url: str,
) -> None:
    with moto_kms() as kms:
        async with serving(_settings(own_url, kms.url, kms.arn)) as running:
            api = running.api
            await api.made("/api/v1/namespaces", namespace("team"))
            await api.made(SECRETS, secret("before", password="hunter2"))
            keys = running.resources.database.keyring.data_keys
            kms.kill()

            assert (await api.get(f"{SECRETS}/before")).status == 200
            await api.made(SECRETS, secret("while-cached", password="hunter2"))

            keys.clear()
            for refused in (
                await api.get(f"{SECRETS}/before"),
                await api.get(SECRETS),
                await api.post(SECRETS, secret("refused", password="hunter2")),
            ):
                assert refused.status == 503
                assert "AWS KMS cannot be reached" in refused.message
                assert int(refused.headers["Retry-After"]) > 0
            assert {row["name"] for row in await running.rows("secrets")} == {"before", "while-cached"}
            assert (await api.get("/api/v1/namespaces/team")).status == 200
            assert (await api.get("/apis/servicecatalog.k8s.io/v1beta1/namespaces/team/serviceinstances")).status == 200
            await _readiness_says_so(api)


async def _readiness_says_so(api: Api) -> None:
    ready = await api.get("/readyz", verbose="")
    assert ready.status == 503
    assert "[-]data-keys" in ready.payload.decode()
