"""What the contract suite of the log runs on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from schemas.log import EventLog
from tests.contract.logs import IMPLEMENTATIONS, Logs

_MARKS = {"kafka": [pytest.mark.engine], "kafka, three brokers": [pytest.mark.engine, pytest.mark.soak]}
"""On three brokers the contract takes two minutes and finds what the faults on three brokers find too."""


@pytest_asyncio.fixture(params=[pytest.param(name, marks=_MARKS.get(name, ())) for name in IMPLEMENTATIONS])
async def logs(request: pytest.FixtureRequest) -> AsyncIterator[Logs]:
    """An empty log of each implementation."""
    needed, address = IMPLEMENTATIONS[request.param]
    async with AsyncExitStack() as opened:
        yield Logs(address(request.getfixturevalue(needed)), opened)


@pytest_asyncio.fixture
async def log(logs: Logs) -> EventLog:
    """An empty log, opened once."""
    return await logs.open()
