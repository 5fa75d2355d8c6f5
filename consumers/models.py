"""Every read model, and the tables of them all.

The only place where a read model is added: what is measured, rebuilt, retried and migrated follows from this list.
"""

from __future__ import annotations

from typing import Any

from consumers.people.model import PEOPLE
from consumers.projection import ReadModel
from consumers.quarantine.model import QUARANTINE
from consumers.receipts.model import RECEIPTS
from consumers.store import columns
from consumers.store.migrate import HISTORY
from consumers.timeline.model import TIMELINE

READ_MODELS: tuple[ReadModel[Any], ...] = (PEOPLE, TIMELINE, RECEIPTS, QUARANTINE)

METADATA = columns.METADATA
"""The tables of the store, complete: those of every read model were added by the imports above."""

schema, migrate, answering = HISTORY.schema, HISTORY.migrate, HISTORY.answering
"""How the store's tables compare with this program's, brought up to it, and whether they can be read
(`consumers.database.migration.history.TableHistory`). They stand here because they need all tables."""
