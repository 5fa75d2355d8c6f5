"""An outbox of what the projections changed, which live streams follow.

Source: Alembic, https://alembic.sqlalchemy.org/en/latest/ops.html.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, Identity, Integer, PrimaryKeyConstraint, Text, text
from sqlalchemy.dialects.postgresql import TEXT

from consumers.database.compression import compress

revision = "0006"
down_revision = "0005"

KEY = Text().with_variant(TEXT(collation="C"), "postgresql")
NUMBER = BigInteger().with_variant(Integer(), "sqlite")
WRITTEN = text("written > 0")


def upgrade() -> None:
    """It begins empty: who follows looks at the timelines themselves first."""
    made = op.create_table(
        "change",
        Column("number", NUMBER, Identity(), nullable=False),
        Column("written", BigInteger, nullable=False),
        Column("what", KEY, nullable=False),
        Column("cause", BigInteger, nullable=False),
        Column("record", KEY, nullable=False),
        Column("entry", BigInteger),
        Column("was", KEY),
        Column("person", KEY),
        PrimaryKeyConstraint("number", name="pk_change"),
    )
    op.create_index("ix_change_written", "change", ["written"], sqlite_where=WRITTEN, postgresql_where=WRITTEN)
    compress(made, op.get_bind())


def downgrade() -> None:
    """Forget it."""
    op.drop_table("change")
