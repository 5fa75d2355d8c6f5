"""Alembic's entry: runs the versions on the connection it is given, within that connection's transaction."""

from __future__ import annotations

from alembic import context

given = context.config.attributes
context.configure(
    connection=given["connection"], target_metadata=given["metadata"], version_table=given["stamp"], version_table_pk=True
)
with context.begin_transaction():
    context.run_migrations()
