"""Alembic calls this; `migrate.py` hands over the connection. Only online migrations: we print no SQL."""

from alembic import context

from chandlery.store.schema import METADATA

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=METADATA,
    # SQLite cannot alter most things in place.
    render_as_batch=connection.dialect.name == "sqlite",
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
