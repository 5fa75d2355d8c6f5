"""The ledger: many small writers share a transaction, each is told when its part is durable, and none harms another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Engine, event, func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from consumers.database.database import Database
from consumers.database.engines import ConnectionSettings
from consumers.database.migration.history import Schema
from consumers.database.use import LEDGER
from consumers.ledger.migrate import HISTORY, identity, prepare
from consumers.ledger.tables import METADATA, USED_TOKEN
from consumers.ledger.used_tokens import digest_of, use
from consumers.ledger.write import LedgerWriter, Part
from consumers.models import migrate
from schemas.errors import LedgerMismatch, LedgerUnavailable
from tests.stores import rows

pytestmark = pytest.mark.asyncio

EXPIRES_AT = datetime(2026, 12, 1, tzinfo=UTC)


class Kept(list[int]):
    """How many parts each transaction had."""

    def kept(self, parts: int, seconds: float) -> None:
        self.append(parts)


async def ready(database: Database) -> None:
    await prepare(database)


def connected(url: str, **settings: timedelta) -> Database:
    return Database.connect(url, ConnectionSettings(**settings), LEDGER)  # type: ignore[arg-type]


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest_asyncio.fixture
async def ledger(store_url: str, kept: Kept) -> AsyncIterator[LedgerWriter]:
    writer = LedgerWriter(connected(store_url), ready, kept)
    yield writer
    await writer.close()


def using(name: str) -> Part[bool]:
    async def part(connection: AsyncConnection) -> bool:
        return await use(connection, digest_of("issuer", name), EXPIRES_AT)

    return part


async def used(url: str) -> int:
    """How many tokens are used, as another process sees it."""
    database = connected(url)
    async with database.reading() as connection:
        found: int = (await connection.execute(select(func.count()).select_from(USED_TOKEN))).scalar_one()
    await database.close()
    return found


@contextmanager
def commits() -> Iterator[list[str]]:
    """Every commit of any engine."""
    seen: list[str] = []

    def note(_: Connection) -> None:
        seen.append("commit")

    event.listen(Engine, "commit", note)
    try:
        yield seen
    finally:
        event.remove(Engine, "commit", note)


async def test_a_token_is_used_once(ledger: LedgerWriter, store_url: str) -> None:
    assert [await ledger.write(using("a")), await ledger.write(using("a")), await ledger.write(using("b"))] == [
        True,
        False,
        True,
    ]
    assert await used(store_url) == 2


async def test_a_thousand_callers_share_a_handful_of_transactions(ledger: LedgerWriter, kept: Kept, store_url: str) -> None:
    await ledger.open()
    kept.clear()
    with commits() as seen:
        assert all(await asyncio.gather(*(ledger.write(using(str(number))) for number in range(1000))))
    assert len(seen) == len(kept) <= 100, "even where a sync takes no time at all"
    assert sum(kept) == await used(store_url) == 1000


async def test_two_writers_of_one_token_have_one_winner(store_url: str, kept: Kept) -> None:
    writers = [LedgerWriter(connected(store_url), ready, kept) for _ in range(2)]
    names = [str(number) for number in range(50)]
    calls = [writer.write(using(name)) for writer in writers for name in (names if writer is writers[0] else reversed(names))]
    outcomes = await asyncio.gather(*calls)
    assert sum(outcomes) == await used(store_url) == 50
    await asyncio.gather(*(writer.close() for writer in writers))


async def twice(connection: AsyncConnection) -> None:
    """Breaks the table's rule, as a fault of a caller would."""
    for _ in range(2):
        await connection.execute(USED_TOKEN.insert().values(digest="same", expires_at=1))


async def of_another_table(connection: AsyncConnection) -> None:
    await connection.execute(text("INSERT INTO no_such_table VALUES (1)"))


async def of_no_sense(connection: AsyncConnection) -> None:
    await use(connection, "undone", EXPIRES_AT)
    raise ZeroDivisionError


async def test_a_part_that_fails_is_undone_and_harms_no_other(ledger: LedgerWriter, store_url: str) -> None:
    wrong = (twice, of_another_table, of_no_sense)
    calls = [ledger.write(using("a")), *(ledger.write(part) for part in wrong), ledger.write(using("b"))]
    first, *failed, last = await asyncio.gather(*calls, return_exceptions=True)
    assert first is last is True
    assert [type(error) for error in failed] == [IntegrityError, LedgerUnavailable, ZeroDivisionError]
    assert await used(store_url) == 2
    assert await ledger.write(using("undone-after")) is True


async def test_a_caller_that_gives_up_harms_no_other(ledger: LedgerWriter, store_url: str) -> None:
    await ledger.open()
    calls = [asyncio.create_task(ledger.write(using(str(number)))) for number in range(20)]
    await asyncio.sleep(0)
    for call in calls[::2]:
        call.cancel()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert outcomes[1::2] == [True] * 10
    assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes[::2])
    assert 10 <= await used(store_url) <= 20


async def test_a_write_that_takes_too_long_is_told_so(store_url: str, kept: Kept) -> None:
    async def never(_: Database) -> None:
        await asyncio.Event().wait()

    writer = LedgerWriter(connected(store_url), never, kept, patience=timedelta(milliseconds=50))
    with pytest.raises(LedgerUnavailable, match="may or may not"):
        await writer.write(using("a"))
    await writer.close()


async def test_what_was_handed_in_is_written_before_the_end(ledger: LedgerWriter, store_url: str) -> None:
    calls = [asyncio.create_task(ledger.write(using(str(number)))) for number in range(10)]
    await asyncio.sleep(0)
    await ledger.close()
    assert await asyncio.gather(*calls) == [True] * 10
    assert await used(store_url) == 10
    with pytest.raises(LedgerUnavailable, match="closed"):
        await ledger.write(using("late"))


async def test_every_commit_waits_for_the_disk(store_url: str) -> None:
    database = connected(store_url)
    async with database.writing() as connection:
        words = "PRAGMA synchronous" if database.is_sqlite else "SHOW synchronous_commit"
        assert (await connection.exec_driver_sql(words)).scalar_one() in (2, "on")
    await database.close()


async def test_the_history_leads_to_the_tables(store_url: str) -> None:
    database = connected(store_url)
    async with database.writing() as connection:
        await connection.run_sync(HISTORY.alembic, "upgrade", "head")

        def differences(sync: Connection) -> list[object]:
            options = {"compare_type": True, "version_table": HISTORY.stamp}
            return list(compare_metadata(MigrationContext.configure(sync, opts=options), METADATA))

        assert await connection.run_sync(differences) == []
    assert await HISTORY.schema(database) is Schema.CURRENT
    await database.close()


async def test_store_and_ledger_share_a_database_and_keep_histories_apart(store_url: str) -> None:
    store, ledger = Database.connect(store_url), connected(store_url)
    assert await migrate(store) is Schema.EMPTY
    assert await HISTORY.schema(ledger) is Schema.EMPTY
    made = await prepare(ledger)
    assert await migrate(store) is Schema.CURRENT
    assert await prepare(ledger, made) == made == await identity(ledger)
    for database in (store, ledger):
        await database.close()


async def test_another_ledger_or_an_empty_one_is_refused_and_left_alone(store_url: str) -> None:
    database = connected(store_url)
    with pytest.raises(LedgerMismatch, match="gone"):
        await prepare(database, "the-one-before")
    assert await HISTORY.schema(database) is Schema.EMPTY
    await prepare(database)
    before = await rows(database, *METADATA.sorted_tables)
    with pytest.raises(LedgerMismatch, match="the-one-before"):
        await prepare(database, "the-one-before")
    assert await rows(database, *METADATA.sorted_tables) == before
    await database.close()


async def test_a_file_that_goes_away_is_missed_at_once_and_never_made_anew(tmp_path: Path, kept: Kept) -> None:
    file, aside = tmp_path / "ledger.db", tmp_path / "aside.db"
    ledger = LedgerWriter(connected(f"sqlite:///{file}"), ready, kept)
    assert await ledger.write(using("a"))
    file.rename(aside)
    for _ in range(2):
        with pytest.raises(LedgerUnavailable, match="moved or removed") as raised:
            await ledger.write(using("b"))
        assert "backup" in raised.value.cure
        assert not file.exists()
    aside.rename(file)
    assert await ledger.write(using("b"))
    await ledger.close()
    assert await used(f"sqlite:///{file}") == 2


@pytest.mark.parametrize("content", [b"not a database" * 1000, b""])
async def test_no_cure_for_a_ledger_says_that_it_be_moved_away(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_bytes(content)
    database = connected(f"sqlite:///{tmp_path / 'ledger.db'}")
    with pytest.raises(LedgerUnavailable) as raised:
        await database.fetch("SELECT * FROM ledger_used_token", ())
    assert "restore" in raised.value.cure
    assert "ove it away" not in raised.value.cure
    await database.close()
