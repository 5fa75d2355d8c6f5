"""Which files of a drop folder have come to rest. It looks, instead of being told by the system: network shares work too.

A file is taken when its size and its time of change have stayed the same for a while: whoever writes it in place is done then,
and whoever renames it into place is not held up for long. (Its inode says nothing: some network shares number anew.)
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

UNFINISHED_SUFFIXES = (".part", ".tmp", ".filepart", ".crdownload", "~")
"""Names under which programs write what they rename when it is complete."""
HIDDEN_PREFIXES = (".", "~")
"""``~$`` begins the lock file of an open spreadsheet."""


class Mark(NamedTuple):
    """What tells that a file is still the same one, unchanged."""

    size_bytes: int
    changed_ns: int


class Seen(NamedTuple):
    """A file at rest."""

    path: Path
    mark: Mark


def mark_of(status: os.stat_result) -> Mark:
    """The mark in what ``stat`` says."""
    return Mark(status.st_size, status.st_mtime_ns)


def look(folder: Path) -> list[Seen]:
    """The files of ``folder`` that are not hidden and not marked as unfinished. Raises ``OSError`` when it cannot be read."""
    found: list[Seen] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(HIDDEN_PREFIXES) or entry.name.endswith(UNFINISHED_SUFFIXES):
                continue
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue  # gone since it was listed
            if stat.S_ISREG(status.st_mode):
                found.append(Seen(Path(entry.path), mark_of(status)))
    return found


class Settling:
    """Remembers since when each file has been as it is."""

    def __init__(self, settle: timedelta) -> None:
        self._settle = settle
        self._since: dict[Seen, datetime] = {}

    def at_rest(self, seen: Sequence[Seen], now: datetime) -> list[Seen]:
        """Those of ``seen`` that have been the same for long enough, oldest first: a correction follows what it corrects.

        A clock that was set back makes them wait anew, no longer.
        """
        self._since = {one: min(self._since.get(one, now), now) for one in seen}
        resting = [one for one, since in self._since.items() if now - since >= self._settle]
        return sorted(resting, key=lambda one: (one.mark.changed_ns, one.path.name))
