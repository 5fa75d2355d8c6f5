"""Which log the store is filled from.

Source: Alembic, https://alembic.sqlalchemy.org/en/latest/ops.html.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, PrimaryKeyConstraint, SmallInteger, Text

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """A table of one row: the next start of the projections fills it."""
    op.create_table(
        "origin",
        Column("id", SmallInteger, nullable=False, autoincrement=False),
        Column("log", Text, nullable=False),
        PrimaryKeyConstraint("id", name="pk_origin"),
    )


def downgrade() -> None:
    """Forget it."""
    op.drop_table("origin")
