"""A whole server whose disk is full: nothing is acknowledged, what is there is still read, and room alone mends it."""

from __future__ import annotations

import asyncio
import re
import resource
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import psutil
import pytest

from tests.bench.messages import messages
from tests.caught_up import caught_up
from tests.faults.senders import Sender, by_person, from_people
from tests.faults.small_disks import SmallDisks, small_disks
from tests.journeys.harness import Backbone
from tests.patience import until

SENDERS = 4
SOME = 40
"""Messages acknowledged before the disk is full, and at least as many once there is room."""
DISK_MIB = 96
"""Well above what readiness wants free."""


class Disk(Protocol):
    """Where the server keeps its data."""

    def fill(self) -> None:
        """Let the server write no more than stands there already."""
        ...

    def clear(self) -> None:
        """Let there be room again."""
        ...


class Quota:
    """The system lets no file of the server grow, as over a quota: on every machine."""

    def __init__(self, backbone: Backbone) -> None:
        process = backbone.having("intake").process
        assert process is not None
        self._processes = [process.pid, *(child.pid for child in psutil.Process(process.pid).children(recursive=True))]
        self._data = backbone.folder / "backbone-data"

    def fill(self) -> None:
        largest = max(file.stat().st_size for file in self._data.iterdir())
        self._limit(largest)

    def clear(self) -> None:
        self._limit(resource.RLIM_INFINITY)

    def _limit(self, most_bytes: int) -> None:
        for process in self._processes:
            resource.prlimit(process, resource.RLIMIT_FSIZE, (most_bytes, resource.RLIM_INFINITY))


class Ballast:
    """A file that takes all the room of a disk."""

    def __init__(self, disks: SmallDisks, folder: Path) -> None:
        self._disks, self._folder = disks, folder

    def fill(self) -> None:
        self._disks.fill(self._folder)

    def clear(self) -> None:
        self._disks.clear(self._folder)


@contextmanager
def over_quota(folder: Path) -> Iterator[tuple[Backbone, Disk]]:
    backbone = Backbone(folder).start()
    try:
        yield backbone, Quota(backbone)
    finally:
        backbone.close()


@contextmanager
def full_disk(folder: Path) -> Iterator[tuple[Backbone, Disk]]:
    """A file system of its own, filled to the last byte."""
    data = folder / "backbone-data"
    with small_disks([data], DISK_MIB) as disks:
        backbone = Backbone(folder)
        backbone.having("intake").within = disks.within

        try:
            yield backbone.start(), Ballast(disks, data)
        finally:
            backbone.close()


@pytest.mark.parametrize("made", [over_quota, full_disk], ids=["quota", "full disk"])
@pytest.mark.asyncio
async def test_a_server_outlives_a_full_disk(tmp_path: Path, made: type[Iterator[tuple[Backbone, Disk]]]) -> None:
    with made(tmp_path) as (backbone, disk):  # type: ignore[attr-defined]
        people, stop = by_person(messages(40_000)), asyncio.Event()
        senders = [Sender(backbone.mllp_port, from_people(people), pause_s=0.01) for _ in range(SENDERS)]
        sending = [asyncio.create_task(sender.run(stop)) for sender in senders]
        await until(lambda: _count(senders) >= SOME and backbone.timeline() != [])
        disk.fill()
        await until(lambda: _is_refused(backbone))
        assert backbone.http.get("/health/live").status_code == 200
        assert backbone.timeline() != [], "what was there is not read any more"
        if isinstance(disk, Ballast):
            _check_that_it_says_so(backbone)
        else:
            _check_that_it_says_what_it_met(backbone)
        disk.clear()
        before = _count(senders)
        await until(lambda: _count(senders) >= before + SOME)
        stop.set()
        await asyncio.gather(*sending)
        ended = time.time()
        await until(lambda: asyncio.to_thread(caught_up, str(backbone.http.base_url).rstrip("/"), ended))
        assert not any(backbone.http.get("/health/ready").json()["parked"].values())
        assert backbone.running
        assert "PostgreSQL" not in backbone.output, "a cure for another engine"
        _check(backbone, [message for sender in senders for message in sender.acknowledged])
        assert backbone.end() == 0


def _count(senders: Sequence[Sender]) -> int:
    return sum(len(sender.acknowledged) for sender in senders)


_PROBE = iter(range(10**6))


def _is_refused(backbone: Backbone) -> bool:
    """Whether something that was never sent before is refused, and its sender told to come back."""
    answer = backbone.http.post("/intake/northfield-pas", content=b"MSH|nothing %d" % next(_PROBE))
    assert answer.status_code in (422, 503), answer.text
    return answer.status_code == 503 and int(answer.headers["retry-after"]) > 0


def _check_that_it_says_so(backbone: Backbone) -> None:
    """Not ready to take in, with the cure; ready to be read; and operators are told."""
    told = backbone.http.get("/health/ready?part=taking-in")
    assert told.status_code == 503
    assert told.json()["log"] == {"reachable": True}
    assert "Make room" in told.json()["appends"]["cure"]
    assert told.json()["disk"]["code"] == "disk-full"
    assert backbone.http.get("/health/ready?part=reading").status_code == 200
    assert backbone.http.get("/health/ready?part=either").status_code == 200
    assert "\nbackbone_log_takes_appends 0.0\n" in backbone.http.get("/metrics").text
    assert any("disk of the log is full" in line for line in _doctor(backbone).splitlines())


def _check_that_it_says_what_it_met(backbone: Backbone) -> None:
    """A quota is nothing that a file system would tell: that appends fail is."""
    told = backbone.http.get("/health/ready?part=taking-in")
    assert told.status_code == 503
    assert told.json()["appends"]["code"] == "log-unavailable"
    assert "quota" in told.json()["appends"]["cure"]
    assert backbone.http.get("/health/ready?part=reading").status_code == 200
    assert "\nbackbone_log_takes_appends 0.0\n" in backbone.http.get("/metrics").text


def _doctor(backbone: Backbone) -> str:
    command = [*backbone.having("intake").within, *backbone.command("doctor")]
    return subprocess.run(command, cwd=backbone.folder, capture_output=True, text=True, check=False).stdout


def _check(backbone: Backbone, acknowledged: Sequence[bytes]) -> None:
    """Every message that was acknowledged is on the timeline of its person, once, and the log is sound."""
    sent: dict[str, set[str]] = {}
    for message in acknowledged:
        trigger, number = re.search(rb"ADT\^(A\d\d)", message), re.search(rb"~(\d{10})\^\^\^NHS", message)
        assert trigger and number
        sent.setdefault(number[1].decode(), set()).add(trigger[1].decode())
    for number, triggers in sent.items():
        kinds = Counter(entry["type"] for entry in backbone.timeline(number))
        assert kinds["encounter-admitted-1"] == ("A01" in triggers)
        assert kinds["encounter-discharged-1"] >= ("A03" in triggers)
        assert all(times == 1 for times in kinds.values()), "doubled"
    verify = [*backbone.having("intake").within, *backbone.command("log", "verify")]
    verified = subprocess.run(verify, cwd=backbone.folder, capture_output=True, text=True, check=False)
    assert verified.returncode == 0, verified.stdout + verified.stderr
