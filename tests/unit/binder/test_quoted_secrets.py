"""Whatever a broker quotes, no status and no event shows credentials, or parameters that came from a Secret."""

import base64

import pytest

from chandlery.model.objects import kinds
from chandlery.model.objects.core import Secret
from chandlery.model.objects.instances import ParametersFromSource, SecretKeyReference
from chandlery.model.objects.kinds import Kind
from chandlery.model.objects.metadata import ObjectMeta
from chandlery.store.objects.object_reads import Listing
from tests.conformance.scripted import scripted_templates as osb
from tests.conformance.scripted.scripted_broker import Reply
from tests.unit.binder.binder_fixture import BinderFixture

ROPE = "rope-of-the-harbour"
KNOT = "knot-of-the-secret"


async def _shown(binder: BinderFixture) -> str:
    found = await binder.database.run(lambda unit: unit.objects.list(kinds.SERVICE_BINDING, Listing(namespace="ns")))
    return f"{[each.to_wire() for each in found]} {await binder.events()}"


async def test_broker_that_quotes_the_credentials_when_it_unbinds_shows_them_to_nobody(binder: BinderFixture) -> None:
    binder.broker.script(osb.BIND, Reply(201, {"credentials": {"password": ROPE, "nested": [{"pin": 471147}]}}))
    await binder.work()
    binder.broker.script(osb.UNBIND, Reply(500, {"description": f"user {ROPE} with 471147 is logged in"}))
    await binder.delete_binding()
    await binder.work()
    shown = await _shown(binder)
    assert "user <redacted> with <redacted> is logged in" in shown
    assert ROPE not in shown
    assert "471147" not in shown


async def test_broker_that_quotes_parameters_of_a_secret_when_it_binds_shows_them_to_nobody(
    binder: BinderFixture,
) -> None:
    text = base64.b64encode(f'{{"role": "{KNOT}"}}'.encode()).decode()
    await binder.add(Secret(metadata=ObjectMeta(name="params", namespace="ns", uid="p-uid"), data={"json": text}))
    reference = ParametersFromSource(secret_key_ref=SecretKeyReference(name="params", key="json"))
    await binder.change(kinds.SERVICE_BINDING, "knot", parameters={"deck": "upper-deck"}, parameters_from=(reference,))
    words = f"no role {KNOT} ({base64.b64encode(KNOT.encode()).decode()}) on upper-deck: " + "x" * 2_000
    binder.broker.script(osb.BIND, Reply(400, {"error": KNOT, "description": words}))
    await binder.work()
    shown = await _shown(binder)
    assert "no role <redacted> (<redacted>) on upper-deck" in shown
    assert KNOT not in shown


@pytest.mark.parametrize(
    ("kind", "name"), [(kinds.SERVICE_BINDING, "knot"), (kinds.SERVICE_INSTANCE, "rope")], ids=["binding", "instance"]
)
async def test_broker_that_quotes_parameters_of_a_secret_when_it_unbinds_shows_them_to_nobody(
    binder: BinderFixture, kind: Kind, name: str
) -> None:
    text = base64.b64encode(f'{{"role": "{KNOT}"}}'.encode()).decode()
    await binder.add(Secret(metadata=ObjectMeta(name="params", namespace="ns", uid="p-uid"), data={"json": text}))
    reference = ParametersFromSource(secret_key_ref=SecretKeyReference(name="params", key="json"))
    await binder.change(kind, name, parameters_from=(reference,))
    await binder.work()
    binder.broker.script(osb.UNBIND, Reply(500, {"description": f"role {KNOT} is in use"}))
    await binder.delete_binding()
    await binder.work()
    shown = await _shown(binder)
    assert "role <redacted> is in use" in shown
    assert KNOT not in shown
