"""A login for each service's database role, on the test server: for stacks whose services are to have no more rights.

`CHANDLERY_TEST_DATABASE_ROLES=1` (`make test-database-roles`) has all stacks on PostgreSQL run that way.
"""

import os
import secrets
from collections.abc import Mapping
from typing import Final

import asyncpg
from sqlalchemy import make_url

from chandlery.store.roles.grants import ROLES, role_name

ARE_ASKED_FOR: Final = os.environ.get("CHANDLERY_TEST_DATABASE_ROLES") == "1"


async def role_logins(owner_url: str, prefix: str) -> Mapping[str, str]:
    """The URL of each service, by its name, for the database in the owner's URL; the roles get passwords."""
    urls: dict[str, str] = {}
    for role in ROLES:
        name, password = role_name(prefix, role), secrets.token_hex(16)
        await _tell(owner_url, f"ALTER ROLE \"{name}\" PASSWORD '{password}'")
        url = make_url(owner_url).set(username=name, password=password)
        urls[role] = url.render_as_string(hide_password=False)
    return urls


async def drop_roles(server_url: str, prefix: str) -> None:
    """Take the roles away, once their database is gone."""
    for role in ROLES:
        await _tell(server_url, f'DROP ROLE IF EXISTS "{role_name(prefix, role)}"')


async def _tell(url: str, statement: str) -> None:
    connection = await asyncpg.connect(make_url(url).set(drivername="postgresql").render_as_string(hide_password=False))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
