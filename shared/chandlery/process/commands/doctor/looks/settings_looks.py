"""Checks of the settings that every service has."""

from collections.abc import Sequence

from chandlery.lookup.broker_egress import egress_of
from chandlery.messaging.rabbitmq.connecting.rabbitmq_urls import parse_urls
from chandlery.process.choices.bus_choice import tls_files
from chandlery.process.choices.key_choice import require_keys
from chandlery.process.commands.doctor.check import SETTINGS, Check, Result, checks_of, counted, ok, unused, warn
from chandlery.process.commands.doctor.surroundings import Surroundings
from chandlery.process.commands.doctor.verdicts import settings_verdicts
from chandlery.process.http.http_server import is_loopback
from chandlery.settings.settings import old_names_in_use, require

READ: str = "settings"
"""The check that comes before all others: the command itself makes it when they cannot be read."""

_check = checks_of(SETTINGS)


def settings_checks(around: Surroundings) -> Sequence[Check]:
    """All of them."""
    settings = around.settings

    def read() -> Result:
        source = f", from the environment and {settings.config_file}" if settings.config_file else ""
        return ok(f"{counted(len(settings.model_fields_set), 'setting')} found, and all names are known{source}")

    def renamed() -> Result:
        found = old_names_in_use()
        if not found:
            return ok("all settings are given by their present names")
        return warn("; ".join(found), "give them by their new names (docs/settings.md#renamed-settings)")

    def required() -> Result:
        require(settings, "database_url", "amqp_url")
        require_keys(settings)
        return ok("all settings are there that a service needs to start")

    def database_tls() -> Result:
        return settings_verdicts.database_tls(around.database_url)

    def rabbitmq_tls() -> Result:
        if not around.has_rabbitmq or not settings.amqp_url.get_secret_value():
            return unused("there is no RabbitMQ")
        return settings_verdicts.rabbitmq_tls(parse_urls(settings.amqp_url.get_secret_value(), tls=tls_files(settings)))

    def egress() -> Result:
        egress_of(settings)
        return settings_verdicts.egress(settings, listens_beyond=not is_loopback(settings.host))

    return [
        _check(READ, "Can the settings be read, and is every name one?", look=read),
        _check("renamed-settings", "Is a setting given by a name that a coming release refuses?", look=renamed),
        _check("required-settings", "Is everything set that a service needs to start?", look=required),
        _check(
            "contradictions",
            "Do settings contradict each other, or have no effect?",
            look=lambda: settings_verdicts.contradictions(settings),
        ),
        _check(
            "database-tls", "Can anybody listen on the way to the database, or answer in its place?", look=database_tls
        ),
        _check("rabbitmq-tls", "Can anybody listen on the way to RabbitMQ, or answer in its place?", look=rabbitmq_tls),
        _check(
            "egress",
            "Can the lists of places where service brokers may be be read, and do they say anything?",
            look=egress,
        ),
        _check(
            "request-limits",
            "How much does a gateway take at a time, and does that fit together?",
            look=lambda: settings_verdicts.request_limits(settings),
        ),
    ]
