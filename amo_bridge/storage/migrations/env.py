"""What Alembic runs for each command: on the connection, and in the transaction, that ``migrate.py`` has opened."""

from __future__ import annotations

from alembic import context

from amo_bridge.storage.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # Both databases can take tables back; Alembic believes it of PostgreSQL only.
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
