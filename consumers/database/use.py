"""What a database is for: how its trouble is called, what to do about it, and how far a commit must get before it is told.

The store is made from the log and may be thrown away. The ledger can be made from nothing: no cure for its trouble says that it
should be moved away, removed or made anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from schemas.errors import EngineUnavailable, LedgerUnavailable, StoreUnavailable


class DatabaseUse(NamedTuple):
    """One use of a database."""

    name: str
    variable: str
    """The environment variable that holds its address."""
    unavailable: type[EngineUnavailable]
    """How its own trouble is raised."""
    durable: bool
    """Whether a commit is reported only once it is on disk, and no other file is taken for the one in use."""
    removed: str
    """What to do when its file was moved or removed while it was in use."""
    cures: Mapping[str, str]
    """What to do about its own troubles, by their codes (`consumers.database.trouble.CURES`)."""


_AWAY = "Move it away; `backbone serve` makes a new one from the log."

STORE = DatabaseUse(
    name="store",
    variable="BACKBONE_STORE",
    unavailable=StoreUnavailable,
    durable=False,
    removed="Try again: the store is made again from the log by itself.",
    cures={
        "42P01": "The tables are not there yet: `backbone serve` with projections among its roles makes them.",
        "SQLITE_NOTADB": f"The file is no store. {_AWAY}",
        "SQLITE_CORRUPT": f"The file is damaged. {_AWAY}",
        "SQLITE_ERROR": "The tables are not there yet, or of another version: `backbone serve` with projections among its "
        "roles makes them; `backbone doctor` says of which version they are.",
    },
)
"""Everything in it can be rebuilt from the log and carries the position it belongs to, so a commit may be reported before it
reaches the disk: after a power cut rows and position fall back together, and the log makes up for both."""

_RESTORE = "Stop the backbone, keep a copy of it, and restore the ledger from a backup (docs/operate.md): nothing else has it."
_NO_TABLES = (
    "The tables are not there: `backbone serve` with gateway among its roles makes those of a new ledger. If this one was in "
    "use before, restore it from a backup (docs/operate.md)."
)

LEDGER = DatabaseUse(
    name="ledger",
    variable="BACKBONE_LEDGER",
    unavailable=LedgerUnavailable,
    durable=True,
    removed="Stop the backbone, bring the file back from where it went or from a backup, with its -wal, then start again.",
    cures={
        "25P03": "The process was silent within a transaction for longer than postgresql.idle; try again.",
        "42P01": _NO_TABLES,
        "SQLITE_NOTADB": f"The file is no ledger. {_RESTORE}",
        "SQLITE_CORRUPT": f"The file is damaged. {_RESTORE}",
        "SQLITE_ERROR": _NO_TABLES,
    },
)
"""What was promised to clients and what was disclosed: no log brings it back."""
