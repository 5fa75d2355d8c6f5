"""Small disks for other processes: file systems of so many bytes in memory, which nobody but those processes sees.

Linux alone, and where the kernel lets an ordinary user have mounts of its own.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest


class SmallDisks:
    """Each of ``folders`` is a disk for whoever is started by `within`."""

    def __init__(self, holder: int) -> None:
        self.within = ["nsenter", "--target", str(holder), "--user", "--preserve-credentials", "--mount"]
        """Begins the command line of a process that is to see them."""

    def fill(self, folder: Path) -> None:
        """Leave no byte free."""
        filled = self._run("dd", "if=/dev/zero", f"of={folder / 'ballast'}", "bs=4k", check=False)
        assert "No space left" in filled.stderr, filled.stderr

    def clear(self, folder: Path) -> None:
        """Take away again what filled it."""
        self._run("rm", str(folder / "ballast"))

    def _run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*self.within, *command], capture_output=True, text=True, check=check, timeout=60)


@contextmanager
def small_disks(folders: Sequence[Path], mebibytes: int) -> Iterator[SmallDisks]:
    """Empty disks in the places of ``folders``. Skips the test where there can be none."""
    for folder in folders:
        folder.mkdir(parents=True)
    mounts = "".join(f"mount -t tmpfs -o size={mebibytes}m none '{folder}' && " for folder in folders)
    command = ["unshare", "--mount", "--map-root-user", "sh", "-c", f"{mounts} echo mounted && exec sleep infinity"]
    holder = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert holder.stdout is not None
        if holder.stdout.readline() != "mounted\n":
            pytest.skip("this machine lets nobody mount a small disk")
        yield SmallDisks(holder.pid)
    finally:
        holder.kill()
        holder.communicate()
