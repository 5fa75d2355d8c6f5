"""Allows only one server for each role on an embedded folder: two would take the same dropped files and write the same rows.

The operating system releases a lock when its process ends, however it ends, so there are no stale locks.

Source: flock(2).
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from schemas.errors import SettingsError

PRIVATE = 0o700
"""Mode of a folder the backbone makes for its data: other users of the machine may not read records of people."""


def is_for_everybody(folder: Path) -> bool:
    """Whether every user of the machine can look into ``folder``, which the backbone did not make itself."""
    return folder.exists() and bool(folder.stat().st_mode & stat.S_IRWXO)


class AlreadyServingError(SettingsError):
    """Another server of this role uses this folder."""

    code = "already-serving"
    cure = "Stop it, give this one another data folder, or split the roles between the two with --only."


@contextmanager
def hold_roles(folders: Iterable[Path], roles: Iterable[str]) -> Iterator[None]:
    """Hold ``roles`` on ``folders`` alone while the context is open. Raises `AlreadyServingError`, ``OSError``."""
    with ExitStack() as held:
        for folder in sorted(set(folders)):
            folder.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
            for role in sorted(roles):
                held.enter_context(_lock(folder / f"serve-{role}.lock"))
        yield


@contextmanager
def _lock(file: Path) -> Iterator[None]:
    handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(handle, 20).decode("ascii", "replace").strip()
            message = f"process {holder} serves this folder already" if holder else ""
            raise AlreadyServingError(message, where=str(file)) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(handle)
