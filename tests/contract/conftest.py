"""What the contract suite of the log runs on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from schemas.log import EventLog
from tests.contract.logs import IMPLEMENTATIONS, Logs

_THREE = "kafka, three brokers"
_MARKS = {"kafka": [pytest.mark.engine], _THREE: [pytest.mark.engine]}


@pytest.hookimpl(tryfirst=True)  # before the marks are looked at
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """On three brokers leave to the long tests what they can hardly do otherwise than one: the whole takes minutes."""
    for item in items:
        on = getattr(item, "callspec", None)
        if on is not None and on.params.get("logs") == _THREE and not item.get_closest_marker("three_brokers"):
            item.add_marker(pytest.mark.soak)


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
