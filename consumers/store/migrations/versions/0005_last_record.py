"""Each position keeps a fingerprint of the record applied last, by which another log is recognised.

Source: Alembic, https://alembic.sqlalchemy.org/en/latest/ops.html.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, Text

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Of what was applied before, nothing is known."""
    op.add_column("position", Column("last", Text, nullable=False, server_default=""))


def downgrade() -> None:
    """Forget it."""
    op.drop_column("position", "last")
