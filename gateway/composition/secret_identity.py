"""Which key secret a log was written with: every process on it needs the same, or one record becomes two.

The log is marked with the secret's fingerprint by the first process that opens it to write (docs/decisions/0015).
"""

from __future__ import annotations

from schemas.errors import OtherSecretError
from schemas.log import EventLog
from schemas.pseudonyms import Pseudonyms

MARK = "key-secret"
"""Name of the mark."""


async def note(log: EventLog, pseudonyms: Pseudonyms) -> None:
    """Mark the log with this secret, if it has no mark. Raises `OtherSecretError`, `schemas.errors.LogUnavailable`."""
    own = pseudonyms.fingerprint()
    _require(own, await log.mark(MARK, own))


async def compare(log: EventLog, pseudonyms: Pseudonyms) -> bool:
    """Whether the log has a mark, and it is of this secret; nothing is written. Raises as `note` does."""
    found = await log.mark(MARK)
    if found is not None:
        _require(pseudonyms.fingerprint(), found)
    return found is not None


def _require(own: str, found: str | None) -> None:
    if found != own:
        raise OtherSecretError(where="BACKBONE_KEY_SECRET")
