"""Moves a file out of the drop folder, with its receipt beside it. Nothing is ever overwritten.

The receipt is written before the file is moved, so whoever sees a file in ``done/`` finds its receipt. A crash between the two
leaves the file where it was; it is then read again, gets the same receipt, and goes to the same place.

A program that pauses for longer than a file must be unchanged goes on writing to the moved file, because moving a file does not
close it. Such a file is recognised by its size, which is no longer that of its receipt, and is put back to be read again.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path

import msgspec

from schemas.arrival.receipt import Receipt, decode, shown

DONE = "done"
"""Folder for files that were accepted completely or in part: the receipt lists what was rejected and kept."""
FAILED = "failed"
"""Folder for files of which nothing was accepted."""
RECEIPT_SUFFIX = ".receipt.json"
LONGEST_BYTES = 200
"""Longest name of a moved file. Its receipt has a longer name, and a file system allows at most 255 bytes."""
LONGEST_SUFFIX_BYTES = 20
"""Part of it that is reserved for the suffix, which is kept because it says how the file is read."""
WATCHED = 100
"""Most recently moved files that are checked again, for `WATCHED_FOR`. The next start checks all older ones."""
WATCHED_FOR = timedelta(minutes=10)


def shelf_of(receipt: Receipt) -> str:
    """The folder for a file with this receipt."""
    return FAILED if receipt.rejected and not receipt.accepted else DONE


def put_away(path: Path, receipt: Receipt) -> Path:
    """Move the file to the folder for its receipt, adding a number to its name if that is taken. Returns its new path.

    Raises ``OSError`` when it cannot be moved; it then stays where it was.
    """
    shelf = path.parent / shelf_of(receipt)
    shelf.mkdir(exist_ok=True)
    for target in _paths(shelf, path):
        note = target.with_name(target.name + RECEIPT_SUFFIX)
        if not target.exists() and _free(note, receipt):
            _write(note, msgspec.json.encode(shown(receipt)))
            path.rename(target)
            return target
    raise AssertionError("numbers do not end")


class PutAway:
    """The files that were moved lately."""

    def __init__(self) -> None:
        self._latest: deque[tuple[datetime, Path]] = deque(maxlen=WATCHED)

    def note(self, path: Path, now: datetime) -> None:
        """Check ``path`` again from now on."""
        self._latest.append((now, path))

    def written_on(self, now: datetime) -> list[Path]:
        """The files that no longer match their receipts. Each is returned once."""
        self._latest = deque((one for one in self._latest if now - one[0] < WATCHED_FOR), WATCHED)
        changed = [path for _, path in self._latest if is_written_on(path)]
        self._latest = deque((one for one in self._latest if one[1] not in changed), WATCHED)
        return changed


def all_written_on(folder: Path) -> list[Path]:
    """Every file moved out of ``folder`` that no longer matches its receipt."""
    notes = (note for shelf in (DONE, FAILED) for note in (folder / shelf).glob(f"*{RECEIPT_SUFFIX}"))
    return [path for note in notes if is_written_on(path := note.with_name(note.name.removesuffix(RECEIPT_SUFFIX)))]


def is_written_on(path: Path) -> bool:
    """Whether a file was written to since it was moved: it is newer than its receipt, and of another size."""
    note = path.with_name(path.name + RECEIPT_SUFFIX)
    try:
        status = path.stat()
        if status.st_mtime_ns <= note.stat().st_mtime_ns:
            return False
        return status.st_size != decode(note.read_bytes()).size_bytes
    except (OSError, msgspec.MsgspecError):
        return False  # moved on, or no receipt of ours


def put_back(path: Path) -> Path:
    """Move a file back into the drop folder, and return its new path. Its receipt stays, as it says what was read then.

    Raises ``OSError``.
    """
    for free in _paths(path.parent.parent, path):
        if not free.exists():
            path.rename(free)
            return free
    raise AssertionError("numbers do not end")


def _paths(folder: Path, path: Path) -> Iterator[Path]:
    """Possible paths of a file in ``folder``: its own name, cut to `LONGEST_BYTES`, then with a number."""
    stem, suffix = _cut(path.stem, LONGEST_BYTES - LONGEST_SUFFIX_BYTES), _cut(path.suffix, LONGEST_SUFFIX_BYTES)
    yield folder / f"{stem}{suffix}"
    for number in count(2):
        yield folder / f"{stem} ({number}){suffix}"


def _cut(name: str, most_bytes: int) -> str:
    """``name`` cut to at most ``most_bytes``."""
    shorter = name
    while len(os.fsencode(shorter)) > most_bytes:
        shorter = shorter[:-1]
    return shorter


def _free(note: Path, receipt: Receipt) -> bool:
    """Whether there is no receipt at ``note`` yet, or the same one, written before a crash."""
    try:
        return decode(note.read_bytes()).id == receipt.id
    except FileNotFoundError:
        return True
    except msgspec.MsgspecError:
        return False


def _write(note: Path, content: bytes) -> None:
    """Write the file completely or not at all."""
    beside = note.with_name(f".{note.name}.tmp")
    with beside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(note)
