"""A disk below SQLite whose power can be cut: what was not synced is then lost, kept or torn, sector by sector, by chance.

It is a VFS (https://www.sqlite.org/vfs.html) that keeps its files in memory: what reads see, and beside it what the platter has
for certain. A sync moves the one to the other. Like the real ones it may write what is not synced yet in any order, in part,
or not at all; and what a file gained without a sync may hold anything.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import apsw

SECTOR_BYTES = 512
"""Written whole or not at all: the smallest promise any disk makes."""


class PowerIsOff(apsw.IOError):
    """Every use of the disk after the cut."""


@dataclass
class _File:
    """A file as it is read (``now``), as it is for certain (``synced``), and what leads from the one to the other."""

    now: bytearray = field(default_factory=bytearray)
    synced: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)
    """Writes (offset, content) and truncations (size, ``None``), in order."""
    named: bool = False
    """Whether the folder's entry of it is on the platter: with the file's first sync."""

    def sync(self) -> None:
        for place, content in self.pending:
            _apply(self.synced, place, content)
        self.pending.clear()
        self.named = True

    def survivor(self, chance: random.Random) -> bytearray | None:
        """What is found of it after a cut; ``None``: not even its name."""
        if not self.named and chance.random() < 0.5:
            return None
        keep = chance.choice((0.0, 0.1, 0.5, 0.9, 1.0))
        rubbish = chance.random() < 0.2
        found = bytearray(self.synced)
        for place, content in self.pending:
            if content is None:
                if chance.random() < keep:
                    _apply(found, place, None)
                continue
            for start, sector in _sectors(place, content):
                if chance.random() < keep:
                    if rubbish and start > len(found):
                        found += chance.randbytes(start - len(found))
                    _apply(found, start, sector)
        return found


def _apply(content: bytearray, place: int, written: bytes | None) -> None:
    if written is None:
        del content[place:]
        return
    if len(content) < place:
        content += bytes(place - len(content))
    content[place : place + len(written)] = written


def _sectors(place: int, content: bytes) -> Iterator[tuple[int, bytes]]:
    end = place + len(content)
    while place < end:
        until = min(end, (place // SECTOR_BYTES + 1) * SECTOR_BYTES)
        yield place, content[len(content) - (end - place) : len(content) - (end - until)]
        place = until


class CutDisk(apsw.VFS):
    """The disk. Give ``name`` to connections as their VFS; `close` it when done."""

    def __init__(self, name: str, chance: random.Random) -> None:
        self.name = name
        self._chance = chance
        self._files: dict[str, _File] = {}
        self._deleted: dict[str, _File] = {}
        """Files whose deletion is not on the platter yet."""
        self._left = 0
        self.off = False
        super().__init__(name, base="")

    def switch_on(self, operations: int) -> None:
        """From now on the power holds for ``operations`` writes, truncations, syncs and deletions; it fails in the next."""
        self._left, self.off = operations, False

    def cut(self) -> None:
        """Take the power away, now if it is still there, and let chance decide what is left."""
        self.off = True
        found = {name: file.survivor(self._chance) for name, file in self._files.items()}
        for name, file in self._deleted.items():
            if found.get(name) is None and self._chance.random() < 0.5:
                found[name] = file.survivor(self._chance)
        self._files = {name: _found(content) for name, content in found.items() if content is not None}
        self._deleted = {}

    def save(self, folder: Path) -> None:
        """Write the files as they are into a real folder."""
        for name, file in self._files.items():
            (folder / name).write_bytes(file.now)

    def load(self, folder: Path) -> None:
        """Begin anew with the files of a real folder."""
        self._files = {path.name: _found(bytearray(path.read_bytes())) for path in folder.iterdir()}

    def spend(self) -> bool:
        """One operation; whether the power fails in it."""
        self.need_power()
        self._left -= 1
        self.off = self._left < 0
        return self.off

    def need_power(self) -> None:
        if self.off:
            raise PowerIsOff("the power is off")

    # what SQLite calls

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> _OpenFile:  # type: ignore[override]  # noqa: N802
        self.need_power()
        assert name is not None
        flags[1] = flags[0]
        return _OpenFile(self, self._files.setdefault(str(name) if isinstance(name, str) else name.filename(), _File()))

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        cut = self.spend()
        gone = self._files.pop(filename, None)
        if gone is not None and gone.named and (cut or not syncdir):
            self._deleted[filename] = gone
        if syncdir and not cut:
            self._deleted.clear()  # a sync of the folder is one of all its entries, also of what was deleted before
        self.need_power()

    def xAccess(self, pathname: str, flags: int) -> bool:  # noqa: N802
        self.need_power()
        return pathname in self._files

    def xFullPathname(self, name: str) -> str:  # noqa: N802
        return name


class _OpenFile:
    """What SQLite holds of an open file."""

    def __init__(self, disk: CutDisk, file: _File) -> None:
        self._disk, self._file = disk, file

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802
        self._disk.need_power()
        return bytes(self._file.now[offset : offset + amount])

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        self._change(offset, bytes(data))

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        self._change(newsize, None)

    def _change(self, place: int, content: bytes | None) -> None:
        self._disk.spend()
        self._file.pending.append((place, content))  # also in the operation that is cut: a part of it may be written
        _apply(self._file.now, place, content)
        self._disk.need_power()

    def xSync(self, flags: int) -> None:  # noqa: N802
        if not self._disk.spend():
            self._file.sync()
        self._disk.need_power()

    def xFileSize(self) -> int:  # noqa: N802
        self._disk.need_power()
        return len(self._file.now)

    def xLock(self, level: int) -> None:  # noqa: N802
        pass

    def xUnlock(self, level: int) -> None:  # noqa: N802
        pass

    def xCheckReservedLock(self) -> bool:  # noqa: N802
        return False

    def xFileControl(self, op: int, ptr: int) -> bool:  # noqa: N802
        return False

    def xSectorSize(self) -> int:  # noqa: N802
        return 4096  # what SQLite's own VFS for Unix says

    def xDeviceCharacteristics(self) -> int:  # noqa: N802
        return apsw.SQLITE_IOCAP_POWERSAFE_OVERWRITE  # the same

    def xClose(self) -> None:  # noqa: N802
        pass


def _found(content: bytearray) -> _File:
    """A file as a machine finds it when the power is back: all of it is on the platter."""
    return _File(bytearray(content), bytearray(content), [], named=True)
