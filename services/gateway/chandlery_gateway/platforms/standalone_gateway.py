"""The gateway by itself: users from its settings and its own service accounts, rights from roles in its database."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Final
from uuid import uuid4

from chandlery.engine.resources import Resources
from chandlery.model.faults import AlreadyExists, Conflict
from chandlery.model.objects import kinds
from chandlery.model.objects.core import Namespace
from chandlery.model.objects.metadata import ObjectMeta
from chandlery.settings.settings import Settings
from chandlery.store.database import UnitOfWork
from chandlery_gateway.admission.core_admission import namespace_with_defaults
from chandlery_gateway.http.listening import Listening, configured_tls, follow_tls_files, warn_of_plain_http
from chandlery_gateway.identity.authenticators.account_authenticator import AccountAuthenticator
from chandlery_gateway.identity.authenticators.configured_authenticators import (
    ConfiguredAuthenticators,
    warn_of_static_tokens,
)
from chandlery_gateway.identity.default_roles.role_keeping import keep_default_roles
from chandlery_gateway.identity.rbac.rbac_authorizer import RbacAuthorizer
from chandlery_gateway.identity.rbac.rule_keeper import RuleKeeper


def check_standalone(settings: Settings) -> None:
    """Raises ConfigurationFault that names the setting, or the file and its place."""
    Listening(settings, configured_tls(settings))
    ConfiguredAuthenticators(settings)


class StandaloneGateway:
    """See GatewayPlatform."""

    def __init__(self, resources: Resources) -> None:
        """Read what the settings name; raises ConfigurationFault."""
        settings = resources.settings
        self._resources = resources
        self._configured = ConfiguredAuthenticators(settings)
        self._accounts = AccountAuthenticator(resources.database)
        self._tls = configured_tls(settings)
        self.listening: Final = Listening(settings, self._tls)
        self.rules: Final = RuleKeeper(resources.database)
        self.authenticator: Final = self._configured.union(self._accounts)
        self.authorizer: Final = RbacAuthorizer(self.rules)

    @property
    def readiness(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        """See GatewayPlatform."""
        return {"access-rules": self.rules.check}

    async def begin(self) -> None:
        """See GatewayPlatform."""
        settings, database = self._resources.settings, self._resources.database
        warn_of_plain_http(settings)
        warn_of_static_tokens(settings)
        with contextlib.suppress(AlreadyExists, Conflict):
            # Another gateway may start at the same moment.
            await database.run(ensure_default_namespace)
        await keep_default_roles(database)

    async def run(self) -> None:
        """See GatewayPlatform."""
        hours = self._resources.settings.expired_token_hours
        async with asyncio.TaskGroup() as group:
            if self._tls is not None:
                group.create_task(follow_tls_files(self._resources.settings, self._tls))
            group.create_task(self._configured.follow())
            group.create_task(self._accounts.keep_rows(expired_hours=hours))


async def ensure_default_namespace(unit: UnitOfWork) -> None:
    """Make the namespace that everybody begins in, unless it is there. Raises AlreadyExists, Conflict in a race."""
    found = await unit.objects.get(kinds.NAMESPACE, "", "default")
    if isinstance(found, Namespace):
        # An earlier release has made it without its label.
        await unit.objects.update(found, namespace_with_defaults(found))
        return
    metadata = ObjectMeta(name="default", uid=str(uuid4()), creation_timestamp=datetime.now(UTC))
    await unit.objects.insert(namespace_with_defaults(Namespace(metadata=metadata)))
