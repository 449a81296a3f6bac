"""Alembic calls this; `migrate.py` hands over the connection, or the name of a dialect to write SQL for."""

from alembic import context

from chandlery.store.schema import METADATA

connection = context.config.attributes.get("connection")
if connection is None:
    context.configure(
        dialect_name=context.config.attributes["dialect"],
        target_metadata=METADATA,
        literal_binds=True,
        transactional_ddl=True,
    )
else:
    context.configure(
        connection=connection,
        target_metadata=METADATA,
        # SQLite cannot alter most things in place.
        render_as_batch=connection.dialect.name == "sqlite",
        transaction_per_migration=False,
    )
with context.begin_transaction():
    context.run_migrations()
