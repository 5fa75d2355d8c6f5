"""Finds the files of a drop folder that no longer change. It polls, because network shares send no notifications.

A file is taken when its size and modification time have stayed the same for a while: a program that writes it in place has then
finished, and one that renames it into place is hardly delayed. (The inode is not compared: some network shares renumber.)
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

UNFINISHED_SUFFIXES = (".part", ".tmp", ".filepart", ".crdownload", "~")
"""Suffixes of temporary files, which programs rename when they are complete."""
HIDDEN_PREFIXES = (".", "~")
"""``~$`` begins the lock file of an open spreadsheet."""


class FileMark(NamedTuple):
    """Size and modification time, by which a changed file is recognised."""

    size_bytes: int
    changed_ns: int


class Seen(NamedTuple):
    """A file, as it was when the folder was read."""

    path: Path
    mark: FileMark


def mark_of(status: os.stat_result) -> FileMark:
    """The mark of a file with this ``stat`` result."""
    return FileMark(status.st_size, status.st_mtime_ns)


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
                continue  # removed since it was listed
            if stat.S_ISREG(status.st_mode):
                found.append(Seen(Path(entry.path), mark_of(status)))
    return found


class Settling:
    """Remembers since when each file has been unchanged."""

    def __init__(self, settle: timedelta) -> None:
        self._settle = settle
        self._since: dict[Seen, datetime] = {}

    def at_rest(self, seen: Sequence[Seen], now: datetime) -> list[Seen]:
        """The files that have been unchanged for long enough, oldest first, so that a correction follows what it corrects.

        If the clock is set back, they wait once more, but not longer.
        """
        self._since = {one: min(self._since.get(one, now), now) for one in seen}
        resting = [one for one, since in self._since.items() if now - since >= self._settle]
        return sorted(resting, key=lambda one: (one.mark.changed_ns, one.path.name))
