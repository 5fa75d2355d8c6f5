"""The history of the store's tables, and what is done with it.

An upgrade takes all positions from their owners, so that a process running meanwhile writes nothing more; it finds out when it
claims them again, and `hold` then refuses it.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, update

from consumers.database.migration.history import TableHistory
from consumers.database.use import STORE
from consumers.store.tables import METADATA, POSITION

VERSIONS = ("0001", "0002", "0003", "0004", "0005")
"""Every version so far, oldest first; the file names in ``migrations/versions`` begin with them."""
HEAD = VERSIONS[-1]
"""The version of `consumers.store.tables`."""


def _fence(connection: Connection) -> None:
    connection.execute(update(POSITION).values(owner=f"migrated to {HEAD}"))


HISTORY = TableHistory(
    use=STORE,
    metadata=METADATA,
    folder=Path(__file__).parent / "migrations" / "versions",
    versions=VERSIONS,
    stamp="alembic_version",
    lock=0x6361726562626E65,
    maker="projections",
    upgraded=_fence,
)

schema, migrate, hold, answering = HISTORY.schema, HISTORY.migrate, HISTORY.hold, HISTORY.answering
