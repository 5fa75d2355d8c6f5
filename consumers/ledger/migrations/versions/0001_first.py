"""The ledger's first tables: its identity, and the ids of tokens already used.

Source: Alembic, https://alembic.sqlalchemy.org/en/latest/ops.html.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, PrimaryKeyConstraint, SmallInteger, Text
from sqlalchemy.dialects.postgresql import TEXT

from schemas.errors import SettingsError

revision = "0001"
down_revision = None

KEY = Text().with_variant(TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "ledger_identity",
        Column("id", SmallInteger, nullable=False, autoincrement=False),
        Column("identity", Text, nullable=False),
        PrimaryKeyConstraint("id", name="pk_ledger_identity"),
    )
    op.create_table(
        "ledger_used_token",
        Column("digest", KEY, nullable=False),
        Column("expires_at", BigInteger, nullable=False),
        PrimaryKeyConstraint("digest", name="pk_ledger_used_token"),
    )


def downgrade() -> None:
    """Never: what the ledger holds cannot be made again."""
    cure = "Restore the ledger from a backup made before the upgrade (docs/operate.md)."
    raise SettingsError("the ledger's tables are never taken back", where="ledger", cure=cure)
