"""All checks, in the order in which they are told: ours by section, and those that services bring."""

from collections.abc import Sequence

from chandlery.process.commands.doctor.check import SECTIONS, Check
from chandlery.process.commands.doctor.looks.certificate_looks import certificate_checks
from chandlery.process.commands.doctor.looks.database_looks import database_checks
from chandlery.process.commands.doctor.looks.key_looks import key_checks
from chandlery.process.commands.doctor.looks.machine_looks import machine_checks
from chandlery.process.commands.doctor.looks.rabbitmq_looks import rabbitmq_checks
from chandlery.process.commands.doctor.looks.settings_looks import settings_checks
from chandlery.process.commands.doctor.looks.work_looks import work_checks
from chandlery.process.commands.doctor.surroundings import Surroundings
from chandlery.process.service import every_service


def every_check(around: Surroundings) -> Sequence[Check]:
    """The checks of this installation."""
    ours = [
        *settings_checks(around),
        *machine_checks(around),
        *certificate_checks(around),
        *database_checks(around),
        *key_checks(around),
        *rabbitmq_checks(around),
        *work_checks(around),
    ]
    for service in every_service():
        ours += service.doctor_checks(around.settings)
    # Stable: within a section they stay as they are.
    return sorted(ours, key=lambda each: SECTIONS.index(each.section))
