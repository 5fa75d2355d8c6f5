"""PostgreSQL that stands still, all of its processes: a read is given up, said, and works again afterwards."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from consumers.database.database import Database
from consumers.database.engines import ConnectionSettings
from deploy.local.postgres import PostgresServer
from schemas.errors import StoreUnavailable
from tests.journeys.harness import Backbone, hospital_messages
from tests.patience import eventually

pytestmark = pytest.mark.engine

SECOND = timedelta(seconds=1)


@pytest.fixture
def server(engine_folder: Path) -> Iterator[PostgresServer]:
    """A server of its own: others would wait for it."""
    folder = Path(tempfile.mkdtemp(prefix="postgres-frozen-", dir=engine_folder))
    folder.chmod(0o755)
    made = PostgresServer(folder)
    made.start()
    try:
        yield made
    finally:
        made.stop(signal.SIGQUIT)


@pytest.mark.asyncio
async def test_a_read_over_a_connection_that_is_there_is_given_up(server: PostgresServer) -> None:
    database = Database.connect(server.url(), ConnectionSettings(statement_timeout=SECOND, connect_timeout=SECOND))

    async def fetch() -> int:
        return int((await database.fetch("SELECT 7", ()))[0][0])

    async def read() -> int:
        async with database.reading() as connection:
            return int((await connection.execute(text("SELECT 7"))).scalar_one())

    for ask in (fetch, read):
        assert await ask() == 7  # the connection is in the pool now
        server.kill(signal.SIGSTOP)
        with pytest.raises(StoreUnavailable, match="the store does not answer"):
            await ask()
        server.kill(signal.SIGCONT)
        assert await ask() == 7
    await database.close()


def test_the_gateway_says_that_the_store_does_not_answer_and_goes_on_taking_in(server: PostgresServer, tmp_path: Path) -> None:
    settings = {
        "BACKBONE_STORE": server.url(),
        "BACKBONE_KEY_SECRET": "0123456789abcdef" * 2,
        "BACKBONE_POSTGRESQL_STATEMENT": "1 second",
        "BACKBONE_POSTGRESQL_CONNECT": "1 second",
    }
    first, *others = hospital_messages()
    backbone = Backbone(tmp_path, settings)
    try:
        backbone.start().mllp(first)
        person = eventually(lambda: backbone.timeline() and backbone.person())
        server.kill(signal.SIGSTOP)
        refused = backbone.http.get(f"/people/{person}/timeline")
        assert (refused.status_code, refused.json()["code"]) == (503, "store-unavailable")
        assert backbone.having("gateway").asked("/health/ready") is None
        assert backbone.having("gateway").asked("/health/ready?part=taking-in") is not None
        assert all(b"MSA|AA|" in answer for answer in backbone.mllp(*others))
        server.kill(signal.SIGCONT)
        eventually(lambda: len(backbone.timeline()) == 4)
    finally:
        server.kill(signal.SIGCONT)
        backbone.close()
