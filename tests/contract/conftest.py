"""What the contract suite of the log runs on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from schemas.log import EventLog
from tests.contract.logs import IMPLEMENTATIONS, Logs


@pytest_asyncio.fixture(params=IMPLEMENTATIONS)
async def logs(request: pytest.FixtureRequest) -> AsyncIterator[Logs]:
    """An empty log of each implementation."""
    needed, address = IMPLEMENTATIONS[request.param]
    async with AsyncExitStack() as opened:
        yield Logs(address(request.getfixturevalue(needed)), opened)


@pytest_asyncio.fixture
async def log(logs: Logs) -> EventLog:
    """An empty log, opened once."""
    return await logs.open()
