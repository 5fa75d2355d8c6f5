"""Puts what was taken from a drop folder away, with its receipt beside it. Nothing is ever overwritten.

The receipt's file is there before the file it is about is moved: whoever sees a file in ``done/`` finds its receipt. A crash
between the two leaves the file where it was; it is then read again, has the same receipt, and goes to the same place.
"""

from __future__ import annotations

import os
from itertools import count
from pathlib import Path

import msgspec

from schemas.receipt import Receipt, decode, shown

DONE = "done"
"""Folder for what was taken in, wholly or in part: the receipt says what was rejected and kept."""
FAILED = "failed"
"""Folder for what nothing could be taken of."""
RECEIPT_SUFFIX = ".receipt.json"


def shelf_of(receipt: Receipt) -> str:
    """Where a file with this receipt belongs."""
    return FAILED if receipt.rejected and not receipt.accepted else DONE


def put_away(path: Path, receipt: Receipt) -> Path:
    """Move the file to the shelf its receipt says, under its own name or one with a number; where it is now.

    Raises ``OSError`` when it cannot be moved; it is then where it was.
    """
    shelf = path.parent / shelf_of(receipt)
    shelf.mkdir(exist_ok=True)
    for number in count(1):
        place = shelf / (path.name if number == 1 else f"{path.stem} ({number}){path.suffix}")
        note = place.with_name(place.name + RECEIPT_SUFFIX)
        if not place.exists() and _free(note, receipt):
            _write(note, msgspec.json.encode(shown(receipt)))
            path.rename(place)
            return place
    raise AssertionError("numbers do not end")


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
