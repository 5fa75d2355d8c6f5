"""A lock between processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from adapters.eventlog.embedded.lock import FileLock

HOLDER = (
    "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.flock(f, fcntl.LOCK_EX); print('held', flush=True); sys.stdin.read()"
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.lock"


def test_a_lock_has_one_holder_at_a_time(path: Path) -> None:
    one, two = FileLock(path), FileLock(path)
    assert one.try_acquire()
    assert not two.try_acquire()
    assert not two.acquire(0.01)
    assert (one.held, two.held) == (True, False)
    one.release()
    assert two.acquire(0.01)
    two.close()
    assert one.try_acquire()
    one.close()


def test_taking_and_giving_back_twice_is_as_once(path: Path) -> None:
    lock = FileLock(path)
    assert lock.try_acquire()
    assert lock.try_acquire()
    lock.release()
    lock.release()
    lock.close()
    lock.close()
    assert lock.try_acquire()
    lock.close()


def test_a_lock_is_given_back_when_its_process_is_killed(path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        lock = FileLock(path)
        assert not lock.try_acquire()
        holder.kill()
    assert lock.acquire(30)
    lock.close()


def test_a_lock_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        FileLock(tmp_path / "nowhere" / "a.lock").try_acquire()
