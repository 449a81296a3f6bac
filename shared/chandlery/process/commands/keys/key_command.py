"""`chandlery new-key`."""

import click

from chandlery.store.sealing.sealing import check_key_name, new_key


@click.command(name="new-key")
@click.argument("name", default="key1")
def make_key(name: str) -> None:
    """Print a new key for CHANDLERY_ENCRYPTION_KEYS."""
    check_key_name(name)
    click.echo(new_key(name))
