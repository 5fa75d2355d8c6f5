"""The log in memory that tests put in place of a real one keeps the same promises, but for those that need two processes."""

from __future__ import annotations

import pytest
import pytest_asyncio

from schemas.log import EventLog
from tests.contract import test_log, test_log_follow
from tests.contract.logs import PARTITIONS
from tests.memory_log import MemoryLog

pytestmark = pytest.mark.asyncio


class MemoryLogs:
    """Opens one log in memory again and again."""

    partitions = PARTITIONS

    def __init__(self) -> None:
        self._log = MemoryLog(partitions=PARTITIONS)

    async def open(self) -> EventLog:
        return self._log.again()


@pytest.fixture
def logs() -> MemoryLogs:
    return MemoryLogs()


@pytest_asyncio.fixture
async def log(logs: MemoryLogs) -> EventLog:
    return await logs.open()


SEVERAL_PROCESSES = "test_two_processes_append_at_once_while_a_third_follows"

globals().update(
    {
        name: test
        for contract in (test_log, test_log_follow)
        for name, test in vars(contract).items()
        if name.startswith("test_") and name != SEVERAL_PROCESSES
    }
)
