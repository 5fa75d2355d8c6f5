"""Which roles a server has, and how they are shared over its processes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence, Set
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

AUTO_MOST = 8
"""Processes of a server that is not told how many: each holds some 90 MB, and past this those of one machine wait for the one
file of the log; a number sets more."""
RESERVED = "delivery"
"""A role that ``--only`` will know, and that nothing has yet."""


class Role(StrEnum):
    """What a process of the backbone does; by default everything."""

    GATEWAY = "gateway"
    """HTTP: what is asked, and what is sent to it."""
    INTAKE = "intake"
    """MLLP and drop folders."""
    PROJECTIONS = "projections"
    """From the log to what is read."""


DOORS = frozenset((Role.GATEWAY, Role.INTAKE))
"""What any number of processes may do side by side."""
READERS = frozenset((Role.GATEWAY, Role.PROJECTIONS))
"""What needs the store."""


class Seat(NamedTuple):
    """What one of a server's processes does."""

    name: str
    """In log lines and for the processes among themselves."""
    roles: frozenset[Role] = frozenset(Role)
    leads: bool = True
    """Whether it does what only one may: take dropped files, warn of what the start found, answer the operators' listener."""


class Beside(NamedTuple):
    """Where a process stands among the others of its server."""

    folder: Path
    """Private to the server, for as long as it runs."""
    seats: Sequence[Seat]
    """All of them, its own among them."""

    @property
    def roles(self) -> frozenset[Role]:
        """Of the whole server."""
        return frozenset(role for seat in self.seats for role in seat.roles)


PROJECTING: Mapping[int, int] = {2: 1, 3: 1, 4: 2, 5: 2, 6: 2, 7: 2, 8: 3}
"""Processes of a server → those of them that project, where several can share the log's partitions. Measured, a message costs
as much to project as to take in; who reads and who asks come on top, so the doors have the larger half."""


def seats(roles: Set[Role], processes: int | None, *, shared: bool) -> list[Seat]:
    """How ``roles`` are shared over so many processes (``None``: by the `processors`); the first leads.

    ``shared`` says whether several processes may project side by side: on Kafka and PostgreSQL they share the partitions; on
    files of one machine a second one would only wait for the first.
    """
    processes = min(processors(), AUTO_MOST) if processes is None else processes
    doors, projecting = DOORS & roles, Role.PROJECTIONS in roles
    if processes == 1:
        return [Seat("server", frozenset(roles))]
    most = PROJECTING.get(processes, processes * 3 // 8) if shared else 1
    projections = (most if doors else processes if shared else 1) if projecting else 0
    taking = processes - projections if doors else 0
    named = [(f"doors-{number}", doors) for number in range(1, taking + 1)]
    named += [(f"projections-{number}", frozenset((Role.PROJECTIONS,))) for number in range(1, projections + 1)]
    return [Seat(name, has, leads=place == 0) for place, (name, has) in enumerate(named)]


def processors(root: Path = Path("/")) -> int:
    """How many processors this process may keep busy: those it may run on, within its control group's limit.

    Source: Linux, cgroup v2 ``cpu.max``; cgroup v1 ``cpu.cfs_quota_us``.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limits = [limit for limit in (_v2(root), _v1(root)) if limit is not None]
    return max(1, min(allowed, *limits)) if limits else allowed


def _v2(root: Path) -> int | None:
    """The tightest limit of this process's control group and of those it is in."""
    own = next((line[3:] for line in _read(root / "proc/self/cgroup").splitlines() if line.startswith("0::")), "/")
    place = root / "sys/fs/cgroup" / own.strip("/")
    groups = [group for group in (place, *place.parents) if group.is_relative_to(root / "sys/fs/cgroup")]
    limits = [_share(*words) for group in groups if len(words := _read(group / "cpu.max").split()) == 2]
    return min((limit for limit in limits if limit is not None), default=None)


def _v1(root: Path) -> int | None:
    group = root / "sys/fs/cgroup/cpu"
    return _share(_read(group / "cpu.cfs_quota_us").strip(), _read(group / "cpu.cfs_period_us").strip())


def _share(quota: str, period: str) -> int | None:
    """Whole processors; ``None`` where there is no limit (``max``, or -1)."""
    return int(quota) // int(period) if quota.isdecimal() and period.isdecimal() and int(period) else None


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""
