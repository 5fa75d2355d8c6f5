"""An embedded log in a file of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from adapters.eventlog.embedded.log import EmbeddedLog


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.db"


@pytest_asyncio.fixture
async def log(path: Path) -> AsyncIterator[EmbeddedLog]:
    opened = EmbeddedLog(path, 4)
    yield opened
    await opened.close()
