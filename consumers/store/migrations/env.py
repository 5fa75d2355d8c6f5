"""Alembic's entry: runs the versions on the connection it is given, within that connection's transaction."""

from __future__ import annotations

from alembic import context

from consumers.store.tables import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA)
with context.begin_transaction():
    context.run_migrations()
