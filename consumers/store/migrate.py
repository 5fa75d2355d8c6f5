"""The history of the store's tables, and what is done with it.

An upgrade takes all positions from their owners, so that a process running meanwhile writes nothing more; it finds out when it
claims them again, and `hold` then refuses it.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, update

from consumers.database.migration.history import TableHistory
from consumers.database.use import STORE
from consumers.store.columns import METADATA
from consumers.store.tables import POSITION


def _fence(connection: Connection) -> None:
    connection.execute(update(POSITION).values(owner=f"migrated to {HISTORY.head}"))


HISTORY = TableHistory(
    use=STORE,
    metadata=METADATA,
    folder=Path(__file__).parent / "migrations" / "versions",
    stamp="alembic_version",
    lock=0x6361726562626E65,
    maker="projections",
    upgraded=_fence,
)
"""`consumers.models` says what may be done with it: there all tables are known."""
