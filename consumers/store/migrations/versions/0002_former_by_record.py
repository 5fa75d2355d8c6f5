"""An index by which a person's former ids are found: `GET /people/{person}` looked through all of them.

Source: Alembic, https://alembic.sqlalchemy.org/en/latest/ops.html.
"""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"

NAME, TABLE = "ix_person_former_record", "person_former"


def upgrade() -> None:
    """Make it."""
    op.create_index(NAME, TABLE, ["record"])


def downgrade() -> None:
    """Drop it."""
    op.drop_index(NAME, TABLE)
