"""How the roles of a server are shared over processes, and how many there are."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.processes.split import Role, processors, seats

ALL = frozenset(Role)
SPLITS = {
    # processes, on files of one machine, on Kafka and PostgreSQL: how many take in and answer, how many project
    2: ((1, 1), (1, 1)),
    3: ((2, 1), (2, 1)),
    4: ((3, 1), (2, 2)),
    8: ((7, 1), (5, 3)),
    16: ((15, 1), (10, 6)),
}


@pytest.mark.parametrize(("processes", "split"), SPLITS.items())
def test_the_split_is_as_the_table_says(processes: int, split: tuple[tuple[int, int], tuple[int, int]]) -> None:
    for shared, (doors, projections) in zip((False, True), split, strict=True):
        placed = seats(ALL, processes, shared=shared)
        assert [Role.INTAKE in seat.roles for seat in placed].count(True) == doors
        assert [Role.PROJECTIONS in seat.roles for seat in placed].count(True) == projections
        assert [seat.leads for seat in placed].count(True) == 1
        assert placed[0].leads and Role.INTAKE in placed[0].roles, "the one that leads takes dropped files"
        assert len({seat.name for seat in placed}) == processes


def test_one_process_does_everything() -> None:
    assert [seat.roles for seat in seats(ALL, 1, shared=True)] == [ALL]


@pytest.mark.parametrize(
    ("roles", "shared", "count"), [("gateway", False, 4), ("projections", False, 1), ("projections", True, 4)]
)
def test_some_roles_are_shared_among_as_many_as_may_have_them(roles: str, shared: bool, count: int) -> None:
    placed = seats({Role(roles)}, 4, shared=shared)
    assert [seat.roles for seat in placed] == [{Role(roles)}] * count


LIMITS = {
    "no limit": ({"sys/fs/cgroup/cpu.max": "max 100000\n"}, None),
    "two processors": ({"sys/fs/cgroup/cpu.max": "200000 100000\n"}, 2),
    "one and a half": ({"sys/fs/cgroup/cpu.max": "150000 100000\n"}, 1),
    "half of one": ({"sys/fs/cgroup/cpu.max": "50000 100000\n"}, 1),
    "of the group above": (
        {
            "proc/self/cgroup": "0::/pods/one\n",
            "sys/fs/cgroup/pods/cpu.max": "100000 100000\n",
            "sys/fs/cgroup/pods/one/cpu.max": "max 100000\n",
        },
        1,
    ),
    "version 1": ({"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "100000\n", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n"}, 1),
    "version 1 without": (
        {"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n"},
        None,
    ),
}


@pytest.mark.parametrize(("files", "limit"), LIMITS.values(), ids=LIMITS)
def test_a_limit_of_the_control_group_counts(tmp_path: Path, files: dict[str, str], limit: int | None) -> None:
    unlimited = processors(tmp_path)
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    assert processors(tmp_path) == (unlimited if limit is None else min(limit, unlimited))
