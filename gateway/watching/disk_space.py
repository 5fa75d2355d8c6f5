"""Whether the disks of the embedded engines have room: on a full one nothing is acknowledged, and what is read grows old."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

ROOM_BYTES = 32 * 1024 * 1024
"""With less free the store's next batch may not fit: it stands in the write-ahead file, and once more in the store when that is
brought in. The log asks for as much (`adapters.eventlog.embedded.writer`)."""


class Short(NamedTuple):
    """A disk without room, or none at all."""

    code: str
    cure: str


def short(folders: Mapping[str, Path]) -> Short | None:
    """The first of ``folders`` (by what is kept there) without room, or that is not there."""
    for use, folder in folders.items():
        try:
            free = shutil.disk_usage(folder).free
        except OSError as error:
            return Short("disk-missing", f"The {use}'s folder cannot be looked at ({error.strerror}): bring it back.")
        if free < ROOM_BYTES:
            cure = f"Make room on the {use}'s disk: {free / 2**20:.1f} MiB are free, {ROOM_BYTES // 2**20} are needed."
            return Short("disk-full", cure)
    return None
