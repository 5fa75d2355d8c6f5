"""Puts what was taken from a drop folder away, with its receipt beside it. Nothing is ever overwritten.

The receipt's file is there before the file it is about is moved: whoever sees a file in ``done/`` finds its receipt. A crash
between the two leaves the file where it was; it is then read again, has the same receipt, and goes to the same place.

Whoever paused in the middle of a file for longer than it has to rest writes on into it where it lies now: a move leaves
open what is open. Such a file is found by its size, which is no longer that of its receipt, and is put back to be read again.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path

import msgspec

from schemas.receipt import Receipt, decode, shown

DONE = "done"
"""Folder for what was taken in, wholly or in part: the receipt says what was rejected and kept."""
FAILED = "failed"
"""Folder for what nothing could be taken of."""
RECEIPT_SUFFIX = ".receipt.json"
LONGEST_BYTES = 200
"""Longest name of a file put away. Beside it lies a receipt with a longer one, and a file system takes 255 bytes at most."""
LONGEST_SUFFIX_BYTES = 20
"""Of it for the suffix, which is kept: it says how the file is read."""
WATCHED = 100
"""Files put away last that are looked at again, for as long as `WATCHED_FOR`: of older ones the next start looks at all."""
WATCHED_FOR = timedelta(minutes=10)


def shelf_of(receipt: Receipt) -> str:
    """Where a file with this receipt belongs."""
    return FAILED if receipt.rejected and not receipt.accepted else DONE


def put_away(path: Path, receipt: Receipt) -> Path:
    """Move the file to the shelf its receipt says, under its own name or one with a number; where it is now.

    Raises ``OSError`` when it cannot be moved; it is then where it was.
    """
    shelf = path.parent / shelf_of(receipt)
    shelf.mkdir(exist_ok=True)
    for place in _places(shelf, path):
        note = place.with_name(place.name + RECEIPT_SUFFIX)
        if not place.exists() and _free(note, receipt):
            _write(note, msgspec.json.encode(shown(receipt)))
            path.rename(place)
            return place
    raise AssertionError("numbers do not end")


class PutAway:
    """The files put away of late."""

    def __init__(self) -> None:
        self._latest: deque[tuple[datetime, Path]] = deque(maxlen=WATCHED)

    def note(self, place: Path, now: datetime) -> None:
        """From now on look at ``place`` again."""
        self._latest.append((now, place))

    def written_on(self, now: datetime) -> list[Path]:
        """Those that are no longer as their receipts say. Each is told once."""
        self._latest = deque((one for one in self._latest if now - one[0] < WATCHED_FOR), WATCHED)
        changed = [place for _, place in self._latest if is_written_on(place)]
        self._latest = deque((one for one in self._latest if one[1] not in changed), WATCHED)
        return changed


def all_written_on(folder: Path) -> list[Path]:
    """Every file put away from ``folder`` that is no longer as its receipt says."""
    notes = (note for shelf in (DONE, FAILED) for note in (folder / shelf).glob(f"*{RECEIPT_SUFFIX}"))
    return [place for note in notes if is_written_on(place := note.with_name(note.name.removesuffix(RECEIPT_SUFFIX)))]


def is_written_on(place: Path) -> bool:
    """Whether a file was written to since it was put away: it is younger than its receipt, and of another size."""
    note = place.with_name(place.name + RECEIPT_SUFFIX)
    try:
        status = place.stat()
        if status.st_mtime_ns <= note.stat().st_mtime_ns:
            return False
        return status.st_size != decode(note.read_bytes()).size_bytes
    except (OSError, msgspec.MsgspecError):
        return False  # moved on, or no receipt of ours


def put_back(place: Path) -> Path:
    """Move a file that was put away back into the drop folder; where it is now. Its receipt stays: it tells what was read then.

    Raises ``OSError``.
    """
    for free in _places(place.parent.parent, place):
        if not free.exists():
            place.rename(free)
            return free
    raise AssertionError("numbers do not end")


def _places(folder: Path, path: Path) -> Iterator[Path]:
    """Where a file may lie in ``folder``: under its own name, cut to `LONGEST_BYTES`, or one with a number."""
    stem, suffix = _cut(path.stem, LONGEST_BYTES - LONGEST_SUFFIX_BYTES), _cut(path.suffix, LONGEST_SUFFIX_BYTES)
    yield folder / f"{stem}{suffix}"
    for number in count(2):
        yield folder / f"{stem} ({number}){suffix}"


def _cut(name: str, most_bytes: int) -> str:
    """As many characters of ``name`` as there is room for."""
    shorter = name
    while len(os.fsencode(shorter)) > most_bytes:
        shorter = shorter[:-1]
    return shorter


def _free(note: Path, receipt: Receipt) -> bool:
    """Whether there is no receipt yet, or the same one, from before a crash."""
    try:
        return decode(note.read_bytes()).id == receipt.id
    except FileNotFoundError:
        return True
    except msgspec.MsgspecError:
        return False


def _write(note: Path, content: bytes) -> None:
    """Whole or not at all."""
    beside = note.with_name(f".{note.name}.tmp")
    with beside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(note)
