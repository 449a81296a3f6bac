"""`chandlery doctor` on a real RabbitMQ: logins, TLS, alarms, queues, who listens. It declares nothing."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from yarl import URL

from chandlery.process.commands.doctor.check import Result, State
from chandlery.store.sealing.sealing import new_key
from tests.integration.messaging.conftest import Cable, RabbitRig, Recorder, command, letters_in
from tests.integration.messaging.private_rabbitmq import PrivateRabbitmq, private_rabbitmq
from tests.support.authority import Authority
from tests.support.doctor.doctor_runs import examined

pytestmark = pytest.mark.servers

AWAY = "postgresql://u@127.0.0.1:1/d"


async def look(url: str, *only: str, **settings: Any) -> Mapping[str, Result]:
    """Without a database: what the bus tells has to do without."""
    keys = new_key("k")
    return await examined(*(only or ["rabbitmq"]), amqp_url=url, database_url=AWAY, encryption_keys=keys, **settings)


async def test_a_virtual_host_without_queues_is_left_so(rabbit: RabbitRig) -> None:
    prefix = f"{rabbit.prefix}other-"
    found = await look(rabbit.url, amqp_prefix=prefix)
    assert found["rabbitmq"].message.endswith("(no TLS) lets us in")
    assert (found["rabbitmq-version"].state, found["rabbitmq-alarms"].state) == (State.OK, State.OK)
    assert found["exchanges"].message.startswith(f"no process has declared the exchanges yet: {prefix}chandlery.")
    assert (found["work-queues"].state, found["consumers"].state) == (State.WARN, State.FAIL)
    assert found["consumers"].remedy.startswith("start `chandlery binder`, `chandlery provisioner` and `chandlery")
    assert found["queue-type"].state is State.UNUSED
    again = await look(rabbit.url, amqp_prefix=prefix)
    assert again == found


async def test_queues_of_another_type_and_those_that_nobody_listens_to_are_told(rabbit: RabbitRig) -> None:
    listening = await rabbit.bus.consume(["ServiceInstance"], "unresolved", Recorder(), concurrency=1)
    await rabbit.bus.publish([command(number, kind="ServiceBinding", lane="unresolved") for number in range(3)])
    try:
        found = await look(rabbit.url, amqp_prefix=rabbit.prefix)
        assert found["exchanges"].state is State.OK
        assert "on the queues of the binder and syncer" in found["consumers"].message
        assert "3 in binder.binding.reconcile.unresolved" in found["queue-depth"].message
        assert found["queue-type"].message == "6 queues of type classic, with the expected properties"
        other = await look(rabbit.url, "queue-type", amqp_prefix=rabbit.prefix, amqp_queue_type="quorum")
        assert other["queue-type"].state is State.WARN
        assert other["queue-type"].message.startswith("other than the settings ask (quorum): 6 of 6 queues")
    finally:
        await listening.close()
        for kind in ("ServiceInstance", "ServiceBinding"):
            await rabbit.channel.queue_delete(rabbit.work_queue(kind).replace(rabbit.lane, "unresolved"))


async def test_a_user_with_the_documented_permissions_and_no_more_is_enough(rabbit: RabbitRig, tmp_path: Path) -> None:
    ours = r".*(chandlery|provisioner|binder|syncer)\..*"
    permissions = [f"default_permissions.{right} = {ours}" for right in ("configure", "read", "write")]
    with private_rabbitmq(tmp_path, *permissions) as server:
        await rabbit.another_bus(server.plain_url)
        found = await look(server.plain_url, amqp_prefix=rabbit.prefix)
        assert found["rabbitmq-alarms"].message == "RabbitMQ takes messages: no alarm of memory or disk"
        assert {name for name, result in found.items() if result.state is State.FAIL} == {"consumers"}


async def test_dead_letters_are_told_and_stay(rabbit: RabbitRig) -> None:
    subscription = await rabbit.bus.consume(
        ("ServiceInstance",), rabbit.lane, Recorder(fails=lambda _: True), concurrency=1
    )
    await rabbit.bus.publish([command(1), command(2)])
    letters = await letters_in(rabbit, 2)
    await subscription.close()
    found = (await look(rabbit.url, "dead-letters", amqp_prefix=rabbit.prefix))["dead-letters"]
    assert (found.state, found.message) == (
        State.WARN,
        "there are dead letters: 2 in provisioner.instance.reconcile.dead",
    )
    assert await rabbit.letters.all() == letters


async def test_each_server_of_a_cluster_is_asked(rabbit: RabbitRig, cable: Cable) -> None:
    cable.cut()
    urls = f"{cable.url},{rabbit.url}"
    found = await look(urls, amqp_prefix=rabbit.prefix, amqp_queue_type="classic")
    assert (found["rabbitmq"].state, "1 of 2 servers keep us out" in found["rabbitmq"].message) == (State.WARN, True)
    assert found["exchanges"].state is State.OK
    password = str(URL(rabbit.url).password)
    wrong = await look(rabbit.url.replace(password, "hunter2"))
    assert "the user name or the password is refused" in wrong["rabbitmq"].message
    assert wrong["rabbitmq"].remedy.startswith("correct user, password and virtual host in CHANDLERY_AMQP_URL")
    nowhere = (await look(str(URL(rabbit.url).with_path("/nowhere"))))["rabbitmq"]
    assert "does not let us in: the virtual host does not exist" in nowhere.message
    assert nowhere.remedy == wrong["rabbitmq"].remedy
    assert wrong["rabbitmq"].blocks == wrong["dead-letters"].message == "RabbitMQ cannot be reached"
    assert not {password, "hunter2"} & set(str(wrong).replace(":", " ").replace("@", " ").split())


def _files(alarmed: PrivateRabbitmq, pair: tuple[Path, Path]) -> dict[str, Path]:
    return {"amqp_ca_file": alarmed.authority.certificate, "amqp_cert_file": pair[0], "amqp_key_file": pair[1]}


async def test_an_alarm_and_certificates_that_expire_soon_are_told(alarmed: PrivateRabbitmq) -> None:
    files = _files(alarmed, alarmed.authority.issue("chandlery"))
    found = await look(alarmed.url_without_user, "rabbitmq", "certificates", "rabbitmq-tls", **files)
    assert found["rabbitmq"].message.endswith("(TLS) lets us in")
    assert found["rabbitmq-alarms"].state is State.FAIL
    assert found["rabbitmq-alarms"].message.startswith("RabbitMQ currently accepts no messages")
    for name in ("rabbitmq-certificates", "client-certificates", "authorities"):
        assert (found[name].state, "expires on" in found[name].message) == (State.WARN, True)


async def test_a_certificate_that_has_expired_or_is_refused_is_told(alarmed: PrivateRabbitmq, tmp_path: Path) -> None:
    expired = _files(alarmed, alarmed.authority.issue("chandlery", file="expired", is_expired=True))
    found = await look(alarmed.url_without_user, "rabbitmq", "client-certificates", **expired)
    for name in ("rabbitmq", "client-certificates"):
        assert (found[name].state, "expired on" in found[name].message) == (State.FAIL, True)
    unknown = _files(alarmed, Authority(tmp_path, "unknown").issue("chandlery"))
    refused = (await look(alarmed.url_without_user, "rabbitmq", **unknown))["rabbitmq"]
    assert (refused.state, "refuses the certificate" in refused.message) == (State.FAIL, True)
