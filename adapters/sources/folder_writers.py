"""Finds files that a program still has open for writing. Works on Linux, for processes whose files this one may see.

An empty answer proves nothing: the writer may be another user's, another machine's on a network share, or in another container.

Source: proc(5), ``/proc/pid/fd`` and ``/proc/pid/fdinfo`` (``flags`` in octal); open(2), access modes.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

PROCESSES = Path("/proc")


def open_for_writing(paths: Iterable[Path]) -> set[Path]:
    """Those of ``paths`` that a process has open for writing, as far as this process may see."""
    files: dict[tuple[int, int], Path] = {}
    for path in paths:
        with contextlib.suppress(OSError):
            files[_identity(path)] = path
    return {files[identity] for identity in _written(files.keys())} if files else set()


def _written(files: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    wanted = frozenset(files)
    for descriptor in _descriptors():
        with contextlib.suppress(OSError):  # closed, or ended, since it was listed
            identity = _identity(descriptor)
            if identity in wanted and _is_writing(descriptor):
                yield identity


def _descriptors() -> Iterator[Path]:
    for process in _listed(PROCESSES):
        if process.name.isdigit():
            yield from _listed(process / "fd")


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []  # not Linux, another user's, or gone


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def _is_writing(descriptor: Path) -> bool:
    info = (descriptor.parent.with_name("fdinfo") / descriptor.name).read_text()
    flags = next((line.split()[1] for line in info.splitlines() if line.startswith("flags:")), "0")
    return int(flags, 8) & os.O_ACCMODE != os.O_RDONLY
